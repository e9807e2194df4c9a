"""Histomine, captions to mentions: which visible structures a caption names, and how surely."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ner.mentions import Extraction

__all__ = ["extract"]


def extract(caption: str) -> Extraction:
    """Return the mentions and facts of one caption; needs no model.

    Args:
        caption: any text; offsets are end-exclusive characters into it as given.
    """
    from ner.extractor import default

    return default()(caption)
