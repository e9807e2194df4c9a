"""Settings of the shards."""

import re
from typing import Annotated

import pydantic

from miner.core.settings import Settings

# A split is part of file names, here and in every export.
SPLIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
Split = Annotated[str, pydantic.Field(pattern=f"^{SPLIT.pattern}$")]


class ShardsConfig(Settings):
    """How samples are packed.

    Attributes:
        max_bytes: target size of one tar.
        splits: share of the groups per split; each gets one at least where there are as many.
        keep_negatives: write rows that only have negatives.
        rewrite: where a caption names nothing that could be outlined, and another one of the same
            picture does, add a sentence of what stood up to it; the sample is `generated` then and
            says from where on, and the row has the note `rewritten`.
        keep_ignored: write the masks that did not stand up, too, as areas of which nothing should
            be learned.
        also_captions: give a sample the captions of copies of its picture that were dropped, as
            `also_captions`: those under its licence that say something else, and composed ones not.
        mixed_licenses: pack corpora together whose licences exclude each other.
    """

    max_bytes: int = 256_000_000
    splits: dict[Split, float] = pydantic.Field(
        default_factory=lambda: {"train": 0.9, "val": 0.05, "test": 0.05}
    )
    keep_negatives: bool = False
    rewrite: bool = False
    keep_ignored: bool = False
    also_captions: bool = False
    mixed_licenses: bool = False
