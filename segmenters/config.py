"""Settings of the segmenting stage; each segmenter has its own beside its class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import pydantic

from miner.core.chosen import In
from miner.core.parts import find
from miner.core.settings import MODEL, Files, PartSettings, Settings, files_at


class RefineConfig(Settings):
    """Redraw every candidate from its boxes with SAM or MedSAM.

    Attributes:
        model: folder or hub id.
        device: as for the segmenters.
        replace: take SAM's mask; otherwise keep the candidate's and only record the agreement.
        max_boxes: candidates of more objects are left alone.
    """

    model: str
    device: str = "cpu"
    replace: bool = False
    max_boxes: int = pydantic.Field(default=64, ge=1)

    def files(self) -> Mapping[str, Files]:
        """The model, where it is not left to the hub."""
        return {"model": files_at(self.model, MODEL)}


def _shipped() -> tuple[PartSettings, ...]:
    return (find("segmenters", "embedded").Settings(kind="embedded"),)


class SegmentConfig(Settings):
    """Which segmenters answer, and what they are asked.

    Attributes:
        segmenters: asked in this order; each answers every phrase that it supports.
        decoys: absent concepts asked for per image, for the false-discovery rate.
        refine: redraw candidates with SAM.
    """

    segmenters: tuple[Annotated[PartSettings, In("segmenters")], ...] = pydantic.Field(
        default_factory=_shipped, min_length=1
    )
    decoys: int = pydantic.Field(default=2, ge=0)
    refine: RefineConfig | None = None

    def columns(self) -> dict[str, str]:
        """Scores that the segmenters give their candidates, and what each means."""
        parts = [find("segmenters", one.kind) for one in self.segmenters]
        found = {name: said for part in parts for name, said in part.columns.items()}
        if len(parts) > 1:
            found["ensemble_iou"] = "mean IoU with the masks of the other segmenters, 0..1"
        if self.refine is not None:
            found["refine_iou"] = "IoU with what SAM drew from the boxes of the mask, 0..1"
        return found
