"""Pictures of a run compared with each other: from pieces of the barrier to duplicates."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from filters.config import DedupeConfig
from filters.dedupe import Duplicate, duplicates
from filters.dedupe.levels import Rank
from filters.dedupe.near import Candidate
from filters.dedupe.thumbnail import SIDE
from miner.barrier.near import read_near
from miner.barrier.outcomes import another_model
from miner.barrier.pieces import Piece, read_bytes, read_piece
from miner.core.errors import Refused
from miner.core.store import Store


def compared(
    store: Store,
    config: DedupeConfig,
    pieces: Sequence[Piece],
    thumbs: Sequence[Piece],
    near: Sequence[Piece] | None,
    image_ids: Sequence[str],
    ranks: Sequence[Rank],
) -> dict[str, Duplicate]:
    """Find the duplicates among some pictures of a run.

    Vectors (float16) and thumbnails lie in temporary files, mapped into memory.

    Args:
        store: OUT.
        config: which levels, and the threshold.
        pieces: `pictures` of the parts, see `outcomes`.
        thumbs: likewise.
        near: of the parts, see `miner.barrier.near`; None: not compared by thumbnail.
        image_ids: the pictures.
        ranks: of each; smaller is better.

    Raises:
        Refused: embeddings of two models, or see `duplicates`.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures = Pictures(store, folder, pieces, thumbs, image_ids)
        return duplicates(
            image_ids,
            pictures.hashes,
            ranks,
            pictures.vectors if config.semantic else None,
            config.threshold,
            pixel_hashes=pictures.pixel_hashes,
            thumbs=None if near is None else pictures.thumbs,
            near=None if near is None else pictures.placed(read_near(store, near)),
            largest_share=config.largest_share,
        )


class Pictures:
    """What is compared of some pictures; vectors and thumbnails in files, mapped into memory.

    Args:
        store: OUT.
        folder: where the files go.
        pieces: `pictures` of the parts, see `outcomes`.
        thumbs: likewise.
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
        self,
        store: Store,
        folder: str,
        pieces: Sequence[Piece],
        thumbs: Sequence[Piece],
        image_ids: Sequence[str],
    ):
        place = {image_id: i for i, image_id in enumerate(image_ids)}
        n = len(image_ids)
        self.hashes, self.pixel_hashes = [""] * n, [""] * n
        self.thumbs = np.lib.format.open_memmap(
            f"{folder}/thumbs.npy", "w+", np.uint8, (n, SIDE, SIDE)
        )
        self.vectors: np.ndarray | None = None
        self._row: list[int] = []  # of each picture of the parts, its row here, else -1
        for piece, shown in zip(pieces, thumbs, strict=True):
            pixels = np.frombuffer(read_bytes(store, shown), np.uint8).reshape(-1, SIDE, SIDE)
            start = 0
            for table in read_piece(store, piece).to_batches(1024):
                self._take(table, pixels[start : start + len(table)], place, folder)
                start += len(table)

    def placed(self, near: Mapping[Candidate, float]) -> dict[Candidate, float]:
        """Candidates by the rows of the pictures here, without those that are not here."""
        found = {}
        for c, alike in near.items():
            whole, part = self._row[c.whole], self._row[c.part]
            if whole >= 0 and part >= 0:
                found[c._replace(whole=whole, part=part)] = alike
        return found

    def _take(
        self, table: pa.RecordBatch, pixels: np.ndarray, place: dict[str, int], folder: str
    ) -> None:
        ids = table["image_id"].to_pylist()
        self._row += [place.get(image_id, -1) for image_id in ids]
        rows = [row for row, image_id in enumerate(ids) if image_id in place]
        at = [place[ids[row]] for row in rows]
        taken = table.take(pa.array(rows, pa.int64()))
        named = (self.hashes, "sha256"), (self.pixel_hashes, "pixel_hash")
        for into, name in named:
            for i, value in zip(at, taken[name].to_pylist(), strict=True):
                into[i] = value
        self.thumbs[at] = pixels[rows]
        columns = (taken[name].to_pylist() for name in ("vector", "image_id"))
        for i, data, image_id in zip(at, *columns, strict=True):
            vector = np.frombuffer(data, np.float16)
            if self.vectors is None:
                self.vectors = np.lib.format.open_memmap(
                    f"{folder}/vectors.npy", "w+", np.float16, (len(self.hashes), len(vector))
                )
            if len(vector) != self.vectors.shape[1]:
                raise Refused(another_model(image_id, len(vector), self.vectors.shape[1]))
            self.vectors[i] = vector
