"""PathGen-1.6M: a JSON list of slide positions with machine-written captions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Set
from typing import Any, Literal

import numpy as np
import pydantic

from miner.core.errors import Refused
from miner.core.names import plain
from miner.core.pixels import decode, encode
from miner.core.store import Store
from miner.corpora.config import TERMS, CorpusConfig, corpus_name
from miner.corpora.corpus_folder import Folder, corpus_folder
from miner.corpora.images import check
from miner.corpora.locations import Locations
from miner.corpora.part import CorpusPart, Listing
from miner.corpora.rows import Entry, Picture, Place, Reader, Row, clean, hash64
from miner.corpora.slides import SUFFIXES, Slide, find_slide
from miner.corpora.tables import ByteRanges, find_tables, list_records, table_fingerprints
from ner.strata import UNKNOWN

_PATIENT = re.compile(r"TCGA-\w\w-\w{4}")
_WHITE = 220
# Slides whose um per pixel and scanner are looked up for the spread.
SPREAD_SLIDES = 20


class PathGenConfig(CorpusConfig):
    """PathGen-1.6M.

    Attributes:
        slide_paths: folders with slides, relative to `path` or anywhere; empty looks in
            `path/slides`, `path/wsi`, `path`.
        patch_paths: folders and zips with pre-cut `{wsi_id}_{x}_{y}.jpg|png`; these win over
            slides; empty looks in `path/patches`, `path/images`.
        patch_px: side of a patch at level 0.
        patch_format: how a patch is stored; png keeps the slide's pixels, jpg is a third the size.
        patch_quality: JPEG quality, 1..100.
        max_white: patches with a larger share of white pixels (all channels above 220) are
            excluded.
    """

    kind: Literal["pathgen"]
    license: str = TERMS
    slide_paths: tuple[str, ...] = ()
    patch_paths: tuple[str, ...] = ()
    patch_px: int = pydantic.Field(672, ge=16, le=8192)
    patch_format: Literal["png", "jpg"] = "png"
    patch_quality: int = pydantic.Field(95, ge=1, le=100)
    max_white: float = pydantic.Field(0.95, ge=0, le=1)

    def incidental(self) -> Set[str]:
        """Slides and patches lie elsewhere, too."""
        return {*super().incidental(), "slide_paths", "patch_paths"}


class PathGen(Reader):
    """Reader of `PathGen-1.6M.json`; see `miner.corpora.rows.Reader`.

    Slides need not be there to plan; a missing one costs its rows.

    Raises:
        Refused: no JSON file, or a configured place is missing.
    """

    def __init__(self, config: PathGenConfig):
        self.config = config
        name = corpus_name(config)
        self.folder, file = corpus_folder(config.path, name)
        self.tables = find_tables(
            self.folder, file, ("PathGen*.json", "[Pp]ath[Gg]en*.json"), "PathGen-1.6M.json"
        )
        self.slides = _slide_folders(self.folder, config, f"corpora.{name}.slide_paths")
        self.patches = Locations(
            self.folder,
            config.patch_paths,
            ("patches", "images"),
            f"corpora.{name}.patch_paths",
            f"plan/{name}",
        )
        self._ranges = ByteRanges(self.folder, self.tables)

    def fingerprint(self) -> list[Any]:
        """Of the tables."""
        return table_fingerprints(self.folder, self.tables)

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """Rows of a table, to be ordered by slide and position.

        Raises:
            Refused: the file is no JSON list.
        """
        columns = ("wsi_id", "position", "caption")
        for record in list_records(self.folder, self.tables[table], start, problems, columns):
            value = record.value if isinstance(record.value, dict) else {}
            slide, position = _slide_id(value), _position(value)
            x, y = position or (0, 0)
            # Rows of tiles one below the other: the order in which a slide reads fastest.
            order = (min(max(y, 0), 2**30) << 31) | min(max(x, 0), 2**30)
            image = hash64(slide, str(x), str(y))
            yield Entry(record.offset, record.length, hash64(slide), image, order)

    def rows(self, places: list[Place]) -> list[Row]:
        """Parse records."""
        rows = []
        for place, value in zip(places, self._ranges.json(places), strict=True):
            row = Row(place.row)
            rows.append(row)
            if isinstance(value, str):
                row.fail("unreadable", value)
            else:
                self._fill(row, value)
        return rows

    def _fill(self, row: Row, value: dict[str, Any]) -> None:
        slide, bad_slide = clean(_slide_id(value))
        caption = value.get("caption")
        row.caption, bad_caption = clean(caption if isinstance(caption, str) else "")
        patient = _PATIENT.match(slide)
        row.group = patient.group() if patient else slide
        row.source = "PathGen-1.6M TCGA" if patient else "PathGen-1.6M"
        position = _position(value)
        file_id = value.get("file_id")
        if not isinstance(file_id, str) or "/" in plain(file_id) or file_id in (".", ".."):
            file_id = ""
        if position is None:
            row.image = slide
            row.fail("unreadable", "bad_position")
        else:
            row.image = f"{slide}_{position[0]}_{position[1]}"
            row.meta = {"wsi_id": slide, "x": position[0], "y": position[1]}
            row.where = (slide, file_id, *position)
            if max(map(abs, position)) > 2**30:
                row.fail("unreadable", "outside_slide")
        if not slide:
            row.fail("unreadable", "no_wsi_id")
        if "/" in plain(slide) or "\0" in slide:
            row.fail("unreadable", "bad_name")
        if caption is not None and not isinstance(caption, str):
            row.fail("unreadable", "caption_is_no_text")
        if bad_slide or bad_caption:
            row.fail("unreadable", "bad_utf8")

    def prepare(self, store: Store) -> None:
        """Index zips of pre-cut patches."""
        self.patches.prepare(store)

    def lacking(self, images: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Those with neither a slide nor a patch."""
        slides = [
            hash64(name.rsplit("/", 1)[-1].rpartition(".")[0])
            for folder in self.slides
            for name in _slide_names(folder)
        ]
        return self.patches.lacking(images, _patch) & ~np.isin(groups, np.array(slides, np.uint64))

    def spread(self, rows: list[Row]) -> dict[str, dict[str, int]]:
        """Um per pixel and scanner of some slides."""
        mpp: Counter[str] = Counter()
        scanners: Counter[str] = Counter()
        wanted = dict.fromkeys(r.where[:2] for r in rows if r.where and "/" not in r.where[0])
        for wsi_id, file_id in wanted:
            place = find_slide(self.slides, wsi_id, file_id)
            if place is None or not place.local or sum(mpp.values()) >= SPREAD_SLIDES:
                continue
            try:
                slide = Slide(place)
            except OSError:
                mpp["unreadable"] += 1
                continue
            mpp[f"{slide.mpp:g}" if slide.mpp else UNKNOWN] += 1
            scanners[slide.scanner or UNKNOWN] += 1
            slide.close()
        return {"mpp": dict(sorted(mpp.items())), "scanner": dict(sorted(scanners.items()))}

    def pictures(self, rows: list[Row], store: Store) -> dict[str, Picture]:
        """Pre-cut patches where there are any, else regions of slides, each slide opened once."""
        result: dict[str, Picture] = {}
        if self.patches.folders or self.patches.zips:
            names = [r.image + s for r in rows for s in (".jpg", ".png", ".jpeg")]
            found = self.patches.read(names, store)
            for row in rows:
                for suffix in (".jpg", ".png", ".jpeg"):
                    data = found[row.image + suffix]
                    if isinstance(data, bytes):
                        result.setdefault(row.image, self._precut(data))
                    elif data != "missing_image":
                        result.setdefault(row.image, Picture(status="unreadable", reason=data))
        by_slide: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
        for row in rows:
            if row.image not in result:
                slide, file_id, x, y = row.where
                by_slide.setdefault((slide, file_id), {})[row.image] = (x, y)
        for (slide, file_id), wanted in by_slide.items():
            result.update(self._from_slide(slide, file_id, wanted))
        return result

    def _precut(self, data: bytes) -> Picture:
        picture = check(data, self.config.max_pixels)
        if picture.data is not None and self._is_white(decode(picture.data)):
            return Picture(status="excluded", reason="white_patch")
        return picture

    def _from_slide(
        self, wsi_id: str, file_id: str, wanted: dict[str, tuple[int, int]]
    ) -> dict[str, Picture]:
        place = find_slide(self.slides, wsi_id, file_id)
        if place is None:
            return dict.fromkeys(wanted, Picture(status="unreadable", reason="missing_slide"))
        try:
            slide = Slide(place)
        except OSError:
            return dict.fromkeys(wanted, Picture(status="unreadable", reason="slide_failed"))
        result = {}
        size, format_ = self.config.patch_px, self.config.patch_format
        try:
            for name, (x, y) in wanted.items():
                patch = slide.patch(x, y, size)
                if isinstance(patch, str):
                    result[name] = Picture(status="unreadable", reason=patch)
                elif self._is_white(patch):
                    result[name] = Picture(status="excluded", reason="white_patch")
                else:
                    result[name] = Picture(
                        data=encode(patch, format_, self.config.patch_quality),
                        format=format_,
                        width=size,
                        height=size,
                        mpp=slide.mpp,
                        mpp_source="slide" if slide.mpp else "none",
                        meta={"scanner": slide.scanner} if slide.scanner else {},
                    )
        finally:
            slide.close()
        return result

    def _is_white(self, pixels: np.ndarray) -> bool:
        """Judged on every fourth row and column: a sixteenth of the time, the same verdict."""
        few = pixels[::4, ::4]
        return float((few.min(axis=2) > _WHITE).mean()) > self.config.max_white


