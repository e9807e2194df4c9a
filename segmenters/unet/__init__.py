"""The small learned segmenter."""

from segmenters.unet.kinds import KINDS
from segmenters.unet.segmenter import UnetSegmenter

__all__ = ["KINDS", "UnetSegmenter"]
