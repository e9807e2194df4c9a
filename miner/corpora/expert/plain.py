"""The plain form: `images/NAME.*`, `labels/NAME.png` and `classes.csv`, for sets of one's own.

`classes.csv` has `id` and `class`: what the numbers of a label map mean, regions that is. With a
column `image` as well the numbers are single objects, and each has its class. A column
`concept` names the concept where the class does not. `pictures.csv`, where there is one, has
`image` and any of mpp, organ, stain, group, caption and further side columns. A number in a label
map that `classes.csv` does not know is unknown. `image` is a picture's name, with or without its
suffix.
"""

from __future__ import annotations

import csv
import io

import numpy as np

from miner.core.errors import Refused
from miner.core.names import plain
from miner.corpora.corpus_folder import Folder
from miner.corpora.expert.stems import (
    Paired,
    picture_and_size,
    pictures_in,
    read_codes,
    stem_of,
)
from miner.corpora.expert.tile import (
    Item,
    Term,
    Tile,
    by_class,
    by_code,
    noted,
    ranked,
    split_ids,
)
from miner.corpora.rows import read_mpp
from ner.concepts import concepts

TABLE, PICTURES = "classes.csv", "pictures.csv"
_OWN = frozenset({"image", "mpp", "organ", "stain", "group", "caption"})


class Plain(Paired):
    """Pictures with label maps.

    Raises:
        Refused: `images/`, `labels/` or `classes.csv` is missing or says nothing.
    """

    expected = f"images/, labels/ and {TABLE}, or a layout that is read"

    def __init__(self, folder: Folder):
        super().__init__(folder)
        self._there = {item.name for item in self.items}
        self._read_classes()
        facts = self._rows(PICTURES, ("image",))
        self.facts = dict(zip(self._named(PICTURES, facts), facts, strict=True))
        self.items = [
            item._replace(group=self.facts.get(item.name, {}).get("group") or item.group)
            for item in self.items
        ]

    def files(self) -> tuple[dict[str, str], dict[str, str]]:
        """See `Paired.files`; without a table of classes no label map says anything."""
        masks = pictures_in(self.names, "labels") if TABLE in self.names else {}
        return pictures_in(self.names, "images"), masks

    def _rows(self, table: str, wanted: tuple[str, ...]) -> list[dict[str, str]]:
        if table not in self.names:
            return []
        where = f"{self.folder.field}: {self.folder.path(table)}"
        try:
            rows = list(csv.DictReader(io.StringIO(self.folder.read(table).decode("utf-8-sig"))))
        except (UnicodeDecodeError, csv.Error) as error:
            raise Refused(f"{where}: no CSV in UTF-8: {error}") from None
        lacking = [name for name in wanted if rows and rows[0].get(name) is None]
        if not rows or lacking:
            raise Refused(f"{where}: expected rows with columns {', '.join(wanted)}")
        return [{k: (v or "").strip() for k, v in row.items() if k} for row in rows]

    def _named(self, table: str, rows: list[dict[str, str]]) -> list[str]:
        """The picture that each row's `image` names, whole or by its stem; "" where none is."""
        found = []
        for row in rows:
            names = (plain(row["image"]), stem_of(row["image"]))
            found.append(next((name for name in names if name in self._there), ""))
        astray = [row["image"] for row, name in zip(rows, found, strict=True) if not name]
        if astray:
            said = f"rows that name no picture: {len(astray)}, such as {astray[0]!r}"
            self.problems.append(f"{table}: {said}")
        return found

    def _read_classes(self) -> None:
        rows = self._rows(TABLE, ("id", "class"))
        names = list(dict.fromkeys(row["class"] for row in rows))
        concept = {row["class"]: row.get("concept") or row["class"] for row in rows}
        self.terms = {i: Term(_concept(concept[name]), name) for i, name in enumerate(names, 1)}
        for term in self.terms.values():
            if term.concept is None:
                self.problems.append(f"{TABLE}: class {term.phrase!r} is no known concept")
        if all(term.concept is None for term in self.terms.values()):
            raise Refused(f"{self.folder.field}: {TABLE}: no class in it is a known concept")
        self.apart = "image" in rows[0]
        self.codes: dict[str, dict[int, int]] = {}
        pictures = self._named(TABLE, rows) if self.apart else [""] * len(rows)
        for row, picture in zip(rows, pictures, strict=True):
            try:
                number = int(row["id"])
            except ValueError:
                where = f"{self.folder.field}: {TABLE}"
                raise Refused(f"{where}: id {row['id']!r} is no number") from None
            self.codes.setdefault(picture, {})[number] = names.index(row["class"]) + 1

    def read(self, item: Item) -> Tile:
        """A picture; see `Layout.read`."""
        picture, size = picture_and_size(self.folder, item.where[0])
        ids = read_codes(self.folder, item.where[1], size)
        table = self.codes.get(item.name if self.apart else "", {})
        present = np.unique(ids[ids > 0])
        codes = np.array([table.get(i, 0) for i in present.tolist()], np.int64)
        unknown = np.isin(ids, present[codes == 0])
        labels = ranked(ids)
        if self.apart:
            outlined = by_class(labels, codes, self.terms)
            notes = noted(split_ids=split_ids(labels), unclassed_ids=int((codes == 0).sum()))
        else:
            outlined = by_code(np.append(0, codes)[labels], self.terms)
            notes = noted(unclassed_ids=int((codes == 0).sum()))
        facts = self.facts.get(item.name, {})
        return Tile(
            picture,
            outlined,
            unknown=unknown if unknown.any() else None,
            mpp=read_mpp(facts.get("mpp")),
            organ=facts.get("organ", "").lower(),
            stain=facts.get("stain", ""),
            caption=facts.get("caption", ""),
            meta={k: v for k, v in facts.items() if k not in _OWN and v},
            notes=notes,
        )


def _concept(name: str) -> str | None:
    """Canonical concept of a class, None when the table has none."""
    form = name.replace("_", " ").strip().lower()
    table = concepts()
    if form in table:
        return form
    singular = form.removesuffix("s")
    return next((c.name for c in table.values() if {form, singular} & {c.name, *c.forms}), None)
