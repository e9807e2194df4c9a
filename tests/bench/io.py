"""Shards and loaders: figures of our own, and entry points for the peers' scripts.

`python -m tests.bench.io` prints one table. With the peers' scripts beside the checkout:

    python ../shared/peers/bench_shards.py --ours tests.bench.io:pack_peer
    python ../shared/peers/bench_loader.py --ours tests.bench.io:load_peer
    python ../shared/peers/bench_loader.py --ours tests.bench.io:load_peer_two
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import webdataset as wds

from miner.store import Store
from segmenters.regions import encode
from shards.config import ShardsConfig
from shards.decode import decode_image, decode_masks
from shards.export.folder import Sample
from shards.export.options import Options
from shards.export.run import export
from shards.index import read_manifest
from shards.load import GroundedCaptions
from shards.pack import pack, write_manifest
from shards.tar import scan
from tests.shards.build import sample as small_sample

SHARD_BYTES = 45_000_000  # what 500 of the peers' samples take


def pack_peer(samples: Iterable[dict[str, Any]], out: str | os.PathLike[str]) -> None:
    """Pack the peers' samples: fsync, sha256, index and manifest included."""
    rest = {
        "split": "train",
        "image": "a.jpg",
        "group": "a",
        "license": "",
        "mpp": 0.5,
        "mentions": [],
        "negatives": [],
        "strata": [],
    }
    region = {"q_value": 0.1, "segmenter": "stain"}

    def items() -> Iterator[tuple[dict[str, Any], bytes, str]]:
        for s in samples:
            value = {**s["json"], **rest}
            value["regions"] = [{**r, **region} for r in value["regions"]]
            yield value, s["jpg"], "jpg"

    store = Store(out)
    write_manifest(store, pack(items(), store, "train", ShardsConfig(max_bytes=SHARD_BYTES)))


def _places(path: str) -> Iterator[tuple[int, int, int]]:
    """Offset of the image, its size, end of the JSON, by sample."""
    members = scan(path)
    for image, text in zip(members, members, strict=True):
        yield image[1], image[2], text[1] + text[2]


def _read(path: str) -> Iterator[dict[str, np.ndarray]]:
    """Samples of a tar as our loader reads them, for tars without an index."""
    file = os.open(path, os.O_RDONLY)
    for start, size, end in _places(path):
        block = os.pread(file, end - start, start)
        sample = json.loads(block[size + (-size % 512) + 512 :])
        image = decode_image(block[:size])
        masks = decode_masks([r["rle"] for r in sample["regions"]], *image.shape[:2])
        yield {"image": image, "masks": masks}
    os.close(file)


def load_peer(paths: Iterable[str]) -> Iterator[dict[str, np.ndarray]]:
    """One process."""
    cv2.setNumThreads(1)
    for path in paths:
        yield from _read(path)
