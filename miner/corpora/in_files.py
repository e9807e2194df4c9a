"""What readers of tables share that name pictures: these are files, found by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from miner.core.store import Store
from miner.corpora.config import PicturesConfig, corpus_name
from miner.corpora.corpus_folder import Folder
from miner.corpora.images import check
from miner.corpora.locations import Locations
from miner.corpora.rows import Picture, Reader, Row
from miner.corpora.tables import table_fingerprints


class InFiles(Reader):
    """A reader of tables whose pictures are files of the names that `Row.image` says.

    Args:
        folder: of the corpus.
        tables: names of its tables.
        config: where pictures may lie, and how large they may be.
        places: folders of the corpus that hold pictures, where the configuration names none.
        relative: whether names have folders that count.

    Raises:
        Refused: a configured place is missing.
    """

    def __init__(
        self,
        folder: Folder,
        tables: tuple[str, ...],
        config: PicturesConfig,
        places: Sequence[str] = ("images", ""),
        relative: bool = False,
    ):
        self.folder, self.tables = folder, tables
        name = corpus_name(config)
        self.images = Locations(
            folder,
            config.image_paths,
            places,
            f"corpora.{name}.image_paths",
            f"plan/{name}",
            relative=relative,
        )
        self._max_pixels = config.max_pixels

    def fingerprint(self) -> list[Any]:
        """Of the tables."""
        return table_fingerprints(self.folder, self.tables)

    def prepare(self, store: Store) -> None:
        """Index zips."""
        self.images.prepare(store)

    def lacking(self, images: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Those without a file of their name."""
        return self.images.lacking(images)

    def pictures(self, rows: list[Row], store: Store) -> dict[str, Picture]:
        """Read and check pictures, each once."""
        found = self.images.read((row.image for row in rows), store)
        return {
            name: Picture(status="unreadable", reason=data)
            if isinstance(data, str)
            else check(data, self._max_pixels)
            for name, data in found.items()
        }
