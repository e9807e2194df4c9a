"""Dialects that know boxes: Kosmos-2, LLaVA, Qwen-VL."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cv2

from shards.export.dialogue import STOPS, chat_turns, placed
from shards.export.folder import Folder, Lists, Sample, VisualPrompt
from shards.export.masks import boxes, unboxed
from shards.export.options import CHAT, MASKS, Options, exporters
from shards.export.phrases import SPECIAL, Phrase, disjoint, phrases
from shards.export.portable import pixels

MAX_ASPECT = 200  # of Qwen's image processor
DESCRIBE = "Describe this histology image."
LLAVA_LOCATE = "Provide the bounding box coordinates of the region this phrase describes: {phrase}"
QWEN_LOCATE = (
    'Locate every instance that belongs to the category "{phrase}". '
    "Report bbox coordinates in JSON format."
)


def kosmos2(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Kosmos-2: `{split}/{key}.json` beside `{key}.jpg`, as `prepare_grit.py` reads them.

    Boxes are fractions of the picture, end-exclusive, of what is all over it, too: they mark a
    caption and answer nothing. White space that would break the TSV becomes a space.
    """
    for sample in samples:
        value = sample.value
        text = value["caption"]
        caption = "".join(" " if c in "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029" else c for c in text)
        if value["turns"] or not caption.strip():
            folder.lose(sample.key, None, "no caption: the dialect has no dialogues", "dropped")
            continue
        if SPECIAL.search(caption):
            folder.lose(sample.key, None, "the caption holds a special token", "dropped")
            continue
        if caption != text:
            folder.lose(sample.key, None, "a tab or line break ends a TSV field", "changed")
        kept, lost = disjoint(phrases(value))
        for p in lost:
            folder.lose(sample.key, p.text, "nested or overlapping spans", "dropped")
        chunks = [c for p in kept for c in _chunks(sample, p, folder, options)]
        if not chunks:
            folder.lose(sample.key, None, "no phrase is left", "dropped")
            continue
        if min(value["width"], value["height"]) < 200:
            why = "the laion2b loader skips pictures below 200 px; use a coyo path"
            folder.lose(sample.key, None, why, "kept")
        entry = {
            "key": sample.key,
            "caption": caption,
            "width": value["width"],
            "height": value["height"],
            "noun_chunks": chunks,
            "ref_exps": chunks,
        }
        folder.put_json(f"{sample.split}/{sample.key}.json", entry)
        folder.put(f"{sample.split}/{sample.key}.jpg", jpeg(sample, folder, options))


def _chunks(sample: Sample, p: Phrase, folder: Folder, options: Options) -> list[list[float]]:
    found = boxes(p.region, options.max_boxes, largest=1)
    if not found:
        folder.lose(sample.key, p.text, unboxed(p.region, options.max_boxes), "dropped")
        return []
    score = p.region["score"]
    if score is None or score < options.min_box_score:
        why = f"the loader drops boxes scored below {options.min_box_score}: raised to it"
        folder.lose(sample.key, p.text, why, "changed")
        score = options.min_box_score
    width, height = sample.value["width"], sample.value["height"]
    return [
        [p.start, p.end, x1 / width, y1 / height, x2 / width, y2 / height, float(score)]
        for x1, y1, x2, y2 in found
    ]


def jpeg(sample: Sample, folder: Folder, options: Options) -> bytes:
    """The publisher's JPEG bytes, or the picture encoded as JPEG, which is a loss."""
    if sample.format == "jpg":
        return sample.image
    folder.lose(sample.key, None, "PNG: the loader opens .jpg only, re-encoded", "changed")
    image = cv2.cvtColor(pixels(sample), cv2.COLOR_RGB2BGR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, options.jpeg_quality]
    return cv2.imencode(".jpg", image, quality)[1].tobytes()


