"""What samples say is there, not there and unknown, and how many, held against the experts."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from miner.core.masks import decode
from miner.core.rle import decode_labels
from miner.core.store import Store
from miner.evaluate.instances import hit_ious
from miner.evaluate.regions import written
from miner.evaluate.truth import Truth
from shards.known import states
from shards.sample import GroundedSample, State

IOUS = np.linspace(0.5, 0.95, 10)  # at which localisation is judged
RIGHT_IOU = 0.5
ORDER: tuple[State, ...] = (
    "present",
    "absent",
    "unknown",
)  # of two captions of a picture the first of these counts

Place = tuple[str, str, str]  # corpus, image, concept


@dataclasses.dataclass(frozen=True)
class StatedConcept:
    """What a sample says of one concept in one picture, and the truth.

    Attributes:
        concept: canonical name.
        state: present, absent or unknown.
        there: whether it is in the picture; None where no expert tells.
        outlined: the expert's objects, 1 for a substance.
        mined: ours.
        hits: IoU of every pair of these above .5.
        iou: of the whole mask.
        recall: share of the expert's pixels under it.
        count: our number of objects, None for a substance or without a region.
        interval: fewest and most, None where nothing is said.
    """

    concept: str
    state: State
    there: bool | None
    outlined: int = 0
    mined: int = 0
    hits: tuple[float, ...] = ()
    iou: float = 0.0
    recall: float = 0.0
    count: int | None = None
    interval: tuple[int, int] | None = None


def known(
    store: Store, truth: Truth, asked_as: Mapping[Place, str | None] | None = None
) -> dict[str, Any]:
    """Figures of what is known, each concept once per picture of a written sample.

    Args:
        store: a finished OUT.
        truth: expert masks.
        asked_as: the concept that was asked for in the place of one, see `Truth.answering`.

    Returns:
        `states`: by state {stated, judged, there}: how often it is said, how often experts tell,
        and how often the concept is there then; `pmf1`: F1 of the objects of concepts that are
        there, mean over IoU .5 to .95; `il_mcc`: correlation (B. Matthews, 1975) of a mask with
        being there; `cgf1`, their product (N. Carion et al., SAM 3, 2025), None without concepts
        that are known to be absent; `concepts`: by name {there, recall, pixel_recall, counts,
        count_error, intervals, held}: pictures that show it, share of them with a right mask, share
        of its pixels, pictures with a number, the median of |ours - true| / true, those with an
        interval, and the share of these that hold the truth.
    """
    found = stated(written(store), truth, asked_as)
    judged = [s for s in found if s.there is not None]
    pmf1, mcc = _pmf1(judged), _mcc(judged)
    by_name: dict[str, list[StatedConcept]] = defaultdict(list)
    for one in judged:
        if one.there:
            by_name[one.concept].append(one)
    return {
        "states": {state: _state([s for s in found if s.state == state]) for state in ORDER},
        "pmf1": pmf1,
        "il_mcc": mcc,
        "cgf1": None if pmf1 is None or mcc is None else round(pmf1 * mcc, 4),
        "concepts": {name: _concept(some) for name, some in sorted(by_name.items())},
    }


def stated(
    samples: Iterable[GroundedSample],
    truth: Truth,
    asked_as: Mapping[Place, str | None] | None = None,
) -> list[StatedConcept]:
    """What is said of every concept that a sample names or a segmenter was asked for."""
    best: dict[Place, tuple[int, GroundedSample]] = {}
    for sample in samples:
        for concept, state in states(sample).items():
            place, rank = (sample["corpus"], sample["image"], concept), ORDER.index(state)
            if place not in best or rank < best[place][0]:
                best[place] = rank, sample
    others = asked_as or {}
    return [
        _stated(place, truth.answering(*place, others.get(place)), ORDER[rank], sample, truth)
        for place, (rank, sample) in best.items()
    ]


def _stated(
    place: Place, judged_as: str, state: State, sample: GroundedSample, truth: Truth
) -> StatedConcept:
    corpus, image, concept = place
    labels = truth.labels(corpus, image, judged_as)
    if labels is None:
        absent = truth.absent(corpus, image, judged_as)
        return StatedConcept(concept, state, False if absent else None)
    region = next((r for r in sample["regions"] if r["concept"] == concept), None)
    outlined = labels > 0
    there = bool(outlined.any())
    single = region is None or bool(region["instances"])
    theirs = labels.astype(np.int64) if single else outlined.astype(np.int64)
    number = len(np.unique(theirs[theirs > 0]))
    if region is None:
        return StatedConcept(concept, state, there, number)
    mask = decode(region["rle"]["counts"], *labels.shape)
    counts = [one["counts"] for one in region["instances"]]
    ours = decode_labels(counts, labels.shape) if single else mask.astype(np.int64)
    both = int((outlined & mask).sum())
    count = region.get("count")
    return StatedConcept(
        concept,
        state,
        there,
        number,
        len(np.unique(ours[ours > 0])),
        tuple(hit_ious(ours, theirs)),
        both / int((outlined | mask).sum()),
        both / max(int(outlined.sum()), 1),
        len(counts) if single else None,
        (count["low"], count["high"]) if count else None,
    )


def _state(some: Sequence[StatedConcept]) -> dict[str, int]:
    judged = [s for s in some if s.there is not None]
    there = sum(bool(s.there) for s in judged)
    return {"stated": len(some), "judged": len(judged), "there": there}


def _concept(some: Sequence[StatedConcept]) -> dict[str, Any]:
    """Figures of pictures that show the concept."""
    numbers = [(s.count, s.outlined) for s in some if s.count is not None]
    held = [s.interval[0] <= s.outlined <= s.interval[1] for s in some if s.interval]
    return {
        "there": len(some),
        "recall": round(float(np.mean([s.iou >= RIGHT_IOU for s in some])), 4),
        "pixel_recall": round(float(np.mean([s.recall for s in some])), 4),
        "counts": len(numbers),
        "count_error": (
            round(float(np.median([abs(n - true) / true for n, true in numbers])), 4)
            if numbers
            else None
        ),
        "intervals": len(held),
        "held": round(float(np.mean(held)), 4) if held else None,
    }


def _pmf1(judged: Sequence[StatedConcept]) -> float | None:
    """F1 of objects over all pictures that show their concept, mean over `IOUS`."""
    there = [s for s in judged if s.there]
    if not there:
        return None
    total = sum(s.outlined + s.mined for s in there)
    hits = np.array([iou for s in there for iou in s.hits])
    return round(float(np.mean([2 * (hits >= at).sum() / total for at in IOUS])), 4)


def _mcc(judged: Sequence[StatedConcept]) -> float | None:
    """Correlation of having a region with being there; None where all are, or none is."""
    there = np.array([bool(s.there) for s in judged])
    drawn = np.array([s.state == "present" for s in judged])
    if not len(there) or there.all() or not there.any():
        return None
    if drawn.all() or not drawn.any():
        return 0.0
    return round(float(np.corrcoef(there, drawn)[0, 1]), 4)
