"""An exporter: YOLO's segmentation layout, a text file of normalised polygons per picture.

`images/{split}/{key}.jpg`, `labels/{split}/{key}.txt` with `class x1 y1 x2 y2 ...` per polygon, and
`data.yaml` with the classes, as `yolo segment train data=data.yaml` reads them.
"""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from shards.export.folder import Folder, Sample
from shards.export.masks import region_polygons
from shards.export.options import Options, exporters


def yolo(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Write pictures and labels as they come, the classes at the end."""
    classes: dict[str, int] = {}
    splits: dict[str, str] = {}
    for sample in samples:
        splits[sample.split] = f"images/{sample.split}"
        height, width = sample.value["height"], sample.value["width"]
        lines = []
        for region in sample.value["regions"]:
            number = classes.setdefault(region["concept"], len(classes))
            for rle in region["instances"] or [region["rle"]]:
                polygons = region_polygons(rle)
                if len(polygons) > 1:
                    why = "YOLO knows no object of several parts"
                    folder.lose(sample.key, region["concept"], why, "split")
                for polygon in polygons:
                    points = [
                        f"{v / (height if i % 2 else width):.6f}" for i, v in enumerate(polygon)
                    ]
                    lines.append(f"{number} {' '.join(points)}\n")
        folder.put(f"images/{sample.split}/{sample.name}", sample.image)
        folder.put(f"labels/{sample.split}/{sample.key}.txt", "".join(lines).encode())
    names = {number: name for name, number in classes.items()}
    text = yaml.safe_dump({"path": ".", **splits, "names": names}, sort_keys=False)
    folder.put("data.yaml", text.encode())


PARTS = exporters({"yolo": yolo})
