"""Label maps in PNG files: which pixels belong to which object, whatever way the ids are written.

VOC, CVAT and QuPath write ids as palette entries or as colours. Two objects are never taken for
one: what can be read in two ways is refused.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from miner.core.errors import lacks_memory
from miner.core.pixels import opened
from miner.core.png import SIGNATURE, BadPicture, essential

# VOC's palette entry for outlines that belong to nobody.
_VOC_VOID, _VOC_CREAM = 255, (224, 224, 192)
_BLACK = 0


class BadMask(ValueError):
    """A mask that cannot be used; the message is the reason."""


def read_label_map(path: Path, height: int, width: int) -> np.ndarray:
    """Label map of a picture.

    Args:
        path: PNG of numbers, palette entries or colours. The background is 0, the palette's first
            entry, black, or what is transparent.
        height: of the picture.
        width: of the picture.

    Returns:
        int32 (height, width), 0 background.

    Raises:
        BadMask: `unreadable_mask`, `another_size`, `ambiguous_colours`.
    """
    try:
        data = path.read_bytes()
        image = opened(essential(data) if data[:8] == SIGNATURE else data)
    except (OSError, BadPicture):
        raise BadMask("unreadable_mask") from None
    if image.size != (width, height):
        raise BadMask("another_size")
    deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    try:
        image.load()
    except Exception as error:  # whatever a decoder makes of damage costs this mask
        if lacks_memory(error):
            raise
        raise BadMask("unreadable_mask") from None
    if image.mode == "P":
        return _by_entry(image)
    if image.mode in ("1", "L") or image.mode.startswith("I"):
        return np.asarray(image).astype(np.int32)
    # Pillow keeps the upper byte of 16-bit colours: ids would fall together.
    if image.mode in ("LA", "RGB", "RGBA") and not deep:
        return _by_colour(np.asarray(image.convert("RGBA")), image.mode != "RGB")
    raise BadMask("unreadable_mask")


def _by_entry(image: Image.Image) -> np.ndarray:
    """Ids are the palette's entries, where the first is plainly the background."""
    labels = np.asarray(image).astype(np.int32)
    colours = np.zeros((256, 3), int)
    palette = np.array(image.getpalette() or [], int).reshape(-1, 3)[:256]
    colours[: len(palette)] = palette
    if len(palette) > _VOC_VOID and tuple(palette[_VOC_VOID]) == _VOC_CREAM:
        labels[labels == _VOC_VOID] = 0
    used = np.unique(labels)
    others = used[used > 0]
    black_elsewhere = colours[0].any() and not colours[others[others < len(palette)]].any(1).all()
    alpha = image.info.get("transparency", b"")
    clear = {alpha} if isinstance(alpha, int) else {i for i, a in enumerate(alpha) if a == 0}
    if black_elsewhere or clear & set(others.tolist()):
        raise BadMask("ambiguous_colours")
    return labels


def _by_colour(rgba: np.ndarray, has_alpha: bool) -> np.ndarray:
    """Ids are colours; background is what is transparent, else what is black."""
    keys = rgba[..., :3].astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    clear = rgba[..., 3] == 0 if has_alpha else np.zeros(keys.shape, bool)
    ground = clear if clear.any() else keys == _BLACK
    grey = bool((rgba[..., :1] == rgba[..., :3]).all())
    two_grounds = clear.any() and bool((keys[~clear] == _BLACK).any())
    if two_grounds or not (ground.any() or grey):
        raise BadMask("ambiguous_colours")
    labels = np.zeros(keys.shape, np.int32)
    labels[~ground] = np.unique(keys[~ground], return_inverse=True)[1].reshape(-1) + 1
    return labels
