"""`miner show`: why each mask of one sample was kept or dropped, and how it looks."""

from __future__ import annotations

import dataclasses
import difflib
import io
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import pyarrow.compute as pc
from PIL import Image

from filters.completeness import WHY
from filters.scores import SCORES
from miner.commits import UnitMark, read_table
from miner.commits import marks as read_marks
from miner.core.errors import Refused
from miner.core.layout import CALIBRATION, check_out
from miner.core.masks import decode
from miner.core.names import base, stem
from miner.core.pixels import decode as decode_image
from miner.core.store import Store
from miner.report.outlines import COLOURS, Colour, draw
from miner.report.words import Q_VALUE, SCORE, explain, level, threshold
from shards.sample import KEY

KEPT, DROPPED = COLOURS[0], COLOURS[3]  # green, red
INK = (40, 40, 40)
NEAR = 3  # pictures of nearly the name that was asked for


@dataclasses.dataclass(frozen=True)
class Shown:
    """One sample with everything that is stored about its candidates.

    Attributes:
        sample: its row in the ledger.
        caption: as published.
        image: uint8 (H, W, 3), RGB, None when the bytes were not kept.
        candidates: rows of the ledger with `mask` (bool (H, W) or None) beside them.
        limits: by calibration the score from which on masks are accepted.
    """

    sample: Mapping[str, Any]
    caption: str
    image: np.ndarray | None
    candidates: Sequence[Mapping[str, Any]]
    limits: Mapping[str, float | None]


def find(store: Store, key: str) -> Shown:
    """Look a sample up by its key, its sample_id or its picture.

    A picture's name may lack folders and suffix where it is the only one of that name.

    Raises:
        Refused: no run, no such sample, or several pictures of that name.
    """
    check_out(store)
    sample, corpus = _ledger_row(store, key)
    if not KEY.fullmatch(sample["sample_id"]):  # it names the file that is drawn to
        raise Refused(f"{key}: its sample_id is {sample['sample_id']!r}, which no run writes")
    for mark in read_marks(store).values():
        samples = read_table(store, mark, "samples", ["sample_id", "image_id", "caption"])
        for row in samples.to_pylist():
            if row["sample_id"] == sample["sample_id"]:
                return _gather(store, mark, sample, corpus, row)
    raise Refused(f"{key}: its unit is gone from {store.url}")


def _ledger_row(store: Store, key: str) -> tuple[Mapping[str, Any], str]:
    tables = store.names("ledger/samples", suffix=".parquet")
    if not tables:
        raise Refused(f"{store.url}: not finished yet, its verdicts come last; run again to go on")
    alike: dict[str, tuple[str, str]] = {}
    images: set[str] = set()
    for name in tables:
        found = store.read_table(name, ["sample_id", "key", "corpus", "image"])
        for row in found.to_pylist():
            if key in (row["sample_id"], row["key"], row["image"]):
                return _row(store, name, row["sample_id"])
            images.add(row["image"])
            if key in (base(row["image"]), stem(row["image"])):
                alike.setdefault(f"{row['corpus']}/{row['image']}", (name, row["sample_id"]))
    if len(alike) == 1:
        return _row(store, *next(iter(alike.values())))
    if alike:
        some = ", ".join(sorted(alike)[:3])
        raise Refused(f"{key}: {len(alike)} pictures are called so: {some}; give one's whole name")
    raise Refused(f"{key}: no such sample in {store.url}/ledger{_near(key, images)}")


def _near(key: str, images: Collection[str]) -> str:
    """Pictures whose names are spelled nearly so, in any case first; "" where none is."""
    spelled: dict[str, list[str]] = defaultdict(list)
    for image in sorted(images):
        for name in {image, base(image), stem(image)}:
            spelled[name.casefold()].append(image)
    wanted = key.casefold()
    near = [wanted] if wanted in spelled else difflib.get_close_matches(wanted, spelled, n=NEAR)
    found = dict.fromkeys(image for name in near for image in spelled[name])
    return f"; did you mean {', '.join([*found][:NEAR])}?" if found else ""


def _row(store: Store, table: str, sample_id: str) -> tuple[Mapping[str, Any], str]:
    rows = store.read_table(table)
    (row,) = rows.filter(pc.equal(rows["sample_id"], sample_id)).to_pylist()
    return row, table.rsplit("/", 1)[-1]


