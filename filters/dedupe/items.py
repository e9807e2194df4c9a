"""Test sets with items in files of their own: which pictures they name, so that none is left out.

PathMMU: `data.json`, by subset and split lists of items, `img` is the picture's name in `images/`.
The pictures of PathCLS and SocialPath are fetched from elsewhere (data/instructions.md and
eval/utils/data_utils.py of PathMMU-Benchmark/PathMMU). RefPath: JSON lines with `image_id` and
`bbox` (json2pt.py of ssecv/PathVG).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from miner.core.names import base, plain

_ITEMS, _LINES = "data.json", "*.jsonl"


def lacking(folder: Path, there: Iterable[str]) -> dict[str, list[str]]:
    """Names of pictures that items of a test set have and that are not there, by file of items.

    Args:
        folder: of the test set.
        there: names of the pictures that were found.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file of items is no JSON.
    """
    found = {base(plain(name)) for name in there}
    missing = {}
    for file in [*folder.glob(_ITEMS), *sorted(folder.glob(_LINES))]:
        names = dict.fromkeys(base(plain(name)) for name in _named(file))
        lost = [name for name in names if name not in found]
        if lost:
            missing[file.name] = lost
    return missing


def _named(file: Path) -> Iterator[str]:
    """Names of the pictures of the items in a file; none where it holds other things."""
    if file.name == _ITEMS:
        yield from _of_splits(json.loads(file.read_text(encoding="utf-8")))
        return
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line) if line.strip() else None
            if isinstance(record, Mapping) and "bbox" in record:
                yield from _texts([record.get("image_id")])


def _of_splits(subsets: Any) -> Iterator[str]:
    for splits in subsets.values() if isinstance(subsets, Mapping) else ():
        for items in splits.values() if isinstance(splits, Mapping) else ():
            for item in items if isinstance(items, list) else ():
                if isinstance(item, Mapping):
                    yield from _texts([item.get("img")])


def _texts(values: Iterable[Any]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str) and value)
