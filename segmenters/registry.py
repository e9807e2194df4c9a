"""Which class answers for which `kind` of the configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from miner.errors import Refused
from segmenters.config import SegmentConfig
from segmenters.protocol import Segmenter


def _embedded(config: Any, threads: int) -> Segmenter:
    from segmenters.embedded import EmbeddedSegmenter

    return EmbeddedSegmenter()


def _stain(config: Any, threads: int) -> Segmenter:
    from segmenters.stain import StainSegmenter

    return StainSegmenter()


def _unet(config: Any, threads: int) -> Segmenter:
    from segmenters.unet import UnetSegmenter

    return UnetSegmenter()


def _biomedparse(config: Any, threads: int) -> Segmenter:
    from segmenters.biomedparse.segmenter import build

    return build(config)


def _clipseg(config: Any, threads: int) -> Segmenter:
    from segmenters.clipseg import build

    return build(config)


def _sam3(config: Any, threads: int) -> Segmenter:
    from segmenters.sam import build

    return build(config)


def _grounding_dino(config: Any, threads: int) -> Segmenter:
    from segmenters.grounding_dino import build

    return build(config)


def _exported(config: Any, threads: int) -> Segmenter:
    from segmenters.exported import ExportedSegmenter

    return ExportedSegmenter(config, threads)


def _mask_files(config: Any, threads: int) -> Segmenter:
    from segmenters.mask_files import MaskFilesSegmenter

    return MaskFilesSegmenter(config)


# Imports happen in the builders: a run loads only the libraries of the segmenters it uses.
SEGMENTERS: Mapping[str, Callable[[Any, int], Segmenter]] = {
    "embedded": _embedded,
    "stain": _stain,
    "unet": _unet,
    "biomedparse": _biomedparse,
    "clipseg": _clipseg,
    "sam3": _sam3,
    "grounding_dino": _grounding_dino,
    "exported": _exported,
    "mask-files": _mask_files,
}


def build(config: SegmentConfig, threads: int = 1) -> list[Segmenter]:
    """Build the configured segmenters, in their order.

    Raises:
        Refused: a model is missing or does not fit; the message names file and field.
    """
    names = [getattr(one, "name", "") or one.kind for one in config.segmenters]
    if len(set(names)) != len(names):
        raise Refused(f"segment.segmenters: two have the same name, got {names}; set `name`")
    return [SEGMENTERS[one.kind](one, threads) for one in config.segmenters]


# Settings that name a model's file, folder or hub id.
_MODELS = ("checkpoint", "model", "detector", "sam")


def checksums(config: SegmentConfig) -> dict[str, str]:
    """SHA-256 of every model file that the configuration names by a local path.

    For the record of a run: the path alone does not say which weights answered. Of a folder, the
    weight files count.

    Returns:
        "{segmenter name}.{setting}" or "{segmenter name}.{setting}/{file}" to hexadecimal digest.
    """
    found = {}
    parts: list[Any] = [*config.segmenters, *([config.refine] if config.refine else [])]
    for part in parts:
        name = getattr(part, "name", "") or getattr(part, "kind", "refine")
        for setting in _MODELS:
            path = Path(getattr(part, setting, "")).expanduser()
            if path.is_file():
                found[f"{name}.{setting}"] = _sha256(path)
            elif getattr(part, setting, "") and path.is_dir():
                for file in sorted(path.iterdir()):
                    if file.suffix in (".pt", ".safetensors", ".bin", ".onnx"):
                        found[f"{name}.{setting}/{file.name}"] = _sha256(file)
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
