"""The configured segmenters."""

from __future__ import annotations

from miner.core.errors import Refused
from miner.core.parts import find
from segmenters.config import SegmentConfig
from segmenters.protocol import Segmenter


def build(config: SegmentConfig, threads: int = 1) -> list[Segmenter]:
    """Build the configured segmenters, in their order.

    Raises:
        Refused: a model is missing or does not fit; the message names file and field.
    """
    built = [find("segmenters", one.kind).build(one, threads) for one in config.segmenters]
    names = [segmenter.name for segmenter in built]
    if len(set(names)) != len(names):
        raise Refused(f"segment.segmenters: two have the same name, got {names}; set `name`")
    return built
