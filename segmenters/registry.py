"""Which class answers for which `kind` of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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


# Imports happen in the builders: a run loads only the libraries of the segmenters it uses.
SEGMENTERS: Mapping[str, Callable[[Any, int], Segmenter]] = {
    "embedded": _embedded,
    "stain": _stain,
    "unet": _unet,
    "biomedparse": _biomedparse,
}


def build(config: SegmentConfig, threads: int = 1) -> list[Segmenter]:
    """Build the configured segmenters, in their order.

    Raises:
        Refused: a model is missing or does not fit; the message names file and field.
    """
    return [SEGMENTERS[one.kind](one, threads) for one in config.segmenters]
