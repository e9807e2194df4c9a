"""Settings of the exporters, `--set name=value` on the command line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import pydantic

from miner.core.errors import Refused
from miner.core.parts import Part
from miner.core.read_settings import apply_set, check
from miner.core.settings import PartSettings
from shards.export.folder import Folder, Sample

Parts = Mapping[str, Part]

# What chat data with boxes is spelled by.
CHAT = ("max_boxes", "think_open", "think_close", "image_token")
# And where phrases may have masks in the place of boxes.
MASKS = ("grounding", "seg_token", "phrase_open", "phrase_close")


class Options(PartSettings):
    """What a consumer lets one choose.

    Attributes:
        max_tokens: longest caption, in tokens counted at worst; None takes the dialect's own.
        part_phrases: distinct phrases in one file of sa2va-gcg, which makes each a column.
        min_box_score: score below which kosmos2's loader drops a box; accepted masks are raised
            to it.
        max_boxes: objects with a box each; of more there are no boxes, and nobody asks for them.
        qwen_model: whose box convention: qwen2.5 (pixels of the resized picture) or qwen3 (0-1000).
        max_pixels: of Qwen2.5-VL's image processor, as the training script sets it.
        min_pixels: of the same.
        side_px: side of biomedparse's square pictures; 0 keeps the publisher's size.
        jpeg_quality: where a dialect wants JPEG and the publisher's file is PNG.
        grounding: what stands behind a phrase of a dialogue (llava, qwen): its boxes, or a mask
            token with the masks in the entry's `masks`.
        seg_token: how the mask token is spelled where the export spells it.
        phrase_open: token in front of a grounded phrase.
        phrase_close: token behind it.
        think_open: token in front of a chain of thought.
        think_close: token behind it.
        image_token: token of the picture.
        slides: of qupath, folder of the slides, whose bounds QuPath crops; then coordinates are
            relative to these bounds.
        certain: least `exhaustive` of a region that is said to be all of its concept.
    """

    kind: str = ""
    max_tokens: int | None = pydantic.Field(None, ge=16)
    part_phrases: int = pydantic.Field(512, ge=1)
    min_box_score: float = pydantic.Field(0.65, ge=0, le=1)
    max_boxes: int = pydantic.Field(32, ge=1)
    qwen_model: Literal["qwen2.5", "qwen3"] = "qwen2.5"
    max_pixels: int = pydantic.Field(1_003_520, ge=784)
    min_pixels: int = pydantic.Field(3_136, ge=784)
    side_px: int = pydantic.Field(1024, ge=0)
    jpeg_quality: int = pydantic.Field(95, ge=1, le=100)
    grounding: Literal["box", "seg"] = "box"
    seg_token: str = "[SEG]"
    phrase_open: str = "<p>"
    phrase_close: str = "</p>"
    think_open: str = "<think>"
    think_close: str = "</think>"
    image_token: str = "<image>"
    slides: str | None = None
    certain: float = pydantic.Field(0.9, ge=0, le=1)


def exporters(
    writers: Mapping[str, Callable[[Iterable[Sample], Folder, Options], None]],
    no_dialogues: Collection[str] = (),
    read: Mapping[str, Collection[str]] | None = None,
) -> Parts:
    """Parts of the functions that write the dialects which share these options.

    Args:
        writers: by kind; each writes samples, as they come, to a folder.
        no_dialogues: those of them that have no place for what is said of a picture in turns.
        read: by kind, the options that it reads, a kind that is not there none; None: all of them.
    """

    def part(kind: str, write: Callable[..., None]) -> Part:
        return Part(
            kind=kind,
            Settings=Options,
            build=lambda options, threads: functools.partial(write, options=options),
            dialogues=kind not in no_dialogues,
            options=None if read is None else read.get(kind, ()),
        )

    return {kind: part(kind, write) for kind, write in writers.items()}


def read_options(part: Part, changes: Sequence[str] = ()) -> PartSettings:
    """Options of an exporter, changed by `name=value`.

    Raises:
        Refused: an unknown name (the nearest is named), one that this exporter has no use for, or
            a wrong value.
    """
    values: dict[str, Any] = {}
    for change in changes:
        apply_set(values, change)
    options = check(part.Settings, {**values, "kind": part.kind}, "--set ")
    if part.options is not None and (idle := sorted(values.keys() - set(part.options))):
        takes = ", ".join(part.options) or "no options"
        raise Refused(f"--set {idle[0]}: has no meaning for {part.kind}, which takes {takes}")
    return options
