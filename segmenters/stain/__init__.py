"""The rule-based embedded segmenter: colour, thresholds, watershed and shape; no weights."""

from segmenters.stain.segmenter import StainSegmenter

__all__ = ["StainSegmenter"]
