"""What the JSON files of OUT hold, as far as anybody relies on it.

OUT is passed from lab to lab, and its files are damaged, cut and edited: what is read is held
against this before anyone uses it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Annotated, Any, NotRequired

import pydantic
from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

# A file that a swap may touch: those of a data set, and nothing outside of OUT.
_Published = Annotated[
    str,
    StringConstraints(
        pattern=r"^(run\.json|finished\.json|(shards|ledger|report)(/[^/.\x00-\x1f][^/\x00-\x1f]*)+)$"
    ),
]

_Pair = Annotated[list[int], Field(min_length=2, max_length=2)]


class RunShape(TypedDict, total=False):
    """run.json; which of these are needed depends on the reader."""

    config: dict[str, Any]
    identity: dict[str, Any]
    files: dict[str, str]
    rows: dict[str, int]
    versions: dict[str, str]
    hash: str
    run: str
    plan: str


class FinishedShape(TypedDict, total=False):
    """finished.json."""

    digest: str
    tars: dict[str, str]
    ledger: dict[str, str]


class LeaseShape(TypedDict):
    """lease/{number}.json."""

    host: str
    machine: str
    pid: int
    began: str
    since: str
    seen: str
    beat: int


class WhyShape(TypedDict):
    """Why a row is left out."""

    reason: str


class IsolatedShape(TypedDict):
    """isolated/{unit}.json."""

    rows: dict[Annotated[str, StringConstraints(pattern=r"^\d{1,18}$")], WhyShape]


class PlanShape(TypedDict):
    """plan/{corpus}.json."""

    rows: int
    units: int
    images: int
    content: str
    files: NotRequired[dict[str, str]]
    problems: list[str]


class ZipShape(TypedDict):
    """plan/{corpus}/zip-{number}.json: of which file the index beside it is."""

    fingerprint: Any
    members: int
    sha256: NotRequired[str]


class AmountShape(TypedDict):
    """An estimated total and its interval."""

    low: float
    middle: float
    high: float


class EstimateShape(TypedDict):
    """estimate/expected.json."""

    rows: Annotated[int, Field(gt=0)]
    seconds: AmountShape
    bytes: AmountShape
    tokens_in: AmountShape
    tokens_out: AmountShape


class TookShape(TypedDict):
    """estimate/took.json."""

    rows: Annotated[int, Field(gt=0)]
    seconds: float


class SwapShape(TypedDict):
    """barrier/swap.json, which moves and removes files."""

    folder: Annotated[str, StringConstraints(pattern=r"^barrier/[0-9a-f]{16}/next$")]
    put: list[_Published]
    remove: list[_Published]


class ChangesShape(TypedDict):
    """report/changes.json."""

    settings: list[str]
    concepts: dict[str, _Pair]
    reasons: dict[str, _Pair]
    rows: NotRequired[dict[str, _Pair]]
    gained: int
    lost: int


class ControlShape(TypedDict):
    """Copies that were planted among the pictures, and how many of them were found."""

    planted: int
    found: int


class ProtectedShape(TypedDict):
    """What was found of one protected set."""

    name: str
    pictures: int
    found: dict[str, int]
    of_its_patients: int
    control: ControlShape


class LeaksShape(TypedDict):
    """ledger/leaks.json."""

    compared: int
    excluded: int
    thresholds: dict[str, float]
    model: str
    sets: list[ProtectedShape]


class CurvesShape(TypedDict):
    """What labelled masks say of one level."""

    reliability: dict[str, list[float]]
    threshold: list[float]
    precision: list[float]
    roc: dict[str, list[float]]
    right: float
    wrong: float


class RightShape(TypedDict):
    """How many of the accepted masks are right."""

    expected: int
    least: int
    most: int


class EntrapmentShape(TypedDict):
    """Decoys among the phrases of captions, and what the others let pass of them."""

    asked: int
    accepted: int
    least: float | None
    most: float | None


class RatesShape(TypedDict):
    """What is expected of the accepted masks."""

    accepted: int
    decoys: int
    decoys_enough: bool
    expected: float | None
    decoy: float | None
    right: RightShape | None
    entrapment: EntrapmentShape
    governs: str


class CalibrationShape(TypedDict, total=False):
    """report/calibration.json; the report needs all of it."""

    target: Annotated[list[Any], Field(min_length=2, max_length=2)] | None
    sources: list[str]
    calibrations: dict[str, CurvesShape]
    fdr: RatesShape
    histograms: dict[str, list[float]]
    levels: dict[str, int]
    limits: dict[str, float | None]


class ItemShape(TypedDict):
    """A mask to judge, or one of the controls."""

    item: str
    corpus: str
    image: str
    group: str
    concept: str
    family: str
    stratum: str
    kept: bool
    control: str | None
    size: _Pair


class AuditShape(TypedDict):
    """audit/audit.json."""

    audit: str
    run: str
    strata: dict[str, int]
    concepts: NotRequired[dict[str, int]]
    items: list[ItemShape]


def _counted(line: list[Any]) -> list[Any]:
    name, *counts = line
    if not isinstance(name, str) or any(type(n) is not int for n in counts):
        raise ValueError("a name and two counts are needed")
    return line


class CoverageShape(TypedDict):
    """Samples by concept, in lines, and organ, in columns."""

    concepts: list[str]
    organs: list[str]
    samples: list[list[int]]


def _crossed(table: CoverageShape) -> CoverageShape:
    columns = len(table["organs"])
    if [len(line) for line in table["samples"]] != [columns] * len(table["concepts"]):
        raise ValueError("a count per concept and organ is needed")
    return table


class SamplingShape(TypedDict, total=False):
    """ledger/sampling.json."""

    before_after: dict[
        str,
        list[Annotated[list[Any], Field(min_length=3, max_length=3), AfterValidator(_counted)]],
    ]
    coverage: Annotated[CoverageShape, AfterValidator(_crossed)] | None


_SHAPES: dict[str, type] = {
    r"run\.json": RunShape,
    r"finished\.json": FinishedShape,
    r"lease/\d+\.json": LeaseShape,
    r"isolated/[^/]+\.json": IsolatedShape,
    r"plan/[^/]+\.json": PlanShape,
    r"plan/[^/]+/zip-\d+\.json": ZipShape,
    r"estimate/expected\.json": EstimateShape,
    r"estimate/took\.json": TookShape,
    r"barrier/swap\.json": SwapShape,
    r"report/changes\.json": ChangesShape,
    r"ledger/leaks\.json": LeaksShape,
    r"report/calibration\.json": CalibrationShape,
    r"audit/audit\.json": AuditShape,
    r"ledger/sampling\.json": SamplingShape,
}


def odd(name: str, value: Any, needs: Sequence[str] = ()) -> str:
    """What is wrong with the value of a JSON file of OUT; "" for nothing.

    Args:
        name: of the file, relative to OUT.
        value: what it holds.
        needs: keys that it must have whatever its name is.
    """
    if not isinstance(value, dict):
        return f"holds a {type(value).__name__}, not an object of JSON"
    if lacking := [key for key in needs if key not in value]:
        return f"lacks {lacking[0]}"
    shape = next((s for pattern, s in _SHAPES.items() if re.fullmatch(pattern, name)), None)
    return "" if shape is None else misfit(shape, value)


def misfit(shape: type, value: Any) -> str:
    """Where a value of JSON first differs from a shape, and how; "" where it fits.

    Args:
        shape: a `TypedDict` of `typing_extensions`.
        value: what a file holds.
    """
    try:
        _adapter(shape).validate_python(value, strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}"
    return ""


@functools.cache
def _adapter(shape: type) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(shape)
