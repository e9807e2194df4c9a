"""Corrections that QuPath wrote: GeoJSON of our export, redrawn, as judgements of the sample."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from miner.audit.judgements import MAX_CORNERS, Outline, Verdict
from miner.audit.labels import filled
from miner.core.errors import Refused
from miner.core.masks import decode
from miner.core.store import Store
from miner.report.gallery import Pictures

UNCHANGED_IOU = 0.99  # from which on an outline was not touched: QuPath may round corners
ROUGHLY_IOU = 0.5  # from which on the mask was right enough to be used


def corrections(
    store: Store, audit: Mapping[str, Any], folder: Path, auditor: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Judgements of the items whose outlines were changed.

    A file is `{key}.geojson` anywhere below the folder, as `miner export --to qupath` writes it. Of
    a concept that it outlines otherwise than the mask the outline is taken, with `roughly_right`
    where the mask overlaps it enough and `wrong_extent` where not; one that it no longer has is
    `wrong_object`. What was not touched is no judgement.

    Args:
        store: the audited OUT.
        audit: content of audit.json.
        folder: of the files.
        auditor: who redrew.

    Returns:
        Lines for a file of judgements, and what was not taken: "file: why".

    Raises:
        Refused: no GeoJSON there.
    """
    files = {f.name.removesuffix(".geojson"): f for f in sorted(folder.rglob("*.geojson"))}
    if not files:
        raise Refused(f"--corrections {folder}: no .geojson in it")
    items = [i for i in audit["items"] if i["control"] is None and i["kept"]]
    wanted = [i for i in items if i["sample_id"] in files]
    drawn_of = {i["sample_id"] for i in wanted}
    problems = [
        f"{file.name}: no mask of it is in the sample"
        for key, file in files.items()
        if key not in drawn_of
    ]
    pictures = Pictures(store, drawn_of)
    lines = []
    read: dict[str, dict[str, Outline] | str] = {}
    for item in wanted:
        file = files[item["sample_id"]]
        if file.name not in read:
            read[file.name] = _outlines(file)
        found = read[file.name]
        if isinstance(found, str):
            problems.append(f"{file.name}: {found}")
            continue
        image = pictures.images[pictures.samples[item["sample_id"]]["image_id"]]
        key = image["image_id"], item["concept"], item["segmenter"]
        mask = decode(pictures.masks[key], image["height"], image["width"])
        said = _judged(mask, found.get(item["concept"]))
        if said is not None:
            verdict, outline = said
            lines.append(
                {"audit": audit["audit"], "item": item["item"], "auditor": auditor,
                 "verdict": verdict, "outline": outline}
            )  # fmt: skip
    return lines, sorted(set(problems))


def _judged(mask: np.ndarray, outline: Outline | None) -> tuple[Verdict, Outline] | None:
    """Verdict and outline, None where nothing was changed."""
    if outline is None:
        return "wrong_object", ()
    drawn = filled(outline, *mask.shape)
    if not drawn.any():
        return "wrong_object", ()
    iou = (mask & drawn).sum() / (mask | drawn).sum()
    if iou >= UNCHANGED_IOU:
        return None
    return "roughly_right" if iou >= ROUGHLY_IOU else "wrong_extent", outline


def _outlines(file: Path) -> dict[str, Outline] | str:
    """Rings by concept, or why there are none."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        found: dict[str, list[tuple[tuple[float, float], ...]]] = {}
        for feature in value["features"] if isinstance(value, dict) else value:
            concept = feature["properties"]["classification"]["name"]
            found.setdefault(concept, []).extend(_rings(feature["geometry"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return f"no GeoJSON with classified annotations ({type(error).__name__})"
    for concept, rings in found.items():
        if sum(map(len, rings)) > MAX_CORNERS:
            return f"{concept}: more than {MAX_CORNERS:,} corners"
    return {concept: tuple(rings) for concept, rings in found.items()}


def _rings(geometry: Mapping[str, Any]) -> Iterator[tuple[tuple[float, float], ...]]:
    """Rings of a Polygon or MultiPolygon; holes are rings within rings."""
    polygons = {"Polygon": lambda c: [c], "MultiPolygon": lambda c: c}[geometry["type"]]
    for polygon in polygons(geometry["coordinates"]):
        for ring in polygon:
            corners = tuple((float(x), float(y)) for x, y in ring)
            if len(corners) < 3 or not np.isfinite(corners).all():
                raise ValueError("a ring of fewer than three corners")
            yield corners
