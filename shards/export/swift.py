"""ms-swift and LLaMA-Factory: chat data for trainers of many models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from shards.export.boxed import DESCRIBE, conversation, qwen_box
from shards.export.dialogue import USER_ROLES, VISUAL_PROMPT, placed
from shards.export.folder import Folder, JsonList, Sample, VisualPrompt
from shards.export.masks import boxes, unboxed
from shards.export.options import CHAT, Options, exporters
from shards.export.phrases import SPECIAL, Phrase, disjoint, phrases

TAGS = re.compile(r"<ref-object>|<bbox>|<video>|<audio>")
TO_1000 = (1000, 1000)
LOCATE = (
    'Locate every instance that belongs to the category "{phrase}". '
    "Report bbox coordinates in JSON format."
)


def swift(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """ms-swift grounding: `{split}.jsonl`, `images/`; set ROOT_IMAGE_DIR to the folder.

    Boxes are pixels of the file (`bbox_type` real), xyxy, end-exclusive: the template scales them
    for whatever model is trained. Refs and boxes stand in the order of their tags.
    """
    files: dict[str, Any] = {}
    for sample in samples:
        told = placed(sample, folder, options)
        entry = None if told is None else _messages(told, folder, options)
        if entry is None:
            continue
        if sample.split not in files:
            files[sample.split] = folder.open_text(f"{sample.split}.jsonl")
        files[sample.split].write(json.dumps(entry) + "\n")
        folder.put(f"images/{sample.name}", sample.image)


def _messages(sample: Sample, folder: Folder, options: Options) -> dict[str, Any] | None:
    value = sample.value
    turns = value["turns"] or [
        {"role": "user", "text": DESCRIBE},
        {"role": "assistant", "text": value["caption"]},
    ]
    roles = ["user" if t["role"] in USER_ROLES else "assistant" for t in turns]
    if roles != ["user", "assistant"] * (len(roles) // 2):
        folder.lose(sample.key, None, "turns do not alternate", "dropped")
        return None
    if any(not t["text"].strip() for t in turns):
        folder.lose(sample.key, None, "an empty turn", "dropped")
        return None
    refs: list[str] = []
    found: list[list[int]] = []
    messages = []
    prompts = {p["turn"]: p for p in value.get("prompts", ())}
    for number, (turn, role) in enumerate(zip(turns, roles, strict=True)):
        text = turn["text"]
        if SPECIAL.search(_without_marks(text)) or TAGS.search(text):
            folder.lose(sample.key, None, "the text holds a special token", "dropped")
            return None
        if number in prompts:
            text = _prompted(text, prompts[number], found)
        mine = [p for p in phrases(value) if (p.turn if value["turns"] else number) == number]
        if role == "assistant":
            text = _tagged(text, mine, sample, folder, options, refs, found)
        messages.append({"role": role, "content": text})
    messages[0]["content"] = f"<image>{messages[0]['content']}"
    entry: dict[str, Any] = {"messages": messages, "images": [f"images/{sample.name}"]}
    if found:
        entry["objects"] = {"ref": refs, "bbox": found, "bbox_type": "real"}
    return entry


def _without_marks(text: str) -> str:
    """Text without what Histomine's own dialogues put into it."""
    return re.sub(r"</?think>|<vp>", "", text)


def _prompted(text: str, prompt: VisualPrompt, found: list[list[int]]) -> str:
    """A question with a place in it: a box, or the corners of a scribble as points."""
    points = prompt["points"]
    if prompt["kind"] == "box":
        found.append([*points[0], *points[1]])
        return text.replace(VISUAL_PROMPT, "<bbox>", 1)
    found.extend(list(p) for p in points)
    return text.replace(VISUAL_PROMPT, f"the {prompt['kind']} " + "<bbox>" * len(points), 1)


def _tagged(
    text: str,
    items: Sequence[Phrase],
    sample: Sample,
    folder: Folder,
    options: Options,
    refs: list[str],
    found: list[list[int]],
) -> str:
    """Text in which every phrase is a tag for its words and one for each of its boxes."""
    kept, lost = disjoint(items)
    for p in lost:
        folder.lose(sample.key, p.text, "overlaps a longer phrase", "dropped")
    parts, at = [], 0
    for p in kept:
        places = boxes(p.region, options.max_boxes)
        if not places:
            folder.lose(sample.key, p.text, unboxed(p.region, options.max_boxes), "dropped")
            continue
        parts += [text[at : p.start], "<ref-object>" + "<bbox>" * len(places)]
        refs.append(p.text)
        found += places
        at = p.end
    return "".join([*parts, text[at:]])


def llamafactory(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """LLaMA-Factory: `dataset_info.json`, `{split}.json` (sharegpt), `images/`.

    It has no code for boxes and shrinks pictures before the model's processor does, so boxes count
    from 0 to 1000 whatever the picture's size.
    """
    lists: dict[str, JsonList] = {}
    for sample in samples:
        width, height = sample.value["width"], sample.value["height"]
        scale = (1000 / width, 1000 / height)

        def box(box: Sequence[int], scale: tuple[float, float] = scale) -> str:
            return json.dumps(qwen_box(box, scale, TO_1000))

        entry = conversation(sample, folder, options, LOCATE, box, None)
        if entry is None:
            continue
        if sample.split not in lists:
            lists[sample.split] = folder.open_list(f"{sample.split}.json")
        turns = {"conversations": entry["conversations"]}
        lists[sample.split].add({**turns, "images": [f"images/{sample.name}"]})
        folder.put(f"images/{sample.name}", sample.image)
    info = {
        f"histomine_{split}": {
            "file_name": f"{split}.json",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "images": "images"},
        }
        for split in sorted(lists)
    }
    folder.put_json("dataset_info.json", info)


PARTS = exporters(
    {"ms-swift": swift, "llamafactory": llamafactory},
    read={"ms-swift": ("max_boxes",), "llamafactory": CHAT},
)