def llava(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """LLaVA conversations: `{split}.json`, `images/`.

    A box is `[x1, y1, x2, y2]`, fractions of the picture padded to a square round its centre, as
    LLaVA-1.5 sees it.
    """
    lists = Lists(folder, "{split}.json")
    for sample in samples:
        width, height = sample.value["width"], sample.value["height"]
        form = "xyxy/centred square padding"

        def box(box: Sequence[int], width: int = width, height: int = height) -> str:
            values = square_box(box, width, height)
            return "[" + ", ".join(f"{v:.3f}" for v in values) + "]"

        entry = conversation(sample, folder, options, LLAVA_LOCATE, box, "; ".join)
        if entry:
            head = {"id": sample.key, "image": sample.name}
            lists[sample.split].add(head | entry | {"box_format": form})
            folder.put(f"images/{sample.name}", sample.image)


def qwen(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Qwen-VL finetuning: `{split}.json`, `images/`; boxes as JSON with `bbox_2d` and `label`.

    Qwen2.5-VL counts pixels of the picture as its processor resizes it, Qwen3-VL 0 to 1000.
    """
    lists = Lists(folder, "{split}.json")
    for sample in samples:
        value = sample.value
        if max(value["width"], value["height"]) > MAX_ASPECT * min(value["width"], value["height"]):
            folder.lose(sample.key, None, "the processor raises on a picture so narrow", "dropped")
            continue
        size = qwen_size(value["width"], value["height"], options)
        scale = (size[0] / value["width"], size[1] / value["height"])

        def box(
            box: Sequence[int],
            scale: tuple[float, float] = scale,
            size: tuple[int, int] = size,
        ) -> str:
            return json.dumps(qwen_box(box, scale, size))

        entry = conversation(sample, folder, options, QWEN_LOCATE, box, None)
        if entry:
            form = f"{options.qwen_model} {size[0]}x{size[1]}"
            if options.qwen_model == "qwen2.5":
                form += f" max_pixels={options.max_pixels}"
            head = {"image": f"images/{sample.name}"}
            lists[sample.split].add(head | entry | {"box_format": form})
            folder.put(f"images/{sample.name}", sample.image)


def conversation(
    sample: Sample,
    folder: Folder,
    options: Options,
    locate: str,
    box: Callable[[Sequence[int]], str],
    join: Callable[[list[str]], str] | None,
) -> dict[str, Any] | None:
    """Conversation of a sample: its dialogue, or its caption and a question for every phrase.

    Args:
        sample: what to say.
        folder: where losses go.
        options: settings.
        locate: question for the boxes of `{phrase}`.
        box: spells one box, or a corner of a scribble as a box of no size.
        join: joins spelled boxes; None writes JSON with labels.
    """

    def fenced(found: Sequence[Sequence[int]], label: str) -> str:
        rows = [{"bbox_2d": json.loads(box(b)), "label": label} for b in found]
        return "```json\n" + json.dumps(rows, ensure_ascii=False) + "\n```"

    def inline(found: Sequence[Sequence[int]]) -> str:
        spelled = [box(b) for b in found]
        return join(spelled) if join else "[" + ", ".join(spelled) + "]"

    def prompt(value: VisualPrompt) -> str:
        points = [(*p, p[0] + 1, p[1] + 1) for p in value["points"]]
        if value["kind"] == "box":
            return box([*value["points"][0], *value["points"][1]])
        corners = [json.loads(box(p))[:2] for p in points]
        return f"{value['kind']} {json.dumps(corners[0] if len(corners) == 1 else corners)}"

    if sample.value["turns"]:
        told = placed(sample, folder, options)
        spoken = told and chat_turns(told, folder, options, inline, prompt)
        if not spoken:
            return None
        turns, masks = spoken
        more = {"masks": masks} if masks else {}
        return {"conversations": _opened(turns, options), **more}
    caption = sample.value["caption"]
    if SPECIAL.search(caption) or any(stop in caption for stop in STOPS):
        folder.lose(sample.key, None, "the text holds a special token", "dropped")
        return None
    turns = _pair(DESCRIBE, caption)
    for p in _once(sample, folder):
        found = boxes(p.region, options.max_boxes)
        if not found:
            folder.lose(sample.key, p.text, unboxed(p.region, options.max_boxes), "dropped")
            continue
        answer = inline(found) if join else fenced(found, p.text)
        turns += _pair(locate.format(phrase=p.text), answer)
    return {"conversations": _opened(turns, options)}


def qwen_size(width: int, height: int, options: Options) -> tuple[int, int]:
    """Width and height that boxes count in.

    Qwen2.5-VL rounds both sides to multiples of 28 and keeps their product between min_pixels and
    max_pixels; Qwen3-VL always counts to 1000.
    """
    if options.qwen_model == "qwen3":
        return 1000, 1000
    factor = 28
    w, h = round(width / factor) * factor, round(height / factor) * factor
    if w * h > options.max_pixels:
        shrink = math.sqrt(width * height / options.max_pixels)
        w = max(factor, math.floor(width / shrink / factor) * factor)
        h = max(factor, math.floor(height / shrink / factor) * factor)
    elif w * h < options.min_pixels:
        grow = math.sqrt(options.min_pixels / (width * height))
        w = math.ceil(width * grow / factor) * factor
        h = math.ceil(height * grow / factor) * factor
    return w, h


def qwen_box(box: Sequence[int], scale: tuple[float, float], size: tuple[int, int]) -> list[int]:
    """Box in the model's integer coordinates, at least one unit wide and high."""
    x1, x2 = _span(box[0] * scale[0], box[2] * scale[0], size[0])
    y1, y2 = _span(box[1] * scale[1], box[3] * scale[1], size[1])
    return [x1, y1, x2, y2]


def _span(low: float, high: float, limit: int) -> tuple[int, int]:
    a, b = round(low), min(round(high), limit)
    return (a, b) if b > a else (min(a, limit - 1), min(a, limit - 1) + 1)


def square_box(box: Sequence[int], width: int, height: int) -> list[float]:
    """Box as fractions of the picture padded to a square, the picture in the middle."""
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    x1, y1, x2, y2 = box
    return [(x1 + left) / side, (y1 + top) / side, (x2 + left) / side, (y2 + top) / side]


def _once(sample: Sample, folder: Folder) -> list[Phrase]:
    """Phrases of a sample, each text once."""
    kept: dict[str, Phrase] = {}
    for p in phrases(sample.value):
        if p.text in kept:
            folder.lose(sample.key, p.text, "the same question twice", "merged")
        else:
            kept[p.text] = p
    return list(kept.values())


def _pair(question: str, answer: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def _opened(turns: list[dict[str, Any]], options: Options) -> list[dict[str, Any]]:
    """Turns with the picture's token in front of the first question, once."""
    first = {**turns[0], "value": f"{options.image_token}\n{turns[0]['value']}"}
    return [first, *turns[1:]]


PARTS = exporters(
    {"kosmos2": kosmos2, "llava": llava, "qwen": qwen},
    no_dialogues=("kosmos2",),
    read={
        "kosmos2": ("max_boxes", "min_box_score", "jpeg_quality"),
        "llava": (*CHAT, *MASKS),
        "qwen": (*CHAT, *MASKS, "qwen_model", "max_pixels", "min_pixels"),
    },
)
