"""Masks of compound figures: a phrase is looked for in the panels that its words speak of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from miner.core.rows import MentionRow, PanelRow
from ner.panels import letters_at, parts
from segmenters.protocol import Candidate

OUTSIDE = "outside_panel"


def letters_of(
    captions: Iterable[tuple[str, Sequence[MentionRow]]],
) -> dict[str, frozenset[str] | None]:
    """Panels by concept that captions of a figure affirm; None where one speaks of all of it.

    Args:
        captions: text and its mentions.
    """
    found: dict[str, frozenset[str] | None] = {}
    for caption, mentions in captions:
        cut = parts(caption)
        for mention in mentions:
            if not mention["groundable"]:
                continue
            here = letters_at(cut, mention["start"]) or None
            known = found.get(mention["concept"], frozenset())
            both = None if here is None or known is None else known | here
            found[mention["concept"]] = both
    return found


def within(
    candidate: Candidate,
    panels: Sequence[PanelRow],
    letters: Mapping[str, frozenset[str] | None],
) -> Candidate:
    """A candidate without what lies in other panels; decoys and experts' outlines stay whole."""
    wanted = letters.get(candidate.concept)
    if candidate.mask is None or wanted is None or candidate.trusted:
        return candidate
    inside = np.zeros(candidate.mask.shape, bool)
    for panel in panels:
        if panel["letter"] in wanted:
            x1, y1, x2, y2 = panel["box"]
            inside[y1:y2, x1:x2] = True
    mask = candidate.mask & inside
    if not mask.any():
        return dataclasses.replace(
            candidate, mask=None, labels=None, counts=None, instances=None, reason=OUTSIDE
        )
    labels = None if candidate.labels is None else np.where(inside, candidate.labels, 0)
    return dataclasses.replace(candidate, mask=mask, labels=labels, counts=None, instances=None)
