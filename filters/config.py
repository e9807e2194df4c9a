"""Settings of the filters."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Annotated

import pydantic

from filters import decision, extent, references
from filters.clip.config import ClipConfig
from miner.core.chosen import In
from miner.core.llm_settings import LlmSettings
from miner.core.parts import find
from miner.core.settings import MODEL, Files, PartSettings, Settings, files_at

PRECISION = 0.9  # stated where no other target is set
TARGETS = ("precision", "fdr", "at_least", "at_most")  # settings that are one


class JudgeConfig(LlmSettings):
    """A vision model behind an OpenAI-compatible server, asked about each outlined crop.

    The key is read from the environment variable `key_env`, never from a file.

    Attributes:
        cache: folder of recorded answers; a crop whose answer is recorded makes no call. In a run
            whose OUT is local, `llm/` in OUT by default.
        budget: most calls of one worker; further candidates stay unjudged, with a note.
        crop_px: side of the crop that is sent.
    """

    in_flight: int = pydantic.Field(4, ge=1, le=256)
    retries: int = pydantic.Field(2, ge=0)
    budget: int | None = pydantic.Field(10_000, ge=0)
    crop_px: int = pydantic.Field(384, ge=64, le=2048)


class GeometryConfig(Settings):
    """When a mask cannot be right whatever it shows.

    Attributes:
        max_area_fraction: a mask that covers more of the picture is the picture, unless it is of a
            tissue and by a segmenter that the decision was fitted on.
        min_area_px: a smaller mask is a speck.
        max_speck_fraction: largest share of the area in specks.
        max_border_fraction: largest share of a cell's outline on the border, counted in edges of
            pixels; a disc cut in half has a third. Larger objects are cut as a matter of course:
            of 31 labelled glands with more 25 were right.
        size_factor: objects may be this many times smaller or larger than the concept table says.
        max_density_per_mm2: more objects than this do not fit side by side.
        same_mask_iou: two phrases with masks this alike got the same answer.
        min_inside_fraction: a part must lie this far inside of what it is a part of.
    """

    max_area_fraction: float = pydantic.Field(0.97, gt=0, le=1)
    min_area_px: int = pydantic.Field(16, ge=1)
    max_speck_fraction: float = pydantic.Field(0.5, gt=0, le=1)
    max_border_fraction: float = pydantic.Field(0.35, gt=0, le=1)
    size_factor: float = pydantic.Field(2.0, ge=1)
    max_density_per_mm2: float = pydantic.Field(40_000.0, gt=0)
    same_mask_iou: float = pydantic.Field(0.95, gt=0, le=1)
    min_inside_fraction: float = pydantic.Field(0.2, ge=0, le=1)


class FilterConfig(Settings):
    """Which masks are kept.

    Attributes:
        precision: wanted share of accepted masks with IoU >= .5 against the truth, on the
            labelled data of the calibration: a fixed threshold per concept family.
        fdr: wanted expected share of wrong masks among the accepted of this very run. Only one
            of the two can be set; with neither, and no raw thresholds, precision is 0.9.
        at_least: raw thresholds: score name -> smallest value that passes.
        at_most: raw thresholds: score name -> largest value that passes.
        absent_below: a negated or decoy phrase is confirmed absent when its mask scores below, and
            the probability that it is in the picture at all is below, too.
        support_alpha: pictures whose stain is rarer than this among the references are out of
            support; 0 switches the verdict off.
        references: "embedded", or a file written by `miner calibrate`.
        decision: "embedded", or a file written by `miner calibrate`.
        extent: what masks say of all that a picture shows; "embedded", or a file written by
            `python -m filters.calibration.fit_extent`.
        biomedparse_table: BiomedParse's `target_dist.json`; null: its test is not run.
        geometry: limits of the geometric verdicts.
        clip: the agreement model; null: no agreement scores.
        judge: the vision-model judge; not asked when left out.
        scores: further scores, from other packages; they are thresholds and columns like all.
    """

    precision: float | None = pydantic.Field(None, gt=0, lt=1)
    fdr: float | None = pydantic.Field(None, gt=0, lt=1)
    at_least: dict[str, float] = pydantic.Field(default_factory=dict)
    at_most: dict[str, float] = pydantic.Field(default_factory=dict)
    absent_below: float = pydantic.Field(0.2, ge=0, le=1)
    support_alpha: float = pydantic.Field(0.002, ge=0, lt=1)
    references: str = "embedded"
    decision: str = "embedded"
    extent: str = "embedded"
    biomedparse_table: str | None = None
    geometry: GeometryConfig = GeometryConfig()
    clip: ClipConfig | None = ClipConfig()
    judge: JudgeConfig | None = None
    scores: tuple[Annotated[PartSettings, In("scores")], ...] = ()

    @pydantic.model_validator(mode="after")
    def _one_target(self) -> FilterConfig:
        if self.precision is not None and self.fdr is not None:
            raise ValueError("precision and fdr are both set; either one replaces the other")
        return self

    def files(self) -> Mapping[str, Files]:
        """References, decision, extent and BiomedParse's table."""
        stated = {
            "references": references.EMBEDDED if self.references == "embedded" else self.references,
            "decision": decision.EMBEDDED if self.decision == "embedded" else self.decision,
            "extent": extent.EMBEDDED if self.extent == "embedded" else self.extent,
            "biomedparse_table": self.biomedparse_table,
        }
        return {name: {"": str(path)} for name, path in stated.items() if path is not None}

    def incidental(self) -> Set[str]:
        """A group of parts of which none is chosen is as good as one that nobody thought of."""
        return frozenset() if self.scores else {"scores"}

    def columns(self) -> dict[str, str]:
        """What `scores` add to the candidates, and what each means."""
        parts = [find("scores", one.kind) for one in self.scores]
        return {name: said for part in parts for name, said in part.columns.items()}

    @property
    def target(self) -> tuple[str, float] | None:
        """What the user asked for: ("precision", p), ("fdr", a), or None for raw thresholds."""
        if self.fdr is not None:
            return "fdr", self.fdr
        if self.precision is not None:
            return "precision", self.precision
        return None if self.at_least or self.at_most else ("precision", PRECISION)


