"""From a picture to probability maps, whole or in overlapping tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segmenters.regions.outputs import RegionHead
from segmenters.unet.outputs import Head

if TYPE_CHECKING:
    from segmenters.kinds.model import KindHead, KindNet
    from segmenters.regions.model import RegionNet
    from segmenters.unet.model import Unet

# Pictures up to this side are shown whole (about 200 MB of activations); larger ones in tiles.
WHOLE_PX = 1280
TILE_PX = 1024
# Half of this along a seam, where the networks miss the surroundings, is thrown away.
OVERLAP_PX = 192


def _run(
    model: Unet | RegionNet | KindNet,
    head: Head | RegionHead | KindHead,
    image: np.ndarray,
    count: int,
) -> np.ndarray:
    # Whoever only reads the settings of this segmenter does not wait for torch.
    import torch

    from miner.core.bfloat16 import autocast

    height, width = image.shape[:2]
    step = model.stride
    pad = ((0, -height % step + step), (0, -width % step + step), (0, 0))
    padded = np.pad(image, pad, mode="symmetric")
    pixels = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        with autocast():
            blocks = model.blocks(pixels.contiguous(memory_format=torch.channels_last))
        # Map by map, and only then spread over the pixels: interleaved as the network leaves them
        # this takes as long as the network.
        rows, columns = -(-height // (2 * head.zoom)), -(-width // (2 * head.zoom))
        some = blocks[0, : 4 * count, :rows, :columns].permute(1, 2, 0).reshape(-1, 4 * count)
        logits = some.t().contiguous().float().view(1, count, 4, -1)
        maps = head.activate(logits).view(count, 2, 2, rows, columns).permute(0, 3, 1, 4, 2)
        full = maps.reshape(1, count, 2 * rows, 2 * columns)
        if head.zoom > 1:
            full = torch.nn.functional.interpolate(full, scale_factor=head.zoom)
    return full[0, :, :height, :width].numpy()


def _tiles(side: int) -> tuple[list[int], int]:
    """Where along a side tiles start, and how long they are: no more than it takes."""
    if side <= TILE_PX:
        return [0], side
    count = -(-(side - OVERLAP_PX) // (TILE_PX - OVERLAP_PX))
    length = -(-(side + (count - 1) * OVERLAP_PX) // count)
    return [round(i * (side - length) / (count - 1)) for i in range(count)], length


def predict(
    model: Unet | RegionNet | KindNet,
    head: Head | RegionHead | KindHead,
    image: np.ndarray,
    count: int | None = None,
) -> np.ndarray:
    """Probability maps, float32 (count, H, W), 0..1.

    Args:
        model: the network.
        head: what its maps are.
        image: uint8 (H, W, 3), RGB, at the scale of the network.
        count: the first so many maps alone, in whole groups of the head; all when None.
    """
    count = head.outputs if count is None else count
    height, width = image.shape[:2]
    if max(height, width) <= WHOLE_PX:
        return _run(model, head, image, count)
    maps = np.zeros((count, height, width), np.float32)
    margin = OVERLAP_PX // 2
    (ys, tall), (xs, wide) = _tiles(height), _tiles(width)
    for y in ys:
        for x in xs:
            part = _run(model, head, image[y : y + tall, x : x + wide], count)
            top, left = (margin if y else 0), (margin if x else 0)
            maps[:, y + top : y + tall, x + left : x + wide] = part[:, top:, left:]
    return maps
