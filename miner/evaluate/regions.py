"""Every mined region once per picture, and what experts say of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from miner.core.errors import Refused
from miner.core.masks import decode
from miner.core.rle import decode_labels
from miner.core.store import Store
from miner.evaluate.instances import Matched, match
from miner.evaluate.places import Picture
from miner.evaluate.truth import Truth
from miner.report.ledger import ledger_table
from shards.sample import GroundedSample, Region
from shards.stored import stored

RIGHT_IOU = 0.5


@dataclasses.dataclass(frozen=True)
class Judged:
    """One mined region and what the experts say of it.

    Attributes:
        key: of the first sample that has it.
        corpus: of the picture.
        image: name of the picture.
        group: video, article, patient or slide.
        strata: value by dimension, such as organ.
        concept: canonical name.
        iou: intersection over union with the expert mask, 0 where the concept is known to be
            absent, None where nobody outlined it.
        dice: Dice coefficient, likewise.
        score: the decision's, None where an auditor drew it.
        objects: single objects matched with the expert's; None where there are none to match.
        judged_as: the concept whose truth it is held against (see `Truth.answering`), None for its
            own.
    """

    key: str
    corpus: str
    image: str
    group: str
    strata: Mapping[str, str]
    concept: str
    iou: float | None
    dice: float | None
    score: float | None
    objects: Matched | None = None
    judged_as: str | None = None

    @property
    def right(self) -> bool | None:
        """Whether the IoU is at least .5; None where nobody judged it."""
        return None if self.iou is None else self.iou >= RIGHT_IOU


def written(store: Store) -> Iterator[GroundedSample]:
    """Samples of all shards, in order; raises `Refused` where there are none."""
    return (one.value for one in stored(store))


def pictures_of(store: Store) -> list[Picture]:
    """Every picture of a run: by its ledger where it has one, else those in its shards."""
    if not store.names("ledger/samples", suffix=".parquet"):
        return sorted({(sample["corpus"], sample["image"]) for sample in written(store)})
    rows = ledger_table(store, "samples", ["corpus", "image"])
    pairs = zip(rows["corpus"].to_pylist(), rows["image"].to_pylist(), strict=True)
    return sorted({(corpus, image) for corpus, image in pairs if image})


def judged(store: Store, truth: Truth) -> list[Judged]:
    """All regions of the shards; a mask that several captions of a picture name counts once."""
    found: dict[tuple[str, str, str], Judged] = {}
    for sample in written(store):
        for region in sample["regions"]:
            place = sample["corpus"], sample["image"], region["concept"]
            if place not in found:
                found[place] = judge(sample, region, truth)
    return list(found.values())


def judge(sample: GroundedSample, region: Region, truth: Truth) -> Judged:
    """Hold one region of a sample against the truth.

    Raises:
        Refused: the label map is of another size than the picture.
    """
    picture = sample["corpus"], sample["image"]
    judged_as = truth.answering(*picture, region["concept"], region.get("asked_as"))
    place = *picture, judged_as
    labels = truth.labels(*place)
    iou = dice = 0.0 if truth.absent(*place) else None
    objects = None
    if labels is not None:
        height, width = region["rle"]["size"]
        size = (height, width)
        if labels.shape != size:
            raise Refused(
                f"--masks: the label map of {judged_as} in {sample['corpus']}/"
                f"{sample['image']} is of {labels.shape}, the picture of {size}"
            )
        outlined, mask = labels > 0, decode(region["rle"]["counts"], *size)
        both, either = int((outlined & mask).sum()), int((outlined | mask).sum())
        iou, dice = both / either, 2 * both / (both + either)
        if region["instances"]:
            counts = [one["counts"] for one in region["instances"]]
            objects = match(decode_labels(counts, size), labels.astype(np.int64))
    strata = (stratum.split("=", 1) for stratum in sample["strata"])
    return Judged(
        key=sample["key"],
        corpus=sample["corpus"],
        image=sample["image"],
        group=f"{sample['corpus']}/{sample['group']}",
        strata={k: v for k, v in strata if k != "corpus"},
        concept=region["concept"],
        iou=iou,
        dice=dice,
        score=region["score"],
        objects=objects,
        judged_as=None if judged_as == region["concept"] else judged_as,
    )