def _slide_folders(root: Folder, config: PathGenConfig, field: str) -> list[Folder]:
    if not config.slide_paths:
        names = [n for n, is_dir in root.entries() if is_dir]
        return [root.sub(n) for n in ("slides", "wsi", "WSI", "wsis", "svs") if n in names] + [root]
    folders = [root.sub(p, field) for p in config.slide_paths]
    for folder in folders:
        if not folder.isdir():
            raise Refused(f"{field}: {folder.url}: no such folder")
    return folders


def _slide_names(folder: Folder) -> list[str]:
    """Slides in a folder and one level below it."""
    names = []
    for name, is_dir in folder.entries():
        below = [n for n, inner in folder.entries(name) if not inner] if is_dir else [name]
        names += [n for n in below if n.lower().endswith(SUFFIXES)]
    return names


def _patch(name: str) -> int:
    """`Entry.image` of a patch by the name of its file, `{wsi_id}_{x}_{y}.jpg`."""
    slide, _, y = name.rpartition(".")[0].rpartition("_")
    return hash64(*slide.rpartition("_")[::2], y)


def _slide_id(value: dict[str, Any]) -> str:
    name = next((value[k] for k in ("wsi_id", "WSI_id", "WSI_ID", "slide_id") if k in value), "")
    return name if isinstance(name, str) else ""


def _position(value: dict[str, Any]) -> tuple[int, int] | None:
    position = value.get("position")
    if not isinstance(position, list | tuple) or len(position) != 2:
        return None
    try:
        return int(position[0]), int(position[1])
    except (TypeError, ValueError, OverflowError):
        pass
    try:  # "1024.0"
        return int(float(position[0])), int(float(position[1]))
    except (TypeError, ValueError, OverflowError):
        return None


def _detect(listing: Listing) -> dict[str, Any] | None:
    for name in listing.names:
        fields = listing.fields(name)
        if "caption" in fields and fields & {"wsi_id", "WSI_id", "WSI_ID"}:
            return {}
    return None


PART = CorpusPart(
    kind="pathgen",
    Settings=PathGenConfig,
    build=lambda config, threads: PathGen(config),
    detect=_detect,
    title="PathGen-1.6M",
    cite="Sun et al., PathGen-1.6M: 1.6 Million Pathology Image-text Pairs Generation through "
    "Multi-agent Collaboration, ICLR 2025",
)
