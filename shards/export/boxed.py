"""Dialects that know boxes: Kosmos-2, LLaVA, Qwen-VL."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import cv2

from shards.decode import decode_image
from shards.export.folder import Folder, Lists, Sample
from shards.export.masks import boxes
from shards.export.options import Options
from shards.export.phrases import SPECIAL, Phrase, disjoint, phrases

LLAVA_STOPS = (" ASSISTANT: ", "ASSISTANT:", "</s>")  # end the loss, or the turn
DESCRIBE = "Describe this histology image."
LLAVA_LOCATE = "Provide the bounding box coordinates of the region this phrase describes: {phrase}"
QWEN_LOCATE = (
    'Locate every instance that belongs to the category "{phrase}". '
    "Report bbox coordinates in JSON format."
)


def kosmos2(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Kosmos-2: `{split}/{key}.json` beside `{key}.jpg`, as `prepare_grit.py` reads them.

    Boxes are fractions of the picture, end-exclusive. White space that would break the TSV becomes
    a space.
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
        folder.put(f"{sample.split}/{sample.key}.jpg", _jpeg(sample, folder, options))


def _chunks(sample: Sample, p: Phrase, folder: Folder, options: Options) -> list[list[float]]:
    found, merged = boxes(p.region, options.max_boxes)
    if merged:
        folder.lose(sample.key, p.text, f"more than {options.max_boxes} boxes", "merged")
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


def _jpeg(sample: Sample, folder: Folder, options: Options) -> bytes:
    if sample.format == "jpg":
        return sample.image
    folder.lose(sample.key, None, "PNG: the loader opens .jpg only, re-encoded", "changed")
    pixels = cv2.cvtColor(decode_image(sample.image), cv2.COLOR_RGB2BGR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, options.jpeg_quality]
    return cv2.imencode(".jpg", pixels, quality)[1].tobytes()


def llava(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """LLaVA conversations: `{split}.json`, `images/`.

    A box is `[x1, y1, x2, y2]`, fractions of the picture padded to a square round its centre, as
    LLaVA-1.5 sees it.
    """
    lists = Lists(folder, "{split}.json")
    for sample in samples:
        value = sample.value
        turns = _turns(sample, folder, options)
        if turns is None:
            continue
        for p in _once(sample, folder):
            if any(stop in p.text for stop in LLAVA_STOPS):
                folder.lose(sample.key, p.text, "the phrase holds a stop word", "dropped")
                continue
            found, merged = boxes(p.region, options.max_boxes)
            if merged:
                folder.lose(sample.key, p.text, f"more than {options.max_boxes} boxes", "merged")
            spelled = [square_box(b, value["width"], value["height"]) for b in found]
            turns += _pair(
                LLAVA_LOCATE.format(phrase=p.text),
                "; ".join("[" + ", ".join(f"{v:.3f}" for v in box) + "]" for box in spelled),
            )
        entry = {"id": sample.key, "image": sample.name, "conversations": _opened(turns, options)}
        lists[sample.split].add(entry | {"box_format": "xyxy/centred square padding"})
        folder.put(f"images/{sample.name}", sample.image)


def qwen(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Qwen-VL finetuning: `{split}.json`, `images/`; boxes as JSON with `bbox_2d` and `label`.

    Qwen2.5-VL counts pixels of the picture as its processor resizes it, Qwen3-VL 0 to 1000.
    """
    lists = Lists(folder, "{split}.json")
    for sample in samples:
        value = sample.value
        turns = _turns(sample, folder, options)
        if turns is None:
            continue
        width, height = qwen_size(value["width"], value["height"], options)
        for p in _once(sample, folder):
            found, merged = boxes(p.region, options.max_boxes)
            if merged:
                folder.lose(sample.key, p.text, f"more than {options.max_boxes} boxes", "merged")
            scale = (width / value["width"], height / value["height"])
            answer = [
                {"bbox_2d": qwen_box(box, scale, (width, height)), "label": p.text} for box in found
            ]
            turns += _pair(
                QWEN_LOCATE.format(phrase=p.text),
                "```json\n" + json.dumps(answer, ensure_ascii=False) + "\n```",
            )
        entry = {
            "image": f"images/{sample.name}",
            "conversations": _opened(turns, options),
            "box_format": f"{options.qwen_model} {width}x{height}",
        }
        lists[sample.split].add(entry)
        folder.put(f"images/{sample.name}", sample.image)


def qwen_size(width: int, height: int, options: Options) -> tuple[int, int]:
    """Width and height that boxes count in.

    Qwen2.5-VL rounds both sides to multiples of 28 and keeps their product between min_pixels and
    max_pixels; Qwen3-VL always counts to 1000.
    """
    if options.qwen_model == "qwen3":
        return 1000, 1000
    factor = 28
    w, h = max(factor, round(width / factor) * factor), max(factor, round(height / factor) * factor)
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


def _turns(sample: Sample, folder: Folder, options: Options) -> list[dict[str, str]] | None:
    """The text of a sample as turns: its dialogue, or its caption as a description."""
    value = sample.value
    if value["turns"]:
        names = {"user": "human", "human": "human", "question": "human"}
        turns = [{"from": names.get(t["role"], "gpt"), "value": t["text"]} for t in value["turns"]]
    else:
        turns = _pair(DESCRIBE, value["caption"])
    for turn in turns:
        if SPECIAL.search(turn["value"]) or any(stop in turn["value"] for stop in LLAVA_STOPS):
            folder.lose(sample.key, None, "the text holds a special token", "dropped")
            return None
    order = [t["from"] for t in turns]
    if order != ["human", "gpt"] * (len(order) // 2):
        folder.lose(sample.key, None, "turns do not alternate", "dropped")
        return None
    return [t for t in turns if t["value"].strip()] if value["turns"] else turns


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
