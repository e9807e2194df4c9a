"""Captions that are the same, whatever case, marks and white space."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import numpy as np

_WORD = re.compile(r"\w+")


def said(caption: str | None) -> int | None:
    """A number that is equal where captions are: 64 bits of a hash of its words.

    Args:
        caption: as published; None or without a word says nothing.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", caption or "").casefold())
    if not words:
        return None
    digest = hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def same_caption(said: np.ndarray, picture: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Which row stands for each row: the best one of those with its caption.

    Rows of one picture are no duplicates: those of the picture of the best row stand for
    themselves, as does each row of another caption.

    Args:
        said: int64 (n,), see `said`.
        picture: int64 (n,), numbers of the pictures, in order of their names.
        ranks: float (n, k); smaller is better, ties by picture.

    Returns:
        int64 (n,).
    """
    order = np.lexsort((picture, *ranks.T[::-1]))
    _, first, equal = np.unique(said[order], return_index=True, return_inverse=True)
    best = np.empty(len(order), np.int64)
    best[order] = order[first[equal]]
    return np.where(picture[best] == picture, np.arange(len(order)), best)
