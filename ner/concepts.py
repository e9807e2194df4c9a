"""The concept table: structures one can see in a histology picture.

One row of `data/concepts.tsv` per concept; lists within a cell are separated by `;`.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib.resources
from collections.abc import Mapping
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Concept:
    """A structure that can be seen.

    Attributes:
        name: canonical name: lower-case, singular, American spelling.
        kind: "object" for countable things, "stuff" for regions and substances.
        forms: surface forms (synonyms, plurals, spellings), without the name itself.
        parent: name of the more general concept, or None.
        part_of: names of concepts it lies inside of.
        sites: organs it occurs in; empty means anywhere.
        not_sites: organs in which it cannot occur.
        size_um: typical smallest and largest diameter of one object in um, None for stuff.
        stain: look in H&E: basophilic, eosinophilic, clear, red, brown, black, mixed.
        prompts: wordings for segmenters, best first; the name when empty.
        biomedparse: BiomedParse's target names it maps to.
        umls: UMLS concept identifier, or None.
        head: how it behaves as the head of a phrase: "" stands alone; "empty" stands alone and
            keeps the adjective before it ("pleomorphic cells"); "bound" is nothing without a
            modifier ("necrotic areas", but not "areas"); "tumor" is tissue or disease, by context.
    """

    name: str
    kind: Literal["object", "stuff"]
    forms: tuple[str, ...] = ()
    parent: str | None = None
    part_of: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    not_sites: tuple[str, ...] = ()
    size_um: tuple[float, float] | None = None
    stain: str = "mixed"
    prompts: tuple[str, ...] = ()
    biomedparse: tuple[str, ...] = ()
    umls: str | None = None
    head: Literal["", "empty", "bound", "tumor"] = ""

    @property
    def wordings(self) -> tuple[str, ...]:
        """Phrases to prompt a segmenter with, best first; never empty."""
        return self.prompts or (self.name,)


def _list(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(";") if part.strip())


def _row(row: Mapping[str, str]) -> Concept:
    size = _list(row["size_um"])
    return Concept(
        name=row["name"],
        kind="object" if row["kind"] == "object" else "stuff",
        forms=_list(row["forms"]),
        parent=row["parent"] or None,
        part_of=_list(row["part_of"]),
        sites=_list(row["sites"]),
        not_sites=_list(row["not_sites"]),
        size_um=(float(size[0]), float(size[1])) if size else None,
        stain=row["stain"] or "mixed",
        prompts=_list(row["prompts"]),
        biomedparse=_list(row["biomedparse"]),
        umls=row["umls"] or None,
        head=row["head"],  # type: ignore[arg-type]
    )


@functools.cache
def concepts() -> Mapping[str, Concept]:
    """All concepts by canonical name, in the order of the file."""
    source = importlib.resources.files("ner") / "data" / "concepts.tsv"
    with source.open(encoding="utf-8") as lines:
        return {row["name"]: _row(row) for row in csv.DictReader(lines, delimiter="\t")}
