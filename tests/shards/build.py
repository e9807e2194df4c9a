"""Small synthetic OUT folders: random tiles, masks and captions."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pyarrow as pa

from filters.config import FilterConfig
from miner.core.masks import bbox, encode
from miner.core.store import Store
from shards.build import grounded_sample
from shards.card import write_card
from shards.config import ShardsConfig
from shards.index import read_index, read_manifest
from shards.known import completed
from shards.pack import INDEX, SINCE_2, pack, write_manifest
from shards.read import ShardReader
from shards.sample import dump

SITES = ("kidney", "liver", "breast")


def tile(rng: np.random.Generator, height: int, width: int, extension: str = "jpg") -> bytes:
    pixels = rng.integers(100, 255, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(f".{extension}", pixels)[1].tobytes()


def blobs(rng: np.random.Generator, height: int, width: int, n: int) -> list[np.ndarray]:
    """Disjoint rectangles, bool (H, W) each, at least one."""
    free = np.ones((height, width), bool)
    found: list[np.ndarray] = []
    for _ in range(n):
        y, x = int(rng.integers(height - 2)), int(rng.integers(width - 2))
        h, w = int(rng.integers(1, height // 2)), int(rng.integers(1, width // 2))
        mask = np.zeros((height, width), bool)
        mask[y : y + h, x : x + w] = True
        mask &= free
        if mask.any():
            free &= ~mask
            found.append(mask)
    return found


def candidate(concept: str, kind: str, masks: list[np.ndarray], **more: Any) -> dict[str, Any]:
    union = np.logical_or.reduce(masks)
    return {
        "image_id": "-",
        "concept": concept,
        "kind": kind,
        "roles": ["positive"],
        "prompt": f"{concept}s",
        "segmenter": "stain",
        "counts": encode(union),
        "instances": [encode(m) for m in masks] if kind == "object" else [],
        "bbox": list(bbox(union)),
        "area_px": int(union.sum()),
        "confidence": 0.5,
        "reason": None,
        "score": 1.0,
        "q_value": 0.25,
        **more,
    }


def mention(caption: str, text: str, concept: str, kind: str, polarity: str = "affirmed") -> dict:
    start = caption.index(text)
    return {
        "start": start,
        "end": start + len(text),
        "text": text,
        "concept": concept,
        "kind": kind,
        "polarity": polarity,
        "sources": ["lexicon"],
        "groundable": polarity == "affirmed",
        "reason": None if polarity == "affirmed" else polarity,
        "turn": None,
    }


def sample(i: int, split: str = "train", size: tuple[int, int] | None = None, **row: Any):
    """(grounded sample, image bytes, extension) number i, always the same."""
    rng = np.random.default_rng(i)
    height, width = size or (int(rng.integers(24, 48)), int(rng.integers(24, 48)))
    extension = "png" if i % 5 == 4 else "jpg"
    data = tile(rng, height, width, extension)
    site = SITES[i % 3]
    caption = f"Sample {i} of {site}: tumor nests with glands and stroma, no necrosis."
    sample_row = {
        "sample_id": f"quilt-{i:08d}-{i % 4096:06x}",
        "corpus": "quilt",
        "row": i,
        "image": f"picture_{i}.{extension}",
        "image_id": f"quilt/picture_{i}.{extension}",
        "group": f"video{i // 3}",
        "license": "CC BY 4.0",
        "source": "",
        "caption": caption,
        "turns": None,
        "mentions": [
            mention(caption, "glands", "gland", "object"),
            mention(caption, "stroma", "stroma", "stuff"),
            mention(caption, "necrosis", "necrosis", "stuff", "negated"),
        ],
        "facts": [{"kind": "site", "value": site, "start": None, "end": None}],
        "strata": [{"dimension": "organ", "value": site}],
        **row,
    }
    image_row = {
        "width": width,
        "height": height,
        "mpp": 0.5 if i % 2 else None,
        "mpp_source": "slide" if i % 2 else "none",
        "sha256": "0" * 64,
    }
    glands = blobs(rng, height, width, 3)
    stroma = blobs(rng, height, width, 1)
    candidates = [
        candidate(
            "gland",
            "object",
            glands,
            score=(i % 10) / 10,
            q_value=(i % 7) / 10,
            exhaustive=0.95 if i % 2 else 0.5,
            count_low=len(glands),
            count_high=len(glands),
        ),
        candidate("stroma", "stuff", stroma, score=0.75),
    ]
    negatives = [
        {
            "concept": "necrosis",
            "why": "negated",
            "start": caption.index("necrosis"),
            "end": caption.index("necrosis") + 8,
        },
        {"concept": "fat", "why": "decoy", "start": None, "end": None},
    ]
    concepts = [known("gland"), known("stroma"), known("necrosis"), known("fat")]
    grounded = grounded_sample(
        sample_row, image_row, candidates, split, negatives, concepts=concepts
    )
    return grounded, data, extension


def known(concept: str) -> dict[str, Any]:
    """State of a concept of the samples that `sample` makes."""
    why = {"necrosis": "negated", "fat": "decoy"}.get(concept)
    state = "absent" if why else "present"
    return {"concept": concept, "state": state, "p": 0.05 if why else 0.95, "why": why or "region"}


def format_1(store: Store) -> None:
    """Rewrite the shards of an OUT as they were before samples stated what is known."""
    entries = read_manifest(store)["shards"]
    infos = []
    for split in sorted({e["split"] for e in entries}):
        index, shards = read_index(store, split)
        reader = ShardReader(store, shards)
        items = []
        for row in index.to_pylist():
            image, text = (
                reader.read(row["shard"], row[f"{part}_offset"], row[f"{part}_size"])
                for part in ("image", "json")
            )
            items.append((completed(json.loads(text)), image, row["format"]))
        sizes = ShardsConfig(max_bytes=20_000)
        columns = pa.schema([f for f in INDEX if f.name not in SINCE_2])
        with (
            mock.patch("shards.pack.dump", lambda sample: dump(_old(sample))),
            mock.patch("shards.pack.INDEX", columns),
        ):
            infos += pack(items, store, split, sizes)
    with mock.patch("shards.pack.FORMAT", 1):
        write_manifest(store, infos, config().digest())


def _old(sample: dict[str, Any]) -> dict[str, Any]:
    new = ("concepts", "ignored", "slide", "exhaustive", "exhaustive_why", "count", "count_why")
    regions = [{k: v for k, v in r.items() if k not in new} for r in sample["regions"]]
    return {k: v for k, v in sample.items() if k not in new} | {"regions": regions}


def config() -> Any:
    corpora = [types.SimpleNamespace(name="", kind="quilt")]
    return types.SimpleNamespace(
        corpora=corpora, filters=FilterConfig(), digest=lambda: "ab" * 32, seed=0
    )


def build(
    out: Path | str, n: int = 30, val: int = 6, max_bytes: int = 20_000, samples: Any = None
) -> Store:
    """An OUT with shards of n train and val samples."""
    store = Store(str(out))
    sizes = ShardsConfig(max_bytes=max_bytes)
    train = samples if samples is not None else (sample(i) for i in range(n))
    infos = pack(train, store, "train", sizes)
    infos += pack((sample(10_000 + i, "val") for i in range(val)), store, "val", sizes)
    write_card(store, infos, config())
    write_manifest(store, infos, config().digest())
    return store
