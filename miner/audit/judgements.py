"""Judgements of auditors: JSON lines that the audit page wrote, held against the drawn sample."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from miner.core.errors import Refused

Verdict = Literal["right", "roughly_right", "wrong_object", "wrong_extent"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
MAX_CORNERS = 10_000
# Rings of corners x, y in px; a ring within a ring is a hole.
Outline = tuple[tuple[tuple[float, float], ...], ...]


HELD = "judgements"  # folder of OUT for files of judgements; a new sample leaves it alone


def written(auditor: str) -> str:
    """An auditor's name as part of a file name."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", auditor.strip())


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What one auditor says of one item.

    Attributes:
        item: of the sample.
        auditor: name.
        verdict: one of `VERDICTS`.
        outline: the right outline, empty where none was drawn.
    """

    item: str
    auditor: str
    verdict: Verdict
    outline: Outline = ()

    @property
    def right(self) -> bool:
        """Whether the mask can be used: right or roughly right."""
        return self.verdict in ("right", "roughly_right")


@dataclasses.dataclass(frozen=True)
class Judgements:
    """Judgements of a sample.

    Attributes:
        found: one per item and auditor, in the order of item and auditor.
        problems: lines that were not taken: "file:line: why".
    """

    found: tuple[Judgement, ...]
    problems: tuple[str, ...]


def read_judgements(files: Sequence[Path], audit: Mapping[str, Any]) -> Judgements:
    """Read files of judgements; what cannot count is said and left out.

    The last judgement of an auditor on an item counts, the ones before are problems.

    Args:
        files: JSON lines.
        audit: content of audit.json.

    Raises:
        Refused: a file cannot be read, or no line of it belongs to this audit.
    """
    items = {i["item"]: i["size"] for i in audit["items"]}
    found: dict[tuple[str, str], tuple[Judgement, str]] = {}
    problems: list[str] = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{file}: {error}") from None
        taken = 0
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{file.name}:{number}"
            judgement = _judgement(line, audit["audit"], items)
            if isinstance(judgement, str):
                problems.append(f"{where}: {judgement}")
                continue
            taken += 1
            key = judgement.item, judgement.auditor
            if key in found:
                problems.append(f"{found[key][1]}: judged again at {where}, which counts")
            found[key] = judgement, where
        if not taken:
            raise Refused(f"{file}: no judgement of this audit ({audit['audit']}) in it")
    return Judgements(tuple(found[key][0] for key in sorted(found)), tuple(problems))


def _judgement(line: str, audit: str, items: Mapping[str, Sequence[int]]) -> Judgement | str:
    """The judgement, or why there is none; `items` has the width and height of each picture."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(value, dict):
        return "no object"
    if value.get("audit") != audit:
        return f"of another audit ({str(value.get('audit'))[:20]!r})"
    if not isinstance(value.get("item"), str) or value["item"] not in items:
        return f"unknown item {str(value.get('item'))[:20]!r}"
    auditor = value.get("auditor")
    if not isinstance(auditor, str) or not auditor.strip():
        return "no auditor"
    if value.get("verdict") not in VERDICTS:
        return f"verdict {str(value.get('verdict'))[:20]!r}, one of {', '.join(VERDICTS)}"
    outline = _outline(value.get("outline") or [])
    if outline is None:
        return "the outline is no list of corners [x, y]"
    if outline and not _inside(outline, *items[value["item"]]):
        return "the outline lies outside of the picture"
    return Judgement(value["item"], auditor.strip()[:80], value["verdict"], outline)


def _outline(value: Any) -> Outline | None:
    """Rings of one list of corners, as the page draws it, or of several; None for what is none."""
    if not isinstance(value, list):
        return None
    nested = bool(value) and isinstance(value[0], list) and value[0] and isinstance(
        value[0][0], list
    )  # fmt: skip
    rings = [_ring(ring) for ring in (value if nested else [value] if value else [])]
    if sum(len(ring or ()) for ring in rings) > MAX_CORNERS:
        return None
    return None if None in rings else tuple(ring for ring in rings if ring is not None)


def _inside(outline: Outline, width: int, height: int) -> bool:
    """Whether the picture has a part of an outline's bounds; what lies beyond is cut off later."""
    x, y = zip(*(corner for ring in outline for corner in ring), strict=True)
    return min(x) < width and max(x) > 0 and min(y) < height and max(y) > 0


def _ring(value: Any) -> tuple[tuple[float, float], ...] | None:
    if not isinstance(value, list) or len(value) < 3:
        return None
    corners = []
    for corner in value:
        if not isinstance(corner, list) or len(corner) != 2:
            return None
        if not all(isinstance(v, int | float) and abs(v) < 1e6 for v in corner):
            return None
        corners.append((float(corner[0]), float(corner[1])))
    return tuple(corners)
