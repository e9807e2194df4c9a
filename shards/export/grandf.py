"""GranDf: GLaMM's grounded captions, which Sa2VA and X-SAM read by their own rules.

A phrase is a dict key, so one text can be grounded once. Each loader strips the caption without
moving offsets; overlapping spans garble the tagged text; a sample without groundings is replaced by
a random one; what lies behind the token limit loses its `[SEG]` but not its mask.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from shards.export.dialogue import without_thought
from shards.export.folder import Folder, JsonList, Lists, Sample
from shards.export.options import Options, exporters
from shards.export.phrases import (
    SPECIAL,
    Phrase,
    disjoint,
    distinct,
    moved,
    phrases,
    stripped,
    token_cut,
)

GLAMM_TOKENS = 800  # of 961 (1536 less 575 for the picture); the rest is the prompt
SA2VA_TOKENS = 4600  # of 8192 less 13 x 256 for the picture and the prompt


def grandf(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """GLaMM: `GranDf/annotations/{split}/GranDf_HA_GCG_{split}.json`, `GranDf_HA_images/`."""
    lists = Lists(folder, "GranDf/annotations/{split}/GranDf_HA_GCG_{split}.json")
    for sample in samples:
        entries = list(_entries(sample, folder, options.max_tokens or GLAMM_TOKENS))
        for entry in entries:
            lists[sample.split].add(entry)
        if entries:
            folder.put(f"GranDf/GranDf_HA_images/{sample.split}/{sample.name}", sample.image)


def sa2va_gcg(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Sa2VA's GCG data: `annotations/*-{part}.json`, because each distinct phrase is a column."""
    open_parts: dict[str, _Parts] = {}
    for sample in samples:
        entries = list(_entries(sample, folder, options.max_tokens or SA2VA_TOKENS))
        parts = open_parts.setdefault(
            sample.split, _Parts(folder, sample.split, options.part_phrases)
        )
        for entry in entries:
            parts.add(entry)
        if entries:
            folder.put(f"images/grandf/{sample.split}/{sample.name}", sample.image)


def xsam(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """X-SAM: spans at least a character apart, and a caption that lower-casing does not stretch."""
    lists = Lists(folder, "annotations/GranDf_HA_GCG_{split}.json")
    for sample in samples:
        budget = options.max_tokens or SA2VA_TOKENS
        entries = list(_entries(sample, folder, budget, gap=1, lower=True))
        for entry in entries:
            lists[sample.split].add(entry)
        if entries:
            folder.put(f"images/grandf/{sample.split}/{sample.name}", sample.image)


class _Parts:
    """A JSON list that goes on in another file when it has enough distinct phrases."""

    def __init__(self, folder: Folder, split: str, limit: int):
        self._folder = folder
        self._split = split
        self._limit = limit
        self._number = 0
        self._phrases: set[str] = set()
        self._list: JsonList | None = None

    def add(self, entry: dict[str, Any]) -> None:
        new = self._phrases | entry["groundings"].keys()
        if self._list is None or len(new) > self._limit:
            name = f"annotations/GranDf_HA_GCG_{self._split}-{self._number:05d}.json"
            self._list = self._folder.open_list(name)
            self._number += 1
            new = set(entry["groundings"])
        self._phrases = new
        self._list.add(entry)


def _entries(
    sample: Sample, folder: Folder, max_tokens: int, gap: int = 0, lower: bool = False
) -> Iterator[dict[str, Any]]:
    """Entries of one sample: one for a caption, one for every turn with phrases."""
    value = sample.value
    items = phrases(value)
    if value["turns"]:
        turns = sorted({p.turn for p in items if p.turn is not None})
        texts = [
            without_thought(
                sample, folder, value["turns"][t]["text"], [p for p in items if p.turn == t]
            )
            for t in turns
        ]
        folder.lose(sample.key, None, "a dialogue: one caption for each answer", "split")
    else:
        texts = [(value["caption"], items)]
    for number, (text, mine) in enumerate(texts):
        entry = _entry(sample, folder, text, mine, max_tokens, gap, lower)
        if entry:
            entry["image_id"] = sample.key if len(texts) == 1 else f"{sample.key}-{number}"
            yield entry


def _entry(
    sample: Sample,
    folder: Folder,
    caption: str,
    items: list[Phrase],
    max_tokens: int,
    gap: int,
    lower: bool,
) -> dict[str, Any] | None:
    def lose(lost: Iterable[Phrase], why: str, done: str = "dropped") -> None:
        for p in lost:
            folder.lose(sample.key, p.origin, why, done)

    if SPECIAL.search(caption):
        folder.lose(sample.key, None, "the caption holds a special token", "dropped")
        return None
    text, shift = stripped(caption)
    kept, lost = moved(items, text, shift)
    lose(lost, "the loader strips quotes and spaces off the caption")
    if lower and len(text.lower()) != len(text):
        text, kept = _lowered(text, kept)
    cut = token_cut(text, max_tokens)
    if cut < len(text):
        lose([p for p in kept if p.end > cut], "behind the loader's token limit")
        kept = [p for p in kept if p.end <= cut]
        text = text[:cut].rstrip().rstrip('"').rstrip()
        kept, lost = moved(kept, text, 0)
        lose(lost, "behind the loader's token limit")
        folder.lose(sample.key, None, "the caption is longer than the token limit", "changed")
    kept, lost = disjoint(kept, gap)
    lose(lost, "overlaps or touches a longer phrase" if gap else "overlaps a longer phrase")
    kept, lost = distinct(kept)
    lose(lost, "the same words twice: a dict key holds one", "merged")
    if not kept:
        folder.lose(sample.key, None, "no phrase is left; the loader takes another", "dropped")
        return None
    return {
        "file_name": sample.name,
        "height": sample.value["height"],
        "width": sample.value["width"],
        "image_id": sample.key,
        "caption": text,
        "groundings": {
            p.text: {"token_positives": [p.start, p.end], "rle_masks": [p.region["rle"]]}
            for p in kept
        },
    }


def _lowered(text: str, items: list[Phrase]) -> tuple[str, list[Phrase]]:
    """Text whose lower-casing keeps its length, with the phrases moved along."""
    parts = [c.lower() for c in text]
    places = [0]
    for part in parts:
        places.append(places[-1] + len(part))
    lowered = "".join(parts)
    return lowered, [
        dataclasses.replace(
            p,
            start=places[p.start],
            end=places[p.end],
            text=lowered[places[p.start] : places[p.end]],
        )
        for p in items
    ]


# The loaders ask for a description of every picture: they have no place for questions.
PARTS = exporters(
    {"granDf": grandf, "sa2va-gcg": sa2va_gcg, "xsam": xsam},
    no_dialogues=("granDf", "sa2va-gcg", "xsam"),
    read={
        "granDf": ("max_tokens",),
        "sa2va-gcg": ("max_tokens", "part_phrases"),
        "xsam": ("max_tokens",),
    },
)
