"""Settings of the segmenters."""

from typing import Literal

from miner.settings import Settings


class StainConfig(Settings):
    """The embedded rule-based segmenter."""

    kind: Literal["stain"] = "stain"


class SegmentConfig(Settings):
    """Which segmenters answer, and what they are asked.

    Attributes:
        segmenters: asked in this order; each answers every phrase that it supports.
        decoys: absent concepts asked for per image, for the false-discovery rate.
    """

    segmenters: tuple[StainConfig, ...] = (StainConfig(),)
    decoys: int = 2
