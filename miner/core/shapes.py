"""What the JSON files of OUT hold, as far as anybody relies on it.

OUT is passed from lab to lab, and its files are damaged, cut and edited: what is read is held
against this before anyone uses it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import pydantic
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12


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

    rows: dict[str, WhyShape]


class PlanShape(TypedDict):
    """plan/{corpus}.json."""

    rows: int
    units: int
    images: int
    content: str
    problems: list[str]


class CalibrationShape(TypedDict, total=False):
    """report/calibration.json."""

    limits: dict[str, float | None]
    levels: dict[str, Any]
    calibrations: dict[str, Any]


class AuditShape(TypedDict):
    """audit/audit.json."""

    run: str
    items: list[dict[str, Any]]


class SamplingShape(TypedDict, total=False):
    """ledger/sampling.json."""

    before_after: dict[str, list[list[Any]]]
    coverage: dict[str, Any] | None


_SHAPES: dict[str, type] = {
    r"run\.json": RunShape,
    r"finished\.json": FinishedShape,
    r"lease/\d+\.json": LeaseShape,
    r"isolated/[^/]+\.json": IsolatedShape,
    r"plan/[^/]+\.json": PlanShape,
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
    if shape is None:
        return ""
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
