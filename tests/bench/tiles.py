"""Tiles with truth that the benchmarks of the segmenters read."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from miner.demo import render
from segmenters.training import data

HELD_OUT_SEED = 9_000_000


@dataclasses.dataclass(frozen=True)
class Tile:
    """A picture and what is known about it.

    Attributes:
        name: unique name.
        source: data set.
        image: uint8 (H, W, 3), RGB.
        mpp: um per pixel as published, None when it is not.
        truth: entity -> int32 (H, W) label map.
        exhaustive: whether everything of these entities is outlined.
        counted: whether touching objects are told apart.
        stain: as published.
    """

    name: str
    source: str
    image: np.ndarray
    mpp: float | None
    truth: Mapping[str, np.ndarray]
    exhaustive: bool = True
    counted: bool = True
    stain: str = "H&E"


def _labels(path: pathlib.Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.int32)


def real(folder: pathlib.Path) -> Iterator[Tile]:
    """Tiles of `shared/data/real`; only slides state their um per pixel."""
    with (folder / "gold.jsonl").open(encoding="utf-8") as lines:
        rows = {json.loads(line)["image"]: json.loads(line) for line in lines}
    for image_name in sorted(rows):
        row = rows[image_name]
        corpus = row["corpus"]
        if corpus == "pathgen":
            image, mpp = _patch(folder, row)
            stem = image_name
        else:
            path = folder / corpus / "images" / image_name
            image, mpp = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), None
            stem = pathlib.Path(image_name).stem
        masks = sorted((folder / "expert_masks" / corpus / stem).glob("*.png"))
        source = row["tile"].split("_")[0]
        yield Tile(
            row["tile"],
            source,
            image,
            mpp,
            {m.stem: _labels(m) for m in masks},
            exhaustive=source != "monusac",
            counted=source != "monuseg",
            stain=row["stain"],
        )


def _patch(folder: pathlib.Path, row: Mapping) -> tuple[np.ndarray, float]:
    import openslide

    slide = openslide.OpenSlide(str(folder / "pathgen" / "slides" / f"{row['wsi_id']}.tif"))
    x, y = (int(v) for v in row["position"])
    patch = np.asarray(slide.read_region((x, y), 0, (672, 672)).convert("RGB"))
    return patch, float(slide.properties["openslide.mpp-x"])


def kept_apart(folder: pathlib.Path, per_set: int) -> Iterator[Tile]:
    """Tiles whose patients nothing was trained on, at most `per_set` of a set and entity."""
    seen: dict[str, int] = {}
    for row in data.read_index(folder):
        entities = {k: v for k, v in (row["entities"] or {}).items() if v["exhaustive"]}
        group = f"{row['set']} {sorted(entities)}"
        if not entities or not data.kept_apart(row) or seen.get(group, 0) >= per_set:
            continue
        seen[group] = seen.get(group, 0) + 1
        image = cv2.cvtColor(cv2.imread(str(folder / row["file"])), cv2.COLOR_BGR2RGB)
        truth = {name: _labels(folder / e["mask"]) for name, e in entities.items()}
        yield Tile(row["id"], row["set"], image, row["mpp"], truth, stain=row["stain"])


def phantoms(count: int, side_px: int = 512) -> Iterator[Tile]:
    """Phantoms that nothing was trained on; every second one hides its scale."""
    for i in range(count):
        drawn = render.tile(HELD_OUT_SEED + i, side_px)
        mpp = None if i % 2 else drawn.mpp
        yield Tile(f"phantom/{i}", "phantom", drawn.image, mpp, drawn.labels)
