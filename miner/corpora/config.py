"""Settings that readers have in common; each has its own beside its class."""

from __future__ import annotations

import re
from collections.abc import Container, Set
from typing import Annotated

import pydantic

from miner.core.names import plain
from miner.core.settings import PartSettings

UNKNOWN_TERMS = "unknown; see the publisher's terms"
TERMS = "research-only or non-commercial; see the publisher's terms"

# Of rows whose picture is named by a path, or is a link, that leads out of where pictures may lie.
OUTSIDE = "outside_folder"

_ADVICE = {
    "bad_utf8": "save texts that are not UTF-8 as UTF-8",
    "unclassed_ids": "numbers of label maps that classes.csv does not know are left out; where "
    "each object has a number of its own, give classes.csv the columns image, id and class",
}

# What a side file's path may be made of.
SIDE_FIELDS = frozenset({"image", "stem", "group", "row", "sample_id"})


class CorpusConfig(PartSettings):
    """What every layout has.

    Attributes:
        path: folder (or the table itself) as published: relative, absolute or an fsspec URL.
        name: name in the ledger and in keys; the kind when empty.
        license: carried into every sample.
        source: carried into every sample where the rows do not say it themselves.
        max_pixels: larger pictures are excluded before they are decoded; stages need some 55 bytes
            for each pixel.
        max_caption_chars: longer captions are excluded; NER would choke on them.
        assumed_mpp: um per pixel where neither slide nor magnification nor a side column `mpp`
            says it; null leaves it unknown.
        side_paths: files that ride along as members of a sample: extension to path below `path`,
            with `{image}`, `{stem}`, `{group}`, `{row}` or `{sample_id}`.
    """

    path: str
    name: str = pydantic.Field("", pattern=r"^([a-z0-9]+(-[a-z0-9]+)*)?$")
    license: str = UNKNOWN_TERMS
    source: str = ""
    max_pixels: int = pydantic.Field(36_000_000, ge=1)
    max_caption_chars: int = pydantic.Field(20_000, ge=1)
    assumed_mpp: float | None = pydantic.Field(None, gt=0)
    side_paths: dict[
        Annotated[str, pydantic.Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")], str
    ] = pydantic.Field(default_factory=dict)

    def incidental(self) -> Set[str]:
        """Where files lie; the plan knows rows and pictures by their content."""
        return {"path"}

    @pydantic.field_validator("side_paths")
    @classmethod
    def _own_extensions(cls, value: dict[str, str]) -> dict[str, str]:
        if taken := {"jpg", "png", "json"} & value.keys():
            raise ValueError(f"{min(taken)} is a member every sample has; use another extension")
        for pattern in value.values():
            unknown = set(re.findall(r"{(.*?)}", pattern)) - SIDE_FIELDS
            if unknown:
                fields = ", ".join(sorted(SIDE_FIELDS))
                raise ValueError(f"{pattern}: no field {min(unknown)!r}; there are {fields}")
            if "://" in pattern or pattern.startswith("/") or ".." in plain(pattern).split("/"):
                raise ValueError(f"{pattern}: a place below the folder of the corpus, please")
        return value


class PicturesConfig(CorpusConfig):
    """A table that names picture files.

    Attributes:
        image_paths: folders and zips with the pictures, relative to `path` or anywhere; empty
            looks in `path` for `images/`, other folders and zips.
        compound: look for panels in the pictures, and bind what a caption says of "(A)" to its
            panel.
    """

    image_paths: tuple[str, ...] = ()
    compound: bool = False

    def incidental(self) -> Set[str]:
        """Pictures lie elsewhere, too."""
        return {*super().incidental(), "image_paths"}


def advice(config: CorpusConfig, reasons: Container[str]) -> str:
    """What to do about rows that cannot be read, or not whole; "" where nobody knows.

    Args:
        config: of the corpus.
        reasons: why rows of it cannot be read, and names of their notes.
    """
    found = [text for reason, text in _ADVICE.items() if reason in reasons]
    lacking = "missing_image" in reasons and isinstance(config, PicturesConfig)
    if lacking or (OUTSIDE in reasons and hasattr(config, "image_paths")):
        setting = f"corpora.{corpus_name(config)}.image_paths"
        found.append(
            f"where pictures lie outside of the corpus, name their folder: --set {setting}=[FOLDER]"
        )
    return "; ".join(found)


def corpus_name(config: CorpusConfig) -> str:
    """Name of a corpus in the ledger and in keys."""
    return config.name or config.kind
