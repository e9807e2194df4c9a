"""Models through transformers: strict loading, and preprocessing without torchvision.

Preprocessing follows the model's own `preprocessor_config.json`; transformers' image processors
for the newest models need torchvision, which this package does without.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from miner.core.errors import Refused
from segmenters.biomedparse.predict import check_device


def load_model(cls: Any, source: str, field: str, device: str) -> Any:
    """A transformers model with all of its weights, in evaluation mode.

    Args:
        cls: model class.
        source: folder or hub id.
        field: of the configuration, for messages.
        device: where it goes.

    Raises:
        Refused: it is not there, or the weights leave part of the model random.
    """
    check_device(device)
    try:
        model, report = cls.from_pretrained(
            source, output_loading_info=True, trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise Refused(f"{field}: no {cls.__name__} at {source} ({_first(error)})") from None
    missing = sorted(report["missing_keys"])
    if missing:
        raise Refused(f"{field}: {source} lacks {len(missing)} tensors, first {missing[0]}")
    return model.to(device).requires_grad_(False).eval()


def load_tokenizer(source: str, field: str) -> Any:
    """The tokenizer that lies with a model.

    Raises:
        Refused: there is none.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise Refused(f"{field}: no tokenizer at {source} ({_first(error)})") from None


def _first(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How a model wants its pictures.

    Attributes:
        height: in px; the shortest side when `longest` is given.
        width: in px.
        longest: bound of the longest side in px where the aspect is kept.
        mean: of 0..1 RGB.
        std: of 0..1 RGB.
        resample: PIL's filter.
    """

    height: int
    width: int
    longest: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: int = Image.Resampling.BILINEAR

    def __call__(self, image: np.ndarray) -> torch.Tensor:
        """Picture uint8 (H, W, 3) to float32 (1, 3, h, w)."""
        height, width = image.shape[:2]
        if self.longest is None:
            size = (self.width, self.height)
        else:
            scale = min(self.height / min(height, width), self.longest / max(height, width))
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
        resized = Image.fromarray(image).resize(size, Image.Resampling(self.resample))
        x = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255
        mean = torch.tensor(self.mean).view(3, 1, 1)
        std = torch.tensor(self.std).view(3, 1, 1)
        return ((x - mean) / std)[None]


def preprocessing(source: str, default: Preprocessing) -> Preprocessing:
    """What a model's `preprocessor_config.json` says, and the default for what it does not.

    Args:
        source: folder or hub id; with no such file in it the default is taken.
        default: the published setting of the model's kind.
    """
    from transformers.utils import cached_file

    try:
        path = cached_file(
            source, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False
        )
    except OSError:
        path = None
    said = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    size = said.get("size", {})
    if isinstance(size, int):
        size = {"height": size, "width": size}
    short = size.get("shortest_edge")
    return Preprocessing(
        height=short or size.get("height", default.height),
        width=short or size.get("width", default.width),
        longest=size.get("longest_edge", default.longest) if short or not size else None,
        mean=tuple(said.get("image_mean", default.mean)),
        std=tuple(said.get("image_std", default.std)),
        resample=said.get("resample", default.resample),
    )


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
