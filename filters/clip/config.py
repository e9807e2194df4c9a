"""Settings of the CLIP agreement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pydantic

from miner.core.settings import MODEL, Files, Settings, files_at

TEMPLATES = (
    "{}",
    "a histopathology image of {}",
    "an H&E image showing {}",
    "{} in a tissue section",
)


class ClipConfig(Settings):
    """Which CLIP judges the regions, and what it compares them with.

    Attributes:
        model: "embedded" for the small CLIP that comes with the package, else a folder or a hub id
            of a transformers checkpoint (CLIP or SigLIP class), or a folder written by
            `miner models convert`.
        revision: revision of a hub id.
        device: torch device of such a model; the embedded one runs on the CPU.
        regions: "dense" pools the features of one forward pass under every mask; "crops" encodes
            one crop a region.
        long_side_px: pictures with a longer side are scaled down to it before the dense pass; None
            lets the model choose.
        context: side of a crop relative to the longer side of the region's bounding box.
        outside: what a crop shows outside the region: blurred, mean grey, or left as it is.
        templates: texts around a phrase; a phrase's embedding is the mean over them.
        random_regions: copies of the mask at random places of the picture.
        sibling_phrases: most sibling concepts that a phrase is ranked among.
        absent_phrases: concepts of the table that nobody asked for in the picture.
        max_instances: single objects judged per candidate (evenly spaced over their order).
        max_area_fraction: a region above this share of the picture has no complement to speak of;
            its agreement is undefined.
        min_area_px: a smaller region is not judged.
        batch_size: crops per forward pass.
        seed: for the places of random regions.
    """

    model: str = "embedded"
    revision: str | None = None
    device: str = "cpu"
    regions: Literal["dense", "crops"] = "dense"
    long_side_px: int | None = pydantic.Field(default=None, ge=64)
    context: float = pydantic.Field(default=1.5, ge=1.0)
    outside: Literal["blur", "grey", "keep"] = "blur"
    templates: tuple[str, ...] = TEMPLATES
    random_regions: int = pydantic.Field(default=4, ge=0)
    sibling_phrases: int = pydantic.Field(default=24, ge=1)
    absent_phrases: int = pydantic.Field(default=8, ge=0)
    max_instances: int = pydantic.Field(default=32, ge=0)
    max_area_fraction: float = pydantic.Field(default=0.9, gt=0.0, le=1.0)
    min_area_px: int = pydantic.Field(default=16, ge=1)
    batch_size: int = pydantic.Field(default=32, ge=1)
    seed: int = 0

    def files(self) -> Mapping[str, Files]:
        """The model, where it is not left to the hub."""
        shipped = Path(__file__).parent / "data/small_clip.safetensors"
        return {"model": files_at(shipped if self.model == "embedded" else self.model, MODEL)}

    @pydantic.field_validator("templates")
    @classmethod
    def _one_slot(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        if not templates or any(template.count("{}") != 1 for template in templates):
            raise ValueError("every template needs exactly one {}")
        return templates
