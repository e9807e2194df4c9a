"""Pictures as a checkpoint wants them, from the checkpoint's own files, without torchvision."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image

from miner.core.errors import Refused

# open_clip names the interpolation, transformers gives Pillow's number.
INTERPOLATION: Mapping[str, int] = {"nearest": 0, "bilinear": 2, "bicubic": 3}


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """What is done to a picture before the first layer.

    Attributes:
        side_px: side of the square input.
        mean: per channel, of values 0..1.
        std: per channel, of values 0..1.
        resample: Pillow's number of the interpolation.
        scale: factor that brings the values to 0..1.
        crop: whether the shorter side is scaled to `side_px` and the centre cut out; else both
            sides are scaled to it.
    """

    side_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int = 3
    scale: float = 1 / 255
    crop: bool = True

    def tensor(self, picture: np.ndarray) -> torch.Tensor:
        """Scaled and centred values without any resizing: float32 (3, H, W).

        Args:
            picture: uint8 (H, W, 3), RGB.
        """
        values = picture.astype(np.float32) * np.float32(self.scale)
        values = (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))

    def resize(self, picture: np.ndarray, width: int, height: int) -> np.ndarray:
        """The picture at another size, with the checkpoint's interpolation."""
        if picture.shape[:2] == (height, width):
            return picture
        method = Image.Resampling(self.resample)
        return np.asarray(Image.fromarray(picture).resize((width, height), method))

    def __call__(self, picture: np.ndarray) -> torch.Tensor:
        """The whole treatment: float32 (3, side_px, side_px)."""
        height, width = picture.shape[:2]
        side = self.side_px
        if not self.crop:
            return self.tensor(self.resize(picture, side, side))
        short = min(height, width)
        resized = self.resize(picture, int(side * width / short), int(side * height / short))
        top, left = (resized.shape[0] - side) // 2, (resized.shape[1] - side) // 2
        return self.tensor(resized[top : top + side, left : left + side])


def _side(size: Any) -> int | None:
    """Side from any of the ways a processor states a size."""
    if isinstance(size, Mapping):
        size = size.get("shortest_edge") or size.get("height")
    if isinstance(size, list | tuple):
        size = size[0]
    return int(size) if size else None


def from_files(files: Mapping[str, str], side_px: int, where: str) -> Preprocess:
    """Read `preprocessor_config.json`, or what open_clip writes.

    Args:
        files: name -> content of those files that exist.
        side_px: side that the vision model was built for.
        where: what to call the checkpoint in messages.

    Raises:
        Refused: none of the files exists or one is broken.
    """
    for name, content in files.items():
        try:
            stated = json.loads(content)
        except ValueError as error:
            raise Refused(f"{where}/{name}: no JSON: {error}") from None
        if name == "preprocessor_config.json":
            crop = bool(stated.get("do_center_crop", "crop_size" in stated))
            side = _side(stated.get("crop_size")) if crop else _side(stated.get("size"))
            return Preprocess(
                side or _side(stated.get("size")) or side_px,
                tuple(stated["image_mean"]),
                tuple(stated["image_std"]),
                int(stated.get("resample", 3)),
                float(stated.get("rescale_factor", 1 / 255)),
                crop,
            )
        if "preprocess_cfg" in stated:
            chosen = stated["preprocess_cfg"]
            return Preprocess(
                _side(chosen.get("size")) or side_px,
                tuple(chosen["mean"]),
                tuple(chosen["std"]),
                INTERPOLATION[chosen.get("interpolation", "bicubic")],
                crop=chosen.get("resize_mode", "shortest") == "shortest",
            )
    raise Refused(f"{where}: no preprocessor_config.json, so the input is not defined")
