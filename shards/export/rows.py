"""A table for `datasets.load_from_disk`, written row by row and the same bytes every time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shards.export.folder import Folder

if TYPE_CHECKING:
    from datasets import Dataset, Features


class Rows:
    """A table that grows in a scratch file.

    Args:
        folder: of the export.
        features: types of the columns.
        name: of the scratch file.
    """

    def __init__(self, folder: Folder, features: Features, name: str):
        from datasets.arrow_writer import ArrowWriter

        self._scratch = folder.scratch(f"{name}.arrow")
        self._features = features
        self._writer = ArrowWriter(path=str(self._scratch), features=features)
        self._digest = hashlib.sha256()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; its columns but pictures make the fingerprint."""
        said = {name: value for name, value in row.items() if name != "image"}
        self._digest.update(json.dumps(said).encode())
        self._writer.write(self._features.encode_example(row))

    def dataset(self) -> Dataset:
        """The table; nothing can be added any more, and there must be a row."""
        from datasets import Dataset

        self._writer.finalize()
        table = Dataset.from_file(str(self._scratch)).data
        return Dataset(table, fingerprint=self._digest.hexdigest()[:16])


def save(parts: Mapping[str, Rows], path: str) -> None:
    """Save tables by split, as `load_from_disk` reads them."""
    from datasets import DatasetDict
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar

    disable_progress_bar()
    DatasetDict({split: rows.dataset() for split, rows in parts.items()}).save_to_disk(path)
    enable_progress_bar()
