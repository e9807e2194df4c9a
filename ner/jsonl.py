"""Captions from a JSON-lines file, and their mentions into another."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from miner.core.errors import Refused
from miner.core.read_settings import apply_set, check
from ner.config import NerConfig
from ner.extractor import Extractor

_BATCH = 256


def config_of(settings: Sequence[str]) -> NerConfig:
    """Return the configuration that `a.b=c` settings make.

    Raises:
        Refused: if one is malformed or unknown.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        apply_set(values, setting.removeprefix("ner."))
    return check(NerConfig, values, "--set ")


def rows_of(path: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON-lines file; a row without a caption counts as an empty one.

    Raises:
        Refused: if the file cannot be read or a line is no JSON object.
    """
    try:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise Refused(f"{path}:{number}: not JSON ({error})") from error
                if not isinstance(row, dict):
                    raise Refused(f"{path}:{number}: not a JSON object")
                caption = row.get("caption")
                yield {**row, "caption": caption if isinstance(caption, str) else ""}
    except UnicodeDecodeError as error:
        raise Refused(f"{path}: not UTF-8 ({error.reason})") from error
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error


def write_rows(rows: Iterable[dict[str, Any]], extractor: Extractor, path: str) -> int:
    """Write `caption`, `mentions`, `facts` (and `id`) of each row; return how many.

    The file appears whole or not at all.
    """
    temporary = Path(f"{path}.tmp")
    count = 0
    waiting = iter(rows)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            while batch := list(itertools.islice(waiting, _BATCH)):
                for row, found in zip(
                    batch, extractor([row["caption"] for row in batch]), strict=True
                ):
                    kept: dict[str, Any] = {
                        key: row[key] for key in ("id", "caption") if key in row
                    }
                    kept["mentions"] = [mention._asdict() for mention in found.mentions]
                    kept["facts"] = [fact._asdict() for fact in found.facts]
                    if found.notes:
                        kept["notes"] = list(found.notes)
                    file.write(json.dumps(kept, ensure_ascii=False) + "\n")
                    count += 1
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    os.replace(temporary, path)
    return count
