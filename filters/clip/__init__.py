"""CLIP agreement: does the region look like what the phrase names?"""

from filters.clip.agreement import SCORES, ClipAgreement
from filters.clip.config import ClipConfig

__all__ = ["SCORES", "ClipAgreement", "ClipConfig"]
