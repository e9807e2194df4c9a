"""Examples with outlines: grounded captions, accepted and rejected masks."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup, escape

from miner.commits import marks, read_table
from miner.core.masks import decode
from miner.core.pixels import decode as decode_image
from miner.core.store import Store
from miner.report.outlines import COLOURS, draw

QUALITY = 82
OBJECTS_ACROSS = 14  # objects this many to the side of a picture can still be seen
SAMPLES = 6
CARD = [
    *("sample_id", "concept", "asked_as", "segmenter", "prompt", "area_px", "score", "keep"),
    "reason",
]
PER_GROUP = 4
GROUPS = 7


def pick(candidates: pa.Table) -> dict[str, Any]:
    """Choose what is shown, by the ledger alone.

    Args:
        candidates: of the whole run, see `gather.candidates_table`.

    Returns:
        samples: sample_ids; accepted: concept -> rows; rejected: reason -> rows. Rows are dicts of
        the ledger with a mask.
    """
    shown = pc.and_(
        pc.equal(candidates["polarity"], "affirmed"), pc.greater(candidates["area_px"], 0)
    )
    rows = candidates.filter(shown).select(CARD).to_pylist()
    kept = [r for r in rows if r["keep"]]
    by_sample: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in kept:
        by_sample[row["sample_id"]].append(row)

    def rank(sample_id: str) -> tuple[int, float, str]:
        found = by_sample[sample_id]
        concepts = len({r["concept"] for r in found})
        return -concepts, -sum(r["score"] or 0 for r in found), sample_id

    # The corpora take turns.
    lines: dict[str, list[str]] = defaultdict(list)
    for sample_id in sorted(by_sample, key=rank):
        lines[sample_id.rsplit("-", 2)[0]].append(sample_id)
    turns = [ids[i] for i in range(SAMPLES) for _, ids in sorted(lines.items()) if i < len(ids)]
    return {
        "samples": turns[:SAMPLES],
        "accepted": _grouped(kept, "concept"),
        "rejected": _grouped([r for r in rows if not r["keep"]], "reason"),
    }


def _grouped(rows: Sequence[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
    """Of the largest groups a few rows each, evenly from the best score to the worst."""
    groups: dict[str, dict[tuple[str, str], dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        # A picture with several captions is shown once.
        groups[row[key]].setdefault((row["sample_id"], row["concept"]), row)
    largest = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))[:GROUPS]
    chosen = {}
    for name, found in largest:
        ranked = sorted(
            found.values(), key=lambda r: (-(r["score"] or 0), r["sample_id"], r["concept"])
        )
        at = np.unique(np.linspace(0, len(ranked) - 1, min(PER_GROUP, len(ranked))).astype(int))
        chosen[name] = [ranked[i] for i in at]
    return chosen


class Pictures:
    """Finds samples, pictures and masks in the units.

    Args:
        store: OUT.
        sample_ids: all that will be asked for.
    """

    def __init__(self, store: Store, sample_ids: set[str]):
        self.samples: dict[str, dict[str, Any]] = {}
        self.images: dict[str, dict[str, Any]] = {}
        self.masks: dict[tuple[str, str, str], str] = {}
        left = set(sample_ids)
        for mark in marks(store).values():
            if not left:
                break
            columns = ["sample_id", "image_id", "caption", "corpus", "mentions", "image"]
            samples = read_table(store, mark, "samples", columns)
            here = [s for s in samples.to_pylist() if s["sample_id"] in left]
            if not here:
                continue
            left -= {s["sample_id"] for s in here}
            self.samples.update({s["sample_id"]: s for s in here})
            ids = pa.array(sorted({s["image_id"] for s in here}))
            columns = ["image_id", "data", "format", "width", "height", "mpp"]
            images = read_table(store, mark, "images", columns)
            for image in _only(images, ids):
                self.images[image["image_id"]] = image
            columns = ["image_id", "concept", "segmenter", "counts"]
            for row in _only(read_table(store, mark, "candidates", columns), ids):
                if row["counts"]:
                    key = (row["image_id"], row["concept"], row["segmenter"])
                    self.masks[key] = row["counts"]

    def outlined(
        self, sample_id: str, rows: Sequence[dict[str, Any]], zoom: bool = False
    ) -> str | None:
        """The picture of a sample with outlines of some of its candidates, as a data URI.

        Args:
            sample_id: of the sample.
            rows: its candidates.
            zoom: show a part of the picture where objects are too small to be seen in the whole.
        """
        image_id = self.samples[sample_id]["image_id"]
        image = self.images[image_id]
        if image["data"] is None:
            return None
        picture = decode_image(image["data"])
        masks = []
        for row in rows:
            counts = self.masks.get((image_id, row["concept"], row["segmenter"]))
            if counts:
                masks.append(decode(counts, picture.shape[0], picture.shape[1]))
        if zoom and masks:
            window = closer(masks[0])
            picture, masks = picture[window], [mask[window] for mask in masks]
        return data_uri(draw(picture, masks))


def _only(table: pa.Table, image_ids: pa.Array) -> list[dict[str, Any]]:
    return table.filter(pc.is_in(table["image_id"], image_ids)).to_pylist()


def closer(mask: np.ndarray) -> tuple[slice, slice]:
    """The square part of a picture where small objects are large enough and many; else the whole.

    Args:
        mask: bool (H, W).
    """
    height, width = mask.shape
    parts, _ = cv2.connectedComponents(mask.astype(np.uint8))
    diameter = 2 * np.sqrt(mask.sum() / max(parts - 1, 1) / np.pi)
    side = int(max(diameter * OBJECTS_ACROSS, 96))
    if side >= 0.8 * min(height, width):
        return slice(None), slice(None)
    crowd = cv2.boxFilter(mask.astype(np.float32), -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    y, x = np.unravel_index(int(crowd.argmax()), crowd.shape)
    top = int(np.clip(int(y) - side // 2, 0, height - side))
    left = int(np.clip(int(x) - side // 2, 0, width - side))
    return slice(top, top + side), slice(left, left + side)


def data_uri(picture: np.ndarray) -> str:
    """A picture as a JPEG data URI."""
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def marked_caption(
    caption: str, mentions: Sequence[dict[str, Any]], colours: dict[str, str]
) -> Markup:
    """A caption as HTML: grounded phrases in their colour, denied ones struck through.

    Args:
        caption: as published.
        mentions: of the caption, without turns.
        colours: CSS colour per grounded concept.
    """
    parts, at = [], 0
    for mention in sorted(mentions, key=lambda m: m["start"]):
        if mention["start"] < at:
            continue
        parts.append(escape(caption[at : mention["start"]]))
        text = escape(caption[mention["start"] : mention["end"]])
        colour = colours.get(mention["concept"])
        if mention["polarity"] == "affirmed" and colour:
            parts.append(Markup('<mark style="--c:{}">{}</mark>').format(colour, text))
        else:
            parts.append(
                Markup('<span class="m {}" title="{}">{}</span>').format(
                    mention["polarity"], mention["concept"], text
                )
            )
        at = mention["end"]
    parts.append(escape(caption[at:]))
    return Markup("").join(parts)


def examples(store: Store, candidates: pa.Table) -> dict[str, Any]:
    """Everything the galleries show; see `pick`.

    Returns:
        samples: dicts with caption (HTML), picture, legend, corpus; accepted and rejected: lists
        of (name, cards), a card has picture, concept, score, reason, segmenter, sample_id.
    """
    chosen = pick(candidates)
    cards = [r for g in ("accepted", "rejected") for rows in chosen[g].values() for r in rows]
    pictures = Pictures(store, {*chosen["samples"], *(r["sample_id"] for r in cards)})
    kept = candidates.filter(pc.equal(candidates["keep"], True))
    wanted = pa.array(chosen["samples"], pa.string())
    rows = kept.filter(pc.is_in(kept["sample_id"], wanted)).to_pylist()
    return {
        "samples": [_sample(pictures, s, [r for r in rows if r["sample_id"] == s])
                    for s in chosen["samples"]],
        **{
            group: [
                (name, [_card(pictures, row) for row in found])
                for name, found in chosen[group].items()
            ]
            for group in ("accepted", "rejected")
        },
    }  # fmt: skip


def _sample(pictures: Pictures, sample_id: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    sample = pictures.samples[sample_id]
    best: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda r: (-(r["score"] or 0), r["segmenter"])):
        best.setdefault(row["concept"], row)
    # Large regions first, so that small outlines lie on top.
    shown = sorted(best.values(), key=lambda r: -r["area_px"])[: len(COLOURS)]
    colours = {r["concept"]: "rgb({},{},{})".format(*COLOURS[i]) for i, r in enumerate(shown)}
    mentions = [m for m in sample["mentions"] or () if m.get("turn") is None]
    return {
        "sample_id": sample_id,
        "corpus": sample["corpus"],
        "caption": marked_caption(sample["caption"], mentions, colours),
        "picture": pictures.outlined(sample_id, shown),
        "legend": [(r["concept"], r["asked_as"], colours[r["concept"]], r["score"]) for r in shown],
    }


def _card(pictures: Pictures, row: dict[str, Any]) -> dict[str, Any]:
    return {
        **{k: row[k] for k in CARD if k not in ("area_px", "keep")},
        "picture": pictures.outlined(row["sample_id"], [row], zoom=True),
    }