def _gather(
    store: Store,
    mark: UnitMark,
    sample: Mapping[str, Any],
    ledger_file: str,
    row: Mapping[str, Any],
) -> Shown:
    stored = read_table(store, mark, "candidates", ["image_id", "concept", "segmenter", "counts"])
    counts = {
        (c["concept"], c["segmenter"]): c["counts"]
        for c in stored.to_pylist()
        if c["image_id"] == row["image_id"]
    }
    image, size = None, None
    for picture in read_table(
        store, mark, "images", ["image_id", "data", "width", "height"]
    ).to_pylist():
        if picture["image_id"] == row["image_id"]:
            size = (picture["height"], picture["width"])
            if picture["data"] is not None:
                image = decode_image(picture["data"])
    candidates = []
    for one in store.read_table(f"ledger/candidates/{ledger_file}").to_pylist():
        if one["sample_id"] != sample["sample_id"]:
            continue
        encoded = counts.get((one["concept"], one["segmenter"]))
        mask = decode(encoded, *size) if encoded is not None and size is not None else None
        candidates.append({**one, "mask": mask})
    page = store.read_json(CALIBRATION) if store.exists(CALIBRATION) else {}
    return Shown(sample, row["caption"], image, candidates, page.get("limits", {}))


def chain(
    candidate: Mapping[str, Any], limits: Mapping[str, float | None]
) -> list[tuple[str, str]]:
    """Verdict of one candidate, and what it rests on, as (name, value) pairs.

    Args:
        candidate: row of the ledger.
        limits: by calibration the score from which on masks are accepted, see `filters.page`.
    """
    verdict = "kept" if candidate["keep"] else f"dropped: {candidate['reason']}"
    if candidate["reason"] and (meaning := explain(candidate["reason"])):
        verdict += f", {meaning}"
    rows = [
        ("verdict", verdict),
        ("role", ", ".join(candidate["roles"] or ())),
        ("asked as", candidate.get("asked_as") or candidate["concept"]),
        ("segmenter", f"{candidate['segmenter']}, prompt {candidate['prompt']!r}"),
        ("area", f"{candidate['area_px']:,} px"),
    ]
    if candidate["score"] is not None:
        text = f"{candidate['score']:.3f}: {SCORE}: {level(candidate['calibration'])}"
        rows.append(("score", text))
        if least := threshold(limits, candidate["calibration"]):
            rows.append(("accepted from", least))
    if candidate.get("count_low") is not None:
        rows.append(("number", f"{candidate['count_low']} to {candidate['count_high']}"))
    rows += [
        (what, f"undefined: {WHY[candidate[why]]}")
        for what, why in (("exhaustive", "exhaustive_why"), ("number", "count_why"))
        if candidate.get(why)
    ]
    if candidate["q_value"] is not None:
        rows.append(("q-value", f"{_number(candidate['q_value'])}: {Q_VALUE}"))
    rows += [("note", note) for note in candidate.get("notes") or ()]
    return rows


def measured(candidate: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All scores of one candidate as (name, value) pairs, those of parts last."""
    order = {name: number for number, name in enumerate(("confidence", *SCORES))}
    own = {"score", "q_value"}
    values = {n: v for n, v in candidate.items() if isinstance(v, float) and n not in own}
    names = sorted(values, key=lambda name: (name not in order, order.get(name, 0)))
    return [(name, _number(values[name])) for name in names]


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def overlay(shown: Shown) -> bytes:
    """PNG of the picture, once as it is and once per mask with its outline and verdict.

    Raises:
        Refused: the picture was not kept, since no mask was found in it.
    """
    if shown.image is None:
        raise Refused(f"{shown.sample['sample_id']}: its picture was not kept, it has no mask")
    panels = [_panel(shown.image, (), "", KEPT)]
    for one in shown.candidates:
        if one["mask"] is not None:
            verdict = "kept" if one["keep"] else one["reason"]
            colour = KEPT if one["keep"] else DROPPED
            title = f"{one['concept']}: {verdict}"
            panels.append(_panel(shown.image, [one["mask"]], title, colour))
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    height, width = panels[0].shape[:2]
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for i, panel in enumerate(panels):
        y, x = divmod(i, columns)
        sheet[y * height : (y + 1) * height, x * width : (x + 1) * width] = panel
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "png")
    return buffer.getvalue()


def _panel(
    image: np.ndarray, masks: Sequence[np.ndarray], title: str, colour: Colour
) -> np.ndarray:
    """The picture with outlines, under a line of text: uint8 (h + 24, w, 3)."""
    drawn = draw(image, masks, (colour,))
    head = np.full((24, drawn.shape[1], 3), 255, np.uint8)
    cv2.putText(head, title, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return np.concatenate([head, drawn])
