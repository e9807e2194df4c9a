"""Splits by group: a video, article, patient or slide never straddles two of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def split_of(group: str, shares: Mapping[str, float], seed: int) -> str:
    """Split of a group, by hash: the same on any machine, whatever else is in the corpora.

    Splits are laid out by name, so that the order in which a file lists them changes nothing.

    Args:
        group: video id, PMID, patient or slide.
        shares: split -> share of the groups; positive, summing to 1.
        seed: another seed, another assignment.
    """
    at = _position(group, seed) * sum(shares.values())
    for name, share in sorted(shares.items()):
        at -= share
        if at < 0:
            return name
    return name


def distance(group: str, split: str, shares: Mapping[str, float], seed: int) -> float:
    """How far the hash of a group is from a split of these shares, 0 (in it) to 1.

    Args:
        group: as for `split_of`.
        split: one of `shares`.
        shares: as for `split_of`.
        seed: as for `split_of`.
    """
    total = sum(shares.values())
    at = _position(group, seed) * total
    start = sum(share for name, share in shares.items() if name < split)
    return max(start - at, at - (start + shares[split]), 0.0) / total


def _position(group: str, seed: int) -> float:
    """A number of [0, 1)."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
