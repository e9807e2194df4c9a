"""QuPath GeoJSON: a file a picture, and a file a slide with all of its pictures' regions."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from miner.core.errors import Refused
from shards.export.folder import Folder, Sample
from shards.export.masks import region_rings
from shards.export.options import Options, exporters
from shards.sample import Region, Rle

COLORS = (
    (230, 25, 75),
    (60, 180, 75),
    (0, 130, 200),
    (245, 130, 48),
    (145, 30, 180),
    (70, 240, 240),
)
ADVICE = (
    "qupath: slides/ is in pixels of the whole slide's level 0; QuPath crops slides that state"
    " bounds unless told not to: --set slides=FOLDER makes the coordinates relative to them"
)


def qupath(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """QuPath: `{split}/{key}.geojson` beside the picture, in its pixels; `slides/{id}.geojson`.

    Rings are closed and have holes; single objects of a slide are detections, which QuPath draws by
    the hundred thousand.
    """
    colors: dict[str, int] = {}
    slides = _Slides(folder, options)
    for sample in samples:
        features = []
        for region in sample.value["regions"]:
            place = colors.setdefault(region["concept"], len(colors)) % len(COLORS)
            for rle in region["instances"] or [region["rle"]]:
                features.append(_feature(region, rle, COLORS[place]))
        collection = {"type": "FeatureCollection", "features": features}
        folder.put_json(f"{sample.split}/{sample.key}.geojson", collection)
        folder.put(f"{sample.split}/{sample.name}", sample.image)
        slides.add(sample, COLORS, colors)
    slides.finish()


class _Slides:
    """Regions of all pictures, kept in a scratch file until their slides are written."""

    def __init__(self, folder: Folder, options: Options):
        self._folder = folder
        self._bounds = _Bounds(options.slides)
        self._scratch: IO[str] | None = None
        self._parts: dict[str, list[int]] = {}
        self._seen: set[tuple[str, int, int, str]] = set()

    def add(
        self, sample: Sample, palette: tuple[tuple[int, int, int], ...], colors: dict[str, int]
    ) -> None:
        """Keep the regions of a picture; one that several captions name counts once."""
        place = sample.value.get("slide")
        if place is None:
            return
        if place["level"]:
            why = f"how much level {place['level']} is scaled down is not known"
            self._folder.lose(sample.key, None, f"slides/: {why}", "changed")
            return
        left, top = self._bounds.of(place["id"])
        for region in sample.value["regions"]:
            one = (place["id"], place["x"], place["y"], region["concept"])
            if one in self._seen:
                continue
            self._seen.add(one)
            if self._scratch is None:
                self._scratch = self._folder.spool()
            for rle in region["instances"] or [region["rle"]]:
                color = palette[colors[region["concept"]] % len(palette)]
                found = _feature(region, rle, color, (place["x"] - left, place["y"] - top))
                found["properties"]["metadata"] = {"sample": sample.key}
                if region["instances"]:
                    found["properties"]["objectType"] = "detection"
                self._parts.setdefault(place["id"], []).append(self._scratch.tell())
                self._scratch.write(json.dumps(found) + "\n")

    def finish(self) -> None:
        """Write a file a slide."""
        for name, starts in sorted(self._parts.items()):
            assert self._scratch is not None
            file = self._folder.open_text(f"slides/{file_name(name)}.geojson")
            file.write('{"type": "FeatureCollection", "features": [\n')
            for number, start in enumerate(starts):
                self._scratch.seek(start)
                file.write((",\n" if number else "") + self._scratch.readline().rstrip("\n"))
            file.write("\n]}\n")
            file.close()
        if self._parts and not self._bounds:
            self._folder.say(ADVICE)


class _Bounds:
    """Upper left corner of what QuPath shows of a slide, from the slides themselves."""

    def __init__(self, folder: str | None):
        self._folder = Path(folder) if folder else None
        if self._folder is not None and not self._folder.is_dir():
            raise Refused(f"--set slides={folder}: no such folder")
        self._known: dict[str, tuple[int, int]] = {}

    def __bool__(self) -> bool:
        return self._folder is not None

    def of(self, name: str) -> tuple[int, int]:
        """Left and top, px of level 0; 0 where the slide states none, or none is asked for."""
        if self._folder is None:
            return 0, 0
        if name not in self._known:
            self._known[name] = self._read(self._folder, name)
        return self._known[name]

    def _read(self, folder: Path, name: str) -> tuple[int, int]:
        import openslide

        files = [f for f in sorted(folder.iterdir()) if f.name.rpartition(".")[0] == name]
        if not files:
            raise Refused(f"--set slides={folder}: no slide {name}")
        try:
            with openslide.OpenSlide(str(files[0])) as slide:
                stated = slide.properties
                x, y = (stated.get(f"openslide.bounds-{axis}", "0") for axis in "xy")
        except openslide.OpenSlideError as error:
            raise Refused(f"--set slides={folder}: {files[0].name}: {error}") from None
        return int(x), int(y)


def file_name(name: str) -> str:
    """A slide's name as that of a file; one that had to be changed gets a part of its hash."""
    safe = re.sub(r"[^\w.-]", "_", name).lstrip(".")
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _feature(
    region: Region, rle: Rle, color: tuple[int, int, int], at: tuple[int, int] = (0, 0)
) -> dict[str, Any]:
    """A region, or one object of it, with the upper left corner of its picture at `at`."""
    x, y = at
    shapes = [
        [[[px + x, py + y] for px, py in (*ring, ring[0])] for ring in part]
        for part in region_rings(rle)
    ]
    geometry = {"type": "Polygon", "coordinates": shapes[0]}
    if len(shapes) > 1:
        geometry = {"type": "MultiPolygon", "coordinates": shapes}
    stated = {name: region.get(name) for name in ("score", "exhaustive")}
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": {
            "objectType": "annotation",
            "classification": {"name": region["concept"], "color": list(color)},
            "measurements": {name: v for name, v in stated.items() if v is not None},
        },
    }


PARTS = exporters({"qupath": qupath}, no_dialogues=("qupath",), read={"qupath": ("slides",)})
