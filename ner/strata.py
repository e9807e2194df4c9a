"""Strata of a row: what its caption and its side columns say of organ, stain, patient and slide.

The words are in `data/strata.tsv`; numbers (magnification, grade, stage, age) are patterns below.
A value keeps the span it came from; a dimension without a value is the stratum `unknown`.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from miner.core.unit import STRATUM

DIMENSIONS = (
    "organ",
    "system",
    "stain",
    "magnification",
    "specimen",
    "subtype",
    "grade",
    "stage",
    "age",
    "sex",
    "scanner",
)
# Dimensions that are columns of the samples themselves.
COLUMNS = ("corpus", "source", "group", "image_id")
UNKNOWN = "unknown"


class Stratum(NamedTuple):
    """A value of a dimension and where it was said (see `miner.core.unit.STRATUM`)."""

    dimension: str
    value: str
    start: int | None
    end: int | None
    origin: str


# Words that are something else unless written in capitals.
_CAPITALS = {"he", "fish", "ish"}
# "no evidence of carcinoma" says nothing about the subtype.
_NEGATED = re.compile(
    r"\b(?:no|not|without|negative for|absence of|free of|rule out|ruled out|exclude[sd]?"
    r"|lack(?:s|ing)?(?: of)?)\b[^.;:,]{0,40}$",
    re.IGNORECASE,
)
_PATTERNS: Sequence[tuple[str, re.Pattern[str]]] = (
    (  # x400, 40 x
        "magnification",
        re.compile(
            r"(?:(?<!\d)(?<!\d\s)[x×]\s?(\d{1,4}(?:\.\d)?)|\b(\d{1,4}(?:\.\d)?)\s?[x×])"
            r"(?![\w×])(?!\s?\d)",  # 3 x 4 cm is a size
            re.IGNORECASE,
        ),
    ),
    (
        "grade",
        re.compile(
            r"\b(?:grade|nottingham|fuhrman|isup)\s+(?:grade\s+)?([1-5]|I{1,3}|IV|V)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "grade",
        re.compile(r"\bgleason\s+(?:score\s+|grade\s+)?(?:of\s+)?(\d\s?\+\s?\d)", re.IGNORECASE),
    ),
    ("stage", re.compile(r"\b[Ss]tage\s+(IV|I{1,3}|[1-4])(?:[ABCabc]\d?)?\b")),
    ("stage", re.compile(r"\b[pc]?(T(?:is|[0-4]))[a-d]?\s?N[0-3x]")),
    (
        "age",
        re.compile(
            r"\b(\d{1,3})[\s-]*(?:(?:years?|yrs?)[\s-]*(?:old|of age)|yo|y/o|y\.o\.)",
            re.IGNORECASE,
        ),
    ),
    ("age", re.compile(r"\baged?\s+(\d{1,3})\b", re.IGNORECASE)),
)
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5"}
# Objective (2.5..100) and total magnification (25..1000) of the same view: eyepieces are 10x.
_POWER = (("low", 0.0, 8.0), ("medium", 8.0, 25.0), ("high", 25.0, 101.0))
# QUILT's subspecialties to organ systems.
_SYSTEMS = {
    "gastrointestinal": "gastrointestinal",
    "renal": "genitourinary",
    "genitourinary": "genitourinary",
    "pulmonary": "thoracic",
    "breast": "breast",
    "hematopathology": "hematologic",
    "dermatopathology": "dermatologic",
    "gynecologic": "gynecologic",
    "head and neck": "head and neck",
    "neuropathology": "nervous",
    "endocrine": "endocrine",
    "cardiac": "cardiovascular",
    "bone": "musculoskeletal",
    "soft tissue": "musculoskeletal",
    "ophthalmic": "ophthalmic",
    "cytopathology": UNKNOWN,
}


def strata_of(caption: str, meta: Mapping[str, Any]) -> list[Stratum]:
    """Strata of a row: at most one value a dimension, the side column's before the caption's.

    Args:
        caption: as published.
        meta: side columns (`magnification`, `pathology`, `scanner`, `organ`, `stain`, ...).

    Returns:
        In the order of `DIMENSIONS`.
    """
    found: dict[str, Stratum] = {}
    for dimension in DIMENSIONS:
        value = meta.get(dimension)
        if dimension == "age" and str(value).isdigit():
            value = _number("age", str(value))
        if isinstance(value, str) and value.strip():
            found[dimension] = Stratum(dimension, value.strip().lower(), None, None, dimension)
    for stratum in _words(caption):
        found.setdefault(stratum.dimension, stratum)
    for stratum in _numbers(caption):
        found.setdefault(stratum.dimension, stratum)
    if "system" not in found:
        found |= _system(found.get("organ"), meta)
    return [found[d] for d in DIMENSIONS if d in found]


def strata_column(captions: Sequence[str], metas: Sequence[Mapping[str, Any]]) -> pa.Array:
    """`strata_of` many rows, list<STRATUM>."""
    rows = [
        [s._asdict() for s in strata_of(caption, meta)]
        for caption, meta in zip(captions, metas, strict=True)
    ]
    return pa.array(rows, pa.list_(STRATUM))


def _words(caption: str) -> Iterator[Stratum]:
    """Values whose words the caption has: the leftmost first, but the longest subtype."""
    pattern, values, _ = _vocabulary()
    hits = []
    for match in pattern.finditer(caption):
        form = match.group().lower()
        if form in _CAPITALS and not match.group().isupper():
            continue
        negated = _NEGATED.search(caption, max(0, match.start() - 60), match.start())
        for dimension, value in values[form]:
            if negated and dimension == "subtype":
                continue
            # Longer names are more specific: "papillary renal cell carcinoma" over "carcinoma".
            specific = len(value) if dimension == "subtype" else 0
            hits.append((-specific, match.start(), match.end(), dimension, value))
    for _, start, end, dimension, value in sorted(hits):
        yield Stratum(dimension, value, start, end, "caption")


def _numbers(caption: str) -> Iterator[Stratum]:
    for dimension, pattern in _PATTERNS:
        for match in pattern.finditer(caption):
            value = _number(dimension, next(g for g in match.groups() if g))
            if value:
                yield Stratum(dimension, value, match.start(), match.end(), "caption")
                break


def _number(dimension: str, text: str) -> str | None:
    """The stratum a number falls into."""
    if dimension == "magnification":
        power = float(text)
        objective = power / 10 if power > 100 else power
        return next((n for n, low, high in _POWER if low < objective < high), None)
    if dimension == "age":
        age = int(text)
        return f"{age // 10 * 10}-{age // 10 * 10 + 9}" if age < 120 else None
    if dimension == "grade" and "+" in text:
        first, second = (int(p) for p in text.split("+"))
        return f"gleason {first + second}"
    text = text.lower()
    return f"{dimension} {_ROMAN.get(text, text)}"


def _system(organ: Stratum | None, meta: Mapping[str, Any]) -> dict[str, Stratum]:
    systems = _vocabulary()[2]
    if organ is not None and systems.get(organ.value):
        system = systems[organ.value]
        return {"system": Stratum("system", system, organ.start, organ.end, organ.origin)}
    pathology = meta.get("pathology")
    for name in pathology if isinstance(pathology, list) else []:
        system = _SYSTEMS.get(str(name).strip().lower(), UNKNOWN)
        if system != UNKNOWN:
            return {"system": Stratum("system", system, None, None, "pathology")}
    return {}


@functools.cache
def _vocabulary() -> tuple[re.Pattern[str], dict[str, list[tuple[str, str]]], dict[str, str]]:
    """Pattern of all forms (longest first), (dimension, value) by form, system by organ."""
    values: dict[str, list[tuple[str, str]]] = {}
    systems: dict[str, str] = {}
    source = importlib.resources.files("ner") / "data" / "strata.tsv"
    with source.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if row["system"]:
                systems[row["value"]] = row["system"]
            for form in [row["value"], *row["forms"].split(";")]:
                if form:
                    values.setdefault(form.lower(), []).append((row["dimension"], row["value"]))
    forms = sorted(values, key=lambda f: (-len(f), f))
    alternatives = "|".join(re.escape(f) for f in forms)
    return re.compile(rf"(?<![\w-])(?:{alternatives})(?![\w-])", re.IGNORECASE), values, systems
