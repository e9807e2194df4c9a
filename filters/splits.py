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
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    at = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares.values())
    for name, share in sorted(shares.items()):
        at -= share
        if at < 0:
            return name
    return name
