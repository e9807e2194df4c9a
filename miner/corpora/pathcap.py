"""PathCap: a JSON list of figure panels with the figures' legends."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

from miner.core.names import base
from miner.corpora.config import TERMS, PicturesConfig, corpus_name
from miner.corpora.corpus_folder import corpus_folder
from miner.corpora.in_files import InFiles
from miner.corpora.part import CorpusPart, Listing
from miner.corpora.rows import Entry, Place, Row, clean, hash64, scalars
from miner.corpora.tables import (
    ByteRanges,
    find_tables,
    list_records,
)

_PANEL = re.compile(r"_(\d{1,3})$")
_PMID = re.compile(r"(?:PMC)?\d{4,}")


def figure_of(image: str) -> tuple[str, str | None]:
    """Figure that a panel `{PMID}_{figure stem}[_{k}].jpg` belongs to, and k."""
    stem = image.rsplit(".", 1)[0] if "." in image else image
    panel = _PANEL.search(stem)
    # `{PMID}_{number}` is a figure of its own, not panel `number` of nothing.
    if panel and "_" in stem[: panel.start()]:
        return stem[: panel.start()], panel.group(1)
    return stem, None


class PathCapConfig(PicturesConfig):
    """PathCap."""

    kind: Literal["pathcap"]
    license: str = TERMS


class PathCap(InFiles):
    """Reader of `data.json`; see `miner.corpora.rows.Reader`.

    Raises:
        Refused: no data.json, or a configured place is missing.
    """

    def __init__(self, config: PathCapConfig):
        self.config = config
        folder, file = corpus_folder(config.path, corpus_name(config))
        tables = find_tables(folder, file, ("data.json", "data*.json"), "data.json")
        super().__init__(folder, tables, config)
        self._ranges = ByteRanges(self.folder, self.tables)

    def scan(self, table: int, start: int, problems: list[str]) -> Iterator[Entry]:
        """Rows of a table; panels of a figure belong together.

        Raises:
            Refused: the file is no JSON list.
        """
        columns = ("img", "caption")
        for record in list_records(self.folder, self.tables[table], start, problems, columns):
            value = record.value if isinstance(record.value, dict) else {}
            image = _image(value)
            yield Entry(record.offset, record.length, hash64(figure_of(image)[0]), hash64(image))

    def rows(self, places: list[Place]) -> list[Row]:
        """Parse records; panels that repeat their figure's legend say so."""
        rows = []
        for place, value in zip(places, self._ranges.json(places), strict=True):
            row = Row(place.row, source="PathCap PubMed Central")
            rows.append(row)
            if isinstance(value, str):
                row.fail("unreadable", value)
                continue
            row.image, bad_image = clean(_image(value))
            caption = value.get("caption")
            row.caption, bad_caption = clean(caption if isinstance(caption, str) else "")
            figure, panel = figure_of(row.image)
            article = _PMID.match(row.image)
            row.group = article.group() if article else figure
            row.meta = {"figure": figure}
            if panel is not None:
                row.meta["panel"] = panel
            row.meta |= scalars(value, {"img", "image", "caption"})
            if caption is not None and not isinstance(caption, str):
                row.fail("unreadable", "caption_is_no_text")
            if bad_image or bad_caption:
                row.fail("unreadable", "bad_utf8")
        shared = Counter((r.meta.get("figure"), r.caption) for r in rows if r.caption)
        for row in rows:
            panels = shared[(row.meta.get("figure"), row.caption)]
            if panels > 1:
                row.meta["panels_with_this_caption"] = panels
        return rows


def _image(value: dict[str, object]) -> str:
    name = value.get("img", value.get("image"))
    return base(name) if isinstance(name, str) else ""


def _detect(listing: Listing) -> dict[str, Any] | None:
    lists = (name for name in listing.names if name.startswith("data"))
    return {} if any({"img", "caption"} <= listing.fields(name) for name in lists) else None


PART = CorpusPart(
    kind="pathcap",
    Settings=PathCapConfig,
    build=lambda config, threads: PathCap(config),
    detect=_detect,
    title="PathCap",
    cite="Sun et al., PathAsst: A Generative Foundation AI Assistant towards Artificial General "
    "Intelligence of Pathology, AAAI 2024",
)
