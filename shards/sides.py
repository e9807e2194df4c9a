"""Side files of a sample: whatever else is keyed to a picture, patch or slide.

A gene-expression vector, a protein panel: files that the corpus configuration names and that ride
along as further members of the sample, untouched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import fsspec

# Of pictures; a patch of PathGen has no extension, but dots in the name of its slide.
_EXTENSION = re.compile(r"\.(jpe?g|png|tiff?|bmp|webp|gif)$", re.IGNORECASE)


def side_files(
    sample: Mapping[str, Any], patterns: Mapping[str, str], base: str
) -> dict[str, bytes]:
    """Side files of a row, by extension; those that are not there or empty are left out.

    Args:
        sample: row of the samples table.
        patterns: extension to path, with `{image}` (name as published), `{stem}` (the same without
            its extension), `{group}` (slide, video, article, patient), `{row}`, `{sample_id}`.
        base: folder of the corpus, for relative paths.
    """
    fields = {
        "image": sample["image"],
        "stem": _EXTENSION.sub("", sample["image"]),
        "group": sample["group"],
        "row": sample["row"],
        "sample_id": sample["sample_id"],
    }
    found = {}
    for extension, pattern in sorted(patterns.items()):
        path = pattern
        for name, value in fields.items():
            path = path.replace("{" + name + "}", str(value))
        if "://" not in path and not os.path.isabs(path):
            path = f"{base.rstrip('/')}/{path}"
        fs, place = fsspec.core.url_to_fs(path)
        if fs.isfile(place) and (data := fs.cat_file(place)):
            found[extension] = data
    return found
