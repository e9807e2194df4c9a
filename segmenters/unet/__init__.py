"""The small learned segmenter."""

from segmenters.unet.segmenter import UnetSegmenter

__all__ = ["UnetSegmenter"]
