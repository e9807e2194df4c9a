"""Promises about what a run says to be there, to be all of it, and not to be there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from filters.calibration.labelled import phantom_concepts
from miner.core.masks import decode
from miner.core.store import Store
from miner.evaluate.known import StatedConcept, stated
from miner.evaluate.truth import Truth
from shards.export.run import samples
from shards.instruct.denials import absences, refuse
from shards.instruct.numbers import said as told
from shards.known import is_whole
from shards.sample import GroundedSample
from tests.verify.promise import Promise, promise, skipped

CERTAIN = 0.9
RECALL, REACHED = 0.8, 0.9  # of the pixels, of the objects: what is promised to be all


class Complete(Truth):
    """Phantoms: what they can show and has no label map is not there."""

    def absent(self, corpus: str, image: str, concept: str) -> bool:
        """Whether the concept is not in the phantom."""
        return concept in phantom_concepts() and not self.outlined(corpus, image, concept)


def known(corpora: Path, out: Path) -> Iterator[Promise]:
    """Numbers, "all of it" and "no" of a run over phantoms, held against all that they show."""
    truth = Complete(corpora / "expert_masks")
    values = [s.value for s in samples(Store(str(out)))]
    found = stated(values, truth)
    yield _intervals(found)
    yield _numbers(found)
    yield _wholes(values, truth)
    yield _absences(found)
    yield _refusals(values, truth)


def _intervals(found: list[StatedConcept]) -> Promise:
    held = [s.interval[0] <= s.outlined <= s.interval[1] for s in found if s.interval]
    return _share("stated intervals of a number hold the true one", held, 0.95)


def _numbers(found: list[StatedConcept]) -> Promise:
    right = []
    for one in found:
        if one.interval is None or one.count is None:
            continue
        low, high = one.interval
        words = told({"low": low, "n": one.count, "high": high})
        if words and words.isdigit():
            right.append(abs(one.count - one.outlined) <= 0.1 * one.outlined)
    return _share("numbers told exactly are within 10 %", right, 0.9)


def _wholes(values: list[GroundedSample], truth: Truth) -> Promise:
    right = []
    for value in values:
        for region in value["regions"]:
            labels = truth.labels(value["corpus"], value["image"], region["concept"])
            if labels is None or not is_whole(region, CERTAIN):
                continue
            mask = decode(region["rle"]["counts"], *region["rle"]["size"])
            sizes = np.bincount(labels.ravel())[1:]
            under = np.bincount(labels[mask].ravel(), minlength=len(sizes) + 1)[1:]
            reached = (under[sizes > 0] >= sizes[sizes > 0] / 2).mean()
            whole = under.sum() >= RECALL * sizes.sum()
            right.append(whole and (region["kind"] == "stuff" or reached >= REACHED))
    return _share(f"regions said to be all of it (exhaustive >= {CERTAIN})", right, CERTAIN)


def _absences(found: list[StatedConcept]) -> Promise:
    gone = [s for s in found if s.state == "absent" and s.there is not None]
    wrong = sorted({s.concept for s in gone if s.there})
    what = "concepts stated to be absent that are there"
    figure = f"{sum(bool(s.there) for s in gone)} of {len(gone)} {', '.join(wrong)}".strip()
    return promise(what, "<= 2%", figure, sum(bool(s.there) for s in gone) <= 0.02 * len(gone))


def _refusals(values: list[GroundedSample], truth: Truth) -> Promise:
    """Everything that a refusal or "no" may be made of."""
    made, wrong = 0, []
    for value in values:
        if refuse(value, random.Random(value["key"])) is None:
            continue
        for concept, _ in absences(value):
            labels = truth.labels(value["corpus"], value["image"], concept)
            made += 1
            if labels is not None and labels.any():
                wrong.append(concept)
    figure = f"{len(wrong)} of {made} {', '.join(sorted(set(wrong)))}".strip()
    return promise("refusals of something that is there", "0", figure, not wrong)


def _share(what: str, right: list[bool], bar: float) -> Promise:
    if not right:
        return skipped(what, f">= {bar:.2f}", "none was told")
    share = float(np.mean(right))
    return promise(what, f">= {bar:.2f}", f"{share:.3f} of {len(right)}", share >= bar)
