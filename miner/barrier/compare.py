"""Pictures of a run compared with each other: from the committed units to duplicates."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from filters.config import DedupeConfig
from filters.dedupe import Duplicate, duplicates
from filters.dedupe.levels import Rank
from filters.dedupe.thumbnail import SIDE
from miner.commits import read_table
from miner.core.errors import Refused
from miner.core.store import Store

COLUMNS = ["image_id", "sha256", "pixel_hash", "embedding", "thumbnail"]


def compared(
    store: Store,
    config: DedupeConfig,
    marks: Sequence[Mapping[str, Any]],
    image_ids: Sequence[str],
    ranks: Sequence[Rank],
) -> dict[str, Duplicate]:
    """Find the duplicates among some pictures of a run.

    Vectors (float16) and thumbnails lie in temporary files, mapped into memory.

    Args:
        store: OUT.
        config: which levels, and the threshold.
        marks: of the units that have the pictures.
        image_ids: the pictures.
        ranks: of each; smaller is better.

    Raises:
        Refused: an embedding that is no number or of another model, or see `duplicates`.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures = load(store, folder, marks, image_ids)
        return duplicates(
            image_ids,
            pictures.hashes,
            ranks,
            pictures.vectors if config.semantic else None,
            config.threshold,
            pixel_hashes=pictures.pixel_hashes,
            thumbs=pictures.thumbs if config.near else None,
            largest_share=config.largest_share,
        )


def load(
    store: Store,
    folder: str,
    marks: Sequence[Mapping[str, Any]],
    image_ids: Sequence[str],
) -> Pictures:
    """What is compared of some pictures of a run.

    Args:
        store: OUT.
        folder: a temporary one, for vectors and thumbnails.
        marks: of the units that have the pictures.
        image_ids: the pictures, in this order.

    Raises:
        Refused: an embedding that is no number or of another model.
    """
    place = {image_id: i for i, image_id in enumerate(image_ids)}
    pictures = Pictures(folder, len(place))
    for mark in marks:
        for image in read_table(store, mark, "images", COLUMNS).to_pylist():
            at = place.get(image["image_id"])
            if at is not None:
                pictures.add(at, image)
    return pictures


class Pictures:
    """What is compared of some pictures; vectors and thumbnails in files, mapped into memory.

    Args:
        folder: where the files go.
        n: how many pictures.

    Attributes:
        hashes: of the bytes.
        pixel_hashes: of the pixels.
        thumbs: uint8 (n, SIDE, SIDE).
        vectors: float16 (n, d), None before the first picture.
    """

    def __init__(self, folder: str, n: int):
        self._folder = folder
        self.hashes, self.pixel_hashes = [""] * n, [""] * n
        self.thumbs = np.lib.format.open_memmap(
            f"{folder}/thumbs.npy", "w+", np.uint8, (n, SIDE, SIDE)
        )
        self.vectors: np.ndarray | None = None

    def add(self, at: int, image: Mapping[str, Any]) -> None:
        """Take a row of a unit's `images`; one of an earlier version has no thumbnail.

        Raises:
            Refused: its embedding is no number, or of another length than others.
        """
        self.hashes[at] = image["sha256"]
        self.pixel_hashes[at] = image.get("pixel_hash") or image["sha256"]
        if image.get("thumbnail") is not None:
            self.thumbs[at] = np.frombuffer(image["thumbnail"], np.uint8).reshape(SIDE, SIDE)
        if self.vectors is None:
            self.vectors = np.lib.format.open_memmap(
                f"{self._folder}/vectors.npy",
                "w+",
                np.float16,
                (len(self.hashes), len(image["embedding"])),
            )
        self.vectors[at] = _checked(image["embedding"], self.vectors.shape[1], image["image_id"])


def _checked(vector: Sequence[float], length: int, image_id: str) -> np.ndarray:
    if len(vector) != length:
        raise Refused(
            f"dedupe.model: the embedding of {image_id} has {len(vector)} numbers, others have "
            f"{length}: it is another model's; mine again into another folder"
        )
    value = np.asarray(vector, np.float32)
    if not np.isfinite(value).all():
        raise Refused(f"dedupe.model: the embedding of {image_id} has a value that is no number")
    return value
