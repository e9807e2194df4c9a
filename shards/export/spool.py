"""COCO files written in a stream: images at once, annotations by way of a scratch file."""

from __future__ import annotations

import json
from typing import Any

from shards.export.folder import Folder, JsonList, Sample


class CocoFile:
    """`{"images": […], "annotations": […], "categories": […]}` without holding it in memory.

    Args:
        folder: the export.
        name: file name in it.
    """

    def __init__(self, folder: Folder, name: str):
        self._file = folder.open_text(name)
        self._file.write('{"info": {"description": "histomine"}, "images": ')
        self._images = JsonList(self._file)
        self._scratch = folder.spool()
        self._annotations = JsonList(self._scratch)

    def image(self, sample: Sample, number: int, **more: Any) -> None:
        """Add a picture."""
        value = {
            "id": number,
            "file_name": sample.name,
            "height": sample.value["height"],
            "width": sample.value["width"],
        }
        self._images.add(value | more)

    def annotation(self, value: dict[str, Any]) -> None:
        """Add an annotation."""
        self._annotations.add(value)

    def finish(self, categories: list[dict[str, Any]]) -> None:
        """Write what is left."""
        self._images.close()
        self._annotations.close()
        self._scratch.seek(0)
        self._file.write(', "annotations": ')
        while block := self._scratch.read(1 << 20):
            self._file.write(block)
        self._file.write(f', "categories": {json.dumps(categories)}}}\n')
