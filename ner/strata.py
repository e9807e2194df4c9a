"""Strata of a row: what its caption and its side columns say of organ, stain, patient and slide.

Organ, stain, magnification, specimen and subtype are the facts of the caption (`ner.facts`);
numbers (grade, stage, age) and sex are patterns below.
A value keeps the span it came from; a dimension without a value is the stratum `unknown`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from miner.core.unit import STRATUM
from ner.extractor import default
from ner.mentions import Fact
from ner.plain import Plain, plain
from ner.vocabulary import read_table

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
# Dimensions that are facts of another name.
_DIMENSIONS = {"site": "organ", "diagnosis": "subtype"}
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


_PATTERNS: Sequence[tuple[str, re.Pattern[str]]] = (
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
    ("grade", re.compile(r"\b(low|intermediate|high)[\s-]grade\b", re.IGNORECASE)),
    (
        "grade",
        re.compile(
            r"\b((?:well|moderately|poorly)[\s-]differentiated|undifferentiated|anaplastic)\b",
            re.IGNORECASE,
        ),
    ),
    ("sex", re.compile(r"\b(females?|wom[ae]n|girl|males?|m[ae]n|boy)\b", re.IGNORECASE)),
)
_GRADES = {
    "low": "low grade",
    "intermediate": "intermediate grade",
    "high": "high grade",
    "well": "low grade",
    "moderately": "intermediate grade",
    "poorly": "high grade",
    "undifferentiated": "high grade",
    "anaplastic": "high grade",
}
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
            value = value.strip().lower().encode("utf-8", "replace").decode()
            found[dimension] = Stratum(dimension, value, None, None, dimension)
    for stratum in _facts(default()(caption).facts):
        found.setdefault(stratum.dimension, stratum)
    for stratum in _numbers(plain(caption)):
        found.setdefault(stratum.dimension, stratum)
    if "system" not in found:
        found |= _system(found.get("organ"), meta)
    return [found[d] for d in DIMENSIONS if d in found]


def strata_column(
    texts: Sequence[str], metas: Sequence[Mapping[str, Any]], turned: Sequence[bool]
) -> pa.Array:
    """`strata_of` many rows, list<STRATUM>.

    Args:
        texts: captions, or all turns of a dialogue.
        metas: side columns.
        turned: whether a text is of turns; spans in it are none of a caption and left out.
    """
    rows = []
    for text, meta, in_turns in zip(texts, metas, turned, strict=True):
        found = strata_of(text, meta)
        if in_turns:
            found = [s._replace(start=None, end=None) for s in found]
        rows.append([s._asdict() for s in found])
    return pa.array(rows, pa.list_(STRATUM))


def _facts(facts: Sequence[Fact]) -> Iterator[Stratum]:
    """Values that the facts of a caption state: the first, but the most specific subtype."""
    _, subtypes = _tables()
    hits = []
    for kind, value, start, end in facts:
        dimension = _DIMENSIONS.get(kind, kind)
        if dimension == "subtype" and value not in subtypes:
            continue
        if dimension == "magnification":
            value = _power(value) or ""
        # Longer names are more specific: "papillary renal cell carcinoma" over "carcinoma".
        specific = len(value) if dimension == "subtype" else 0
        if value:
            hits.append((-specific, start, end, dimension, value.lower()))
    for _, start, end, dimension, value in sorted(hits):
        yield Stratum(dimension, value, start, end, "caption")


def _power(magnification: str) -> str | None:
    """low, medium or high."""
    if not magnification[0].isdigit():
        return magnification.removesuffix(" power")
    power = float(magnification.removesuffix("x"))
    objective = power / 10 if power > 100 else power
    return next((name for name, low, high in _POWER if low <= objective < high), None)


def _numbers(caption: Plain) -> Iterator[Stratum]:
    for dimension, pattern in _PATTERNS:
        for match in pattern.finditer(caption.text):
            value = _number(dimension, next(g for g in match.groups() if g))
            if value:
                yield Stratum(dimension, value, *caption.span(*match.span()), "caption")
                break


def _number(dimension: str, text: str) -> str | None:
    """The stratum a number falls into."""
    if dimension == "age":
        age = int(text)
        return f"{age // 10 * 10}-{age // 10 * 10 + 9}" if age < 120 else None
    if dimension == "grade" and "+" in text:
        first, second = (int(p) for p in text.split("+"))
        return f"gleason {first + second}"
    text = text.lower()
    if dimension == "sex":
        return "female" if text[0] in "fgw" else "male"
    if dimension == "grade" and (word := re.split(r"[\s-]", text)[0]) in _GRADES:
        return _GRADES[word]
    return f"{dimension} {_ROMAN.get(text, text)}"


def _system(organ: Stratum | None, meta: Mapping[str, Any]) -> dict[str, Stratum]:
    systems, _ = _tables()
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
def _tables() -> tuple[dict[str, str], frozenset[str]]:
    """System by organ, and the names of tumors."""
    rows = list(read_table("context"))
    systems = {row["name"]: row["system"] for row in rows if row["system"]}
    return systems, frozenset(row["name"] for row in rows if row["kind"] == "tumor")
