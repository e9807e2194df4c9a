"""Side files of a sample: whatever else is keyed to a picture, patch or slide.

A gene-expression vector, a protein panel: files that the corpus configuration names and that ride
along as further members of the sample, untouched.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from miner.core.names import plain
from miner.core.regular import LeadsOut, read_regular

log = logging.getLogger(__name__)

# Of pictures; a patch of PathGen has no extension, but dots in the name of its slide.
_EXTENSION = re.compile(r"\.(jpe?g|png|tiff?|bmp|webp|gif)$", re.IGNORECASE)


def side_files(
    sample: Mapping[str, Any], patterns: Mapping[str, str], base: str, strict: bool = False
) -> dict[str, bytes]:
    """Side files of a row, by extension; those that are not there or empty are left out.

    What a row says cannot lead out of the folder that the configuration names: neither by `..` nor
    by a URL nor by a link.

    Args:
        sample: row of the samples table.
        patterns: extension to path, with `{image}` (name as published), `{stem}` (the same without
            its extension), `{group}` (slide, video, article, patient), `{row}`, `{sample_id}`.
        base: folder of the corpus, for relative paths.
        strict: raise where a file may not be read, instead of leaving it out.

    Raises:
        OSError: only if `strict`, or behind a URL.
    """
    if not patterns:
        return {}
    folder = os.path.dirname(base) if os.path.isfile(base) else base.rstrip("/")
    fields = {
        "image": sample["image"],
        "stem": _EXTENSION.sub("", sample["image"]),
        "group": sample["group"],
        "row": sample["row"],
        "sample_id": sample["sample_id"],
    }
    found = {}
    for extension, pattern in sorted(patterns.items()):
        used = {name: str(v) for name, v in fields.items() if "{" + name + "}" in pattern}
        if any(map(_leads_elsewhere, used.values())):
            log.warning("%s: side file %s: no name of a file", sample["sample_id"], extension)
            continue
        path = pattern if "://" in pattern or os.path.isabs(pattern) else f"{folder}/{pattern}"
        home = path.partition("{")[0].rpartition("/")[0] if path == pattern else folder
        for name, value in used.items():
            path = path.replace("{" + name + "}", value)
        fs, place = fsspec.core.url_to_fs(path)
        if not fs.isfile(place):
            continue
        try:
            local = isinstance(fs, LocalFileSystem)
            data = read_regular(place, home) if local else fs.cat_file(place)
        except (LeadsOut, PermissionError) as error:
            if strict:
                raise
            log.warning("%s: side file left out: %s", sample["sample_id"], error)
            continue
        if data:
            found[extension] = data
    return found


def _leads_elsewhere(value: str) -> bool:
    """Whether what a row says would leave the folder that the configuration names."""
    parts = plain(value).split("/")
    return "\0" in value or ":" in parts[0] or bool({"", ".", ".."} & set(parts))
