"""Types of a sample's members for `datasets.load_dataset("webdataset", features=FEATURES)`.

Without them, types come from the first five samples, and what differs later is silently lost.
"""

from __future__ import annotations

from datasets import Features, Image, Value

from miner.core.rows import schema
from shards.sample import GroundedSample

FEATURES = Features(
    {
        "__key__": Value("string"),
        "__url__": Value("string"),
        "jpg": Image(),
        "png": Image(),
        "json": dict(Features.from_arrow_schema(schema(GroundedSample))),
    }
)
