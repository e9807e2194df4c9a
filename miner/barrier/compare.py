"""Pictures of a run compared with each other: from pieces of the barrier to duplicates."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from filters.config import DedupeConfig
from filters.dedupe import Duplicate, duplicates
from filters.dedupe.levels import Rank
from filters.dedupe.thumbnail import SIDE
from miner.barrier.outcomes import another_model
from miner.barrier.pieces import Piece, read_piece
from miner.core.errors import Refused
from miner.core.store import Store


def compared(
    store: Store,
    config: DedupeConfig,
    pieces: Sequence[Piece],
    image_ids: Sequence[str],
    ranks: Sequence[Rank],
) -> dict[str, Duplicate]:
    """Find the duplicates among some pictures of a run.

    Vectors (float16) and thumbnails lie in temporary files, mapped into memory.

    Args:
        store: OUT.
        config: which levels, and the threshold.
        pieces: `pictures` of the parts, see `outcomes`.
        image_ids: the pictures.
        ranks: of each; smaller is better.

    Raises:
        Refused: embeddings of two models, or see `duplicates`.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures = Pictures(store, folder, pieces, image_ids)
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


class Pictures:
    """What is compared of some pictures; vectors and thumbnails in files, mapped into memory.

    Args:
        store: OUT.
        folder: where the files go.
        pieces: `pictures` of the parts, see `outcomes`.
        image_ids: the pictures, in this order.

    Attributes:
        hashes: of the bytes.
        pixel_hashes: of the pixels.
        thumbs: uint8 (n, SIDE, SIDE); zeros where a unit of an earlier version has none.
        vectors: float16 (n, d), None without pictures.

    Raises:
        Refused: embeddings of two lengths.
    """

    def __init__(
        self, store: Store, folder: str, pieces: Sequence[Piece], image_ids: Sequence[str]
    ):
        place = {image_id: i for i, image_id in enumerate(image_ids)}
        n = len(image_ids)
        self.hashes, self.pixel_hashes = [""] * n, [""] * n
        self.thumbs = np.lib.format.open_memmap(
            f"{folder}/thumbs.npy", "w+", np.uint8, (n, SIDE, SIDE)
        )
        self.vectors: np.ndarray | None = None
        for piece in pieces:
            for table in read_piece(store, piece).to_batches(1024):
                self._take(table, place, folder)

    def _take(self, table: pa.RecordBatch, place: dict[str, int], folder: str) -> None:
        ids = table["image_id"].to_pylist()
        rows = [row for row, image_id in enumerate(ids) if image_id in place]
        at = [place[ids[row]] for row in rows]
        taken = table.take(pa.array(rows, pa.int64()))
        named = (self.hashes, "sha256"), (self.pixel_hashes, "pixel_hash")
        for into, name in named:
            for i, value in zip(at, taken[name].to_pylist(), strict=True):
                into[i] = value
        columns = (taken[name].to_pylist() for name in ("thumbnail", "vector", "image_id"))
        for i, thumb, data, image_id in zip(at, *columns, strict=True):
            if thumb is not None:
                self.thumbs[i] = np.frombuffer(thumb, np.uint8).reshape(SIDE, SIDE)
            vector = np.frombuffer(data, np.float16)
            if self.vectors is None:
                self.vectors = np.lib.format.open_memmap(
                    f"{folder}/vectors.npy", "w+", np.float16, (len(self.hashes), len(vector))
                )
            if len(vector) != self.vectors.shape[1]:
                raise Refused(another_model(image_id, len(vector), self.vectors.shape[1]))
            self.vectors[i] = vector