class ProtectConfig(Settings):
    """A test set that nothing which is written may be like.

    Attributes:
        name: what it is called in ledger and certificate.
        path: folder with its pictures, tar, parquet file with a column `image`, `.npy` of pictures
            or embeddings, file of fingerprints (`miner protect build`), or list of sha256.
        model: what made the embeddings of a `.npy`; `dedupe.model` by default.
    """

    name: str = pydantic.Field(pattern=r"^[\w-]+$")
    path: str
    model: str | None = None

    def incidental(self) -> Set[str]:
        """Where it lies; the output knows its fingerprints by their content."""
        return {"path"}


class AgainstConfig(Settings):
    """A finished run; no copy of a picture that it wrote is written.

    Attributes:
        name: what it is called in the ledger: `duplicate_of` is NAME:image_id.
        path: its OUT, folder or fsspec URL.
    """

    name: str = pydantic.Field(pattern=r"^[\w-]+$")
    path: str

    def incidental(self) -> Set[str]:
        """Where it lies; the output depends on what it was made of."""
        return {"path"}


class DedupeConfig(Settings):
    """Which pictures count as the same.

    Attributes:
        near: compare thumbnails, not only bytes and pixels: copies that were encoded again,
            scaled, cropped to 80 % or more of a side, turned, mirrored, recoloured or drawn upon.
        semantic: compare embeddings, too; with `near` a pair must resemble by its thumbnails.
        threshold: smallest cosine of the embeddings of two duplicates. The default is for the
            embedded layout descriptor, measured in `filters.layout`; other models need their own.
        model: "embedded", or a folder or hub id of a transformers vision model whose embeddings
            are compared.
        caption: of rows whose captions are equal, but for case, marks and white space, only those
            of the best grounded picture stay. Composed captions count for nothing. Off by default:
            the panels of a figure share its caption.
        against: finished runs of the same `seed`, `shards.splits` and `model`: copies of what they
            wrote are dropped, and nothing of theirs is embedded anew.
        largest_share: a picture with more copies than this share of all, other than exact ones,
            stops the step: so much alike is a fault of a threshold or a corpus of empty frames.
    """

    near: bool = True
    semantic: bool = True
    threshold: float = pydantic.Field(0.84, gt=0, le=1)
    model: str = "embedded"
    caption: bool = False
    against: tuple[AgainstConfig, ...] = ()
    largest_share: float = pydantic.Field(0.05, gt=0, le=1)

    def files(self) -> Mapping[str, Files]:
        """The model, where it is not left to the hub."""
        return {} if self.model == "embedded" else {"model": files_at(self.model, MODEL)}
