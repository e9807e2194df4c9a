"""Examples with their masks: grounded captions, masks in the shards, masks that are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup, escape

from miner.commits import marks, read_table
from miner.core.masks import decode
from miner.core.pixels import decode as decode_image
from miner.core.store import Store
from miner.report import dupes
from miner.report.figure import Figure, closer, figure
from miner.report.outlines import COLOURS
from miner.report.pick import Row, pick

PAIRS_OF_LEVEL = 2


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

    def figure(self, sample_id: str, rows: Sequence[Row], zoom: bool = False) -> Figure | None:
        """The picture of a sample with some of its masks, None where its bytes were not kept.

        Args:
            sample_id: of the sample.
            rows: of its masks.
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
        return figure(picture, masks, image["mpp"])


def _only(table: pa.Table, image_ids: pa.Array) -> list[dict[str, Any]]:
    return table.filter(pc.is_in(table["image_id"], image_ids)).to_pylist()


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
            pale = colour.replace("rgb", "rgba").replace(")", ",.24)")
            parts.append(Markup('<mark style="--c:{};--f:{}">{}</mark>').format(colour, pale, text))
        else:
            parts.append(
                Markup('<span class="m {}" title="{}">{}</span>').format(
                    mention["polarity"], mention["concept"], text
                )
            )
        at = mention["end"]
    parts.append(escape(caption[at:]))
    return Markup("").join(parts)


def examples(store: Store, masks: pa.Table) -> dict[str, Any]:
    """Everything the galleries show; see `pick.pick`.

    Args:
        store: OUT.
        masks: see `masks.masks_table`.

    Returns:
        samples: dicts with caption (HTML), figure, legend, corpus; accepted and others: lists of
        (name, cards), a card has the figure beside the row; duplicates: the least alike pairs of
        each level, (pair, figure of what was dropped, figure of what stays).
    """
    dropped = dupes.pairs(store)
    pairs = [
        pair
        for how in sorted({p.how for p in dropped})
        for pair in [p for p in dropped if p.how == how][:PAIRS_OF_LEVEL]
    ]
    beside = dupes.pictures(store, {name for p in pairs for name in (p.dropped, p.keeper)})
    chosen = pick(masks, beside)
    cards = [r for g in ("accepted", "others") for rows in chosen[g].values() for r in rows]
    pictures = Pictures(store, {*chosen["samples"], *(r["sample_id"] for r in cards)})
    written = masks.filter(pc.equal(masks["state"], "written"))
    wanted = pa.array(chosen["samples"], pa.string())
    rows = written.filter(pc.is_in(written["sample_id"], wanted)).to_pylist()
    return {
        "samples": [_sample(pictures, s, [r for r in rows if r["sample_id"] == s])
                    for s in chosen["samples"]],
        **{
            group: [
                (name, [{**row, "figure": pictures.figure(row["sample_id"], [row], zoom=True)}
                        for row in found])
                for name, found in chosen[group].items()
            ]
            for group in ("accepted", "others")
        },
        "duplicates": [(p, beside.get(p.dropped), beside.get(p.keeper)) for p in pairs],
    }  # fmt: skip


def _sample(pictures: Pictures, sample_id: str, rows: list[Row]) -> dict[str, Any]:
    sample = pictures.samples[sample_id]
    best: dict[str, Row] = {}
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
        "figure": pictures.figure(sample_id, shown),
        "legend": [(r["concept"], r["asked_as"], colours[r["concept"]], r["score"]) for r in shown],
    }
