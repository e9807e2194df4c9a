"""Molmo: points of objects, the number that follows from them, and its own way to say "none"."""

from __future__ import annotations

from collections.abc import Iterable

from shards.export.folder import Folder, Sample
from shards.export.masks import thickest
from shards.export.options import Options, exporters
from shards.export.phrases import phrases
from shards.export.rows import Rows, save
from shards.instruct.numbers import said
from shards.known import checked, is_whole, plain
from shards.sample import Region

MOST_POINTS = 60  # `max_points` of its data set
SPLITS = {"val": "validation"}  # as it calls them
PLACE = "points-pointing"


def molmo(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Molmo 2's `PixMoPoints`, kind basic: `points-pointing/` for `load_from_disk`, by split.

    Its answers count the points, and no points are "there are none": only objects that are known to
    be all, or whose number is known exactly, and what is confirmed to be absent.
    """
    from datasets import Features, Image, List, Value

    point = {"x": Value("float64"), "y": Value("float64")}
    features = Features(
        {
            "image": Image(),
            "image_url": Value("string"),
            "label": List(Value("string")),
            "points": List(List(point)),
            "count": List(Value("int64")),
        }
    )
    parts: dict[str, Rows] = {}
    for sample in samples:
        told = _told(sample, folder, options)
        if not told:
            folder.lose(sample.key, None, "no phrase is left", "dropped")
            continue
        split = SPLITS.get(sample.split, sample.split)
        if split not in parts:
            parts[split] = Rows(folder, features, split)
        folder.files += 1
        parts[split].add(
            {
                "image": {"bytes": sample.image, "path": None},
                "image_url": sample.key,
                "label": [text for text, _ in told],
                "points": [points for _, points in told],
                "count": [len(points) for _, points in told],
            }
        )
    if parts:
        save(parts, str(folder.root / PLACE))
    else:
        folder.say("molmo: no phrase is left, so there is no data set")


def _told(
    sample: Sample, folder: Folder, options: Options
) -> list[tuple[str, list[dict[str, float]]]]:
    """Phrases with their points, in percent of the picture; none for what is absent."""
    found = []
    known = {c.text: c for c in checked(sample.value)}
    for p in phrases(sample.value):
        text = plain(p.text)
        why = _why_not(p.region, options)
        if text not in known or known[text].region is not p.region:
            why = "the same words stand for another region of the picture"
        if why:
            folder.lose(sample.key, p.text, why, "dropped")
            known.pop(text, None)
    for text, one in known.items():
        objects = [] if one.region is None else one.region["instances"]
        if len(objects) > MOST_POINTS:
            why = f"its configuration leaves out more than {MOST_POINTS} points"
            folder.lose(sample.key, text, why, "kept")
        width, height = sample.value["width"], sample.value["height"]
        middles = [thickest(rle) for rle in objects]
        points = [{"x": 100 * (x + 0.5) / width, "y": 100 * (y + 0.5) / height} for x, y in middles]
        found.append((text, points))
    return found


def _why_not(region: Region, options: Options) -> str:
    """Why a region cannot be told by points that are all there are; empty where it can."""
    if not region["instances"]:
        return "a substance has no points"
    exact = (said(region.get("count")) or "").isdigit()
    if exact or is_whole(region, options.certain):
        return ""
    return "its answers count the points, and there may be more of it"


PARTS = exporters({"molmo": molmo}, no_dialogues=("molmo",), read={"molmo": ("certain",)})
