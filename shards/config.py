"""Settings of the shards."""

import pydantic

from miner.core.settings import Settings


class ShardsConfig(Settings):
    """How samples are packed.

    Attributes:
        max_bytes: target size of one tar.
        splits: share of the groups per split.
        keep_negatives: write rows that only have negatives.
    """

    max_bytes: int = 256_000_000
    splits: dict[str, float] = pydantic.Field(
        default_factory=lambda: {"train": 0.9, "val": 0.05, "test": 0.05}
    )
    keep_negatives: bool = False
