"""From a picture to probability maps, whole or in overlapping tiles."""

from __future__ import annotations

import numpy as np
import torch

from miner.bfloat16 import autocast
from segmenters.unet.model import STRIDE, Unet
from segmenters.unet.outputs import Head

# Pictures up to this side are shown whole (about 150 MB of activations); larger ones in tiles.
WHOLE_PX = 1152
TILE_PX = 1024
# The network sees some 60 pixels around each; what lies nearer to a seam is thrown away.
OVERLAP_PX = 128


def _run(model: Unet, head: Head, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    pad = ((0, -height % STRIDE + STRIDE), (0, -width % STRIDE + STRIDE), (0, 0))
    padded = np.pad(image, pad, mode="symmetric")
    pixels = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        with autocast():
            logits = model(pixels.contiguous(memory_format=torch.channels_last)).float()
        k = len(head.sigmoid)
        maps = torch.cat([torch.sigmoid(logits[:, :k]), torch.softmax(logits[:, k:], dim=1)], 1)
    return maps[0, :, :height, :width].numpy()


def _starts(side: int) -> list[int]:
    if side <= TILE_PX:
        return [0]
    count = -(-(side - OVERLAP_PX) // (TILE_PX - OVERLAP_PX))
    return [round(i * (side - TILE_PX) / (count - 1)) for i in range(count)]


def predict(model: Unet, head: Head, image: np.ndarray) -> np.ndarray:
    """Probability maps, float32 (outputs, H, W), 0..1.

    Args:
        model: the network.
        head: what its maps are.
        image: uint8 (H, W, 3), RGB, at `head.mpp`.
    """
    height, width = image.shape[:2]
    if max(height, width) <= WHOLE_PX:
        return _run(model, head, image)
    maps = np.zeros((head.outputs, height, width), np.float32)
    margin = OVERLAP_PX // 2
    for y in _starts(height):
        for x in _starts(width):
            part = _run(model, head, image[y : y + TILE_PX, x : x + TILE_PX])
            top, left = (margin if y else 0), (margin if x else 0)
            maps[:, y + top : y + TILE_PX, x + left : x + TILE_PX] = part[:, top:, left:]
    return maps
