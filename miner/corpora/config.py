"""Settings of the corpora, one section per layout; `kind` says which."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from miner.core.settings import Settings

UNKNOWN_TERMS = "unknown; see the publisher's terms"
TERMS = "research-only or non-commercial; see the publisher's terms"


class _Corpus(Settings):
    """What every layout has.

    Attributes:
        path: folder (or the table itself) as published: relative, absolute or an fsspec URL.
        name: name in the ledger and in keys; the kind when empty.
        license: carried into every sample.
        source: carried into every sample where the rows do not say it themselves.
        max_pixels: larger pictures are excluded before they are decoded.
        max_caption_chars: longer captions are excluded; NER would choke on them.
        assumed_mpp: um per pixel where neither slide nor magnification nor a side column `mpp`
            says it; null leaves it unknown.
        side_paths: files that ride along as members of a sample: extension to path, relative to
            `path` or anywhere, with `{image}`, `{stem}`, `{group}`, `{row}` or `{sample_id}`.
    """

    path: str
    name: str = pydantic.Field("", pattern=r"^([a-z0-9]+(-[a-z0-9]+)*)?$")
    license: str = UNKNOWN_TERMS
    source: str = ""
    max_pixels: int = pydantic.Field(100_000_000, ge=1)
    max_caption_chars: int = pydantic.Field(20_000, ge=1)
    assumed_mpp: float | None = pydantic.Field(None, gt=0)
    side_paths: dict[
        Annotated[str, pydantic.Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")], str
    ] = pydantic.Field(default_factory=dict)

    @pydantic.field_validator("side_paths")
    @classmethod
    def _own_extensions(cls, value: dict[str, str]) -> dict[str, str]:
        if taken := {"jpg", "png", "json"} & value.keys():
            raise ValueError(f"{min(taken)} is a member every sample has; use another extension")
        return value


class _WithPictures(_Corpus):
    """A table that names picture files.

    Attributes:
        image_paths: folders and zips with the pictures, relative to `path` or anywhere; empty
            looks in `path` for `images/`, other folders and zips.
    """

    image_paths: tuple[str, ...] = ()


class QuiltConfig(_WithPictures):
    """QUILT-1M.

    Attributes:
        magnification_mpp: um per pixel by magnification class (low, medium, high); the publisher
            gives none, so none is assumed.
        cleaner_path: `predictions_quiltcleaner.csv`, relative to `path` or anywhere.
        exclude_flags: impurity columns of that file whose 1 excludes a picture.
        exclude_not_histology: exclude rows the publisher flags as no histology.
    """

    kind: Literal["quilt"]
    license: str = TERMS
    magnification_mpp: dict[Literal["low", "medium", "high"], float] = pydantic.Field(
        default_factory=dict
    )
    cleaner_path: str = ""
    exclude_flags: tuple[str, ...] = ()
    exclude_not_histology: bool = True

    @pydantic.model_validator(mode="after")
    def _flags_need_file(self) -> QuiltConfig:
        if self.exclude_flags and not self.cleaner_path:
            raise ValueError("exclude_flags needs cleaner_path (predictions_quiltcleaner.csv)")
        return self


class PathCapConfig(_WithPictures):
    """PathCap."""

    kind: Literal["pathcap"]
    license: str = TERMS


class PathGenConfig(_Corpus):
    """PathGen-1.6M.

    Attributes:
        slide_paths: folders with slides, relative to `path` or anywhere; empty looks in
            `path/slides`, `path/wsi`, `path`.
        patch_paths: folders and zips with pre-cut `{wsi_id}_{x}_{y}.jpg|png`; these win over
            slides; empty looks in `path/patches`, `path/images`.
        patch_px: side of a patch at level 0.
        patch_format: how a patch is stored; png keeps the slide's pixels, jpg is a third the size.
        patch_quality: JPEG quality, 1..100.
        max_white: patches with a larger share of white pixels (all channels above 220) are
            excluded.
    """

    kind: Literal["pathgen"]
    license: str = TERMS
    slide_paths: tuple[str, ...] = ()
    patch_paths: tuple[str, ...] = ()
    patch_px: int = pydantic.Field(672, ge=16, le=8192)
    patch_format: Literal["png", "jpg"] = "png"
    patch_quality: int = pydantic.Field(95, ge=1, le=100)
    max_white: float = pydantic.Field(0.95, ge=0, le=1)


class ArchConfig(_Corpus):
    """ARCH: `{books,pubmed}_set/captions.json` and `images/{uuid}.png|jpg`."""

    kind: Literal["arch"]


class PairsConfig(_Corpus):
    """A folder of pictures, each with a text file of the same stem."""

    kind: Literal["pairs"]


class WebDatasetConfig(_Corpus):
    """WebDataset tars of a picture and a text.

    Attributes:
        text: member with the caption (`txt`, or `json` with a `caption` field).
        caption_field: field of the JSON member that holds the caption.
    """

    kind: Literal["webdataset"]
    text: str = "txt"
    caption_field: str = "caption"


class HfConfig(_Corpus):
    """A Hugging Face dataset: parquet files, a `save_to_disk` folder or a hub id.

    Attributes:
        image: picture column (bytes, or the datasets library's struct of bytes and path).
        caption: text column.
        split: split of a hub data set or of a saved dictionary of splits.
    """

    kind: Literal["hf"]
    image: str = "image"
    caption: str = "caption"
    split: str = "train"


class TableConfig(_WithPictures):
    """A CSV, JSON, JSON-lines or parquet table with picture names and captions.

    Attributes:
        image: column with the picture's file name.
        caption: column with the caption.
        group: column whose value keeps rows in one split; the picture's name when empty.
    """

    kind: Literal["table"]
    image: str = "image"
    caption: str = "caption"
    group: str = ""


AnyCorpus = (
    QuiltConfig
    | PathCapConfig
    | PathGenConfig
    | ArchConfig
    | PairsConfig
    | WebDatasetConfig
    | HfConfig
    | TableConfig
)
CorpusConfig = Annotated[AnyCorpus, pydantic.Field(discriminator="kind")]


def corpus_name(config: AnyCorpus) -> str:
    """Name of a corpus in the ledger and in keys."""
    return config.name or config.kind
