"""Referring segmentation: Sa2VA's finetuning list, RefCOCO, PixelLM's MUSE."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

from shards.export.dialogue import USER_ROLES, VISUAL_PROMPT, without_thought
from shards.export.folder import ExportedSample, Folder, Lists, Sample
from shards.export.masks import region_polygons, uncompressed
from shards.export.options import Options, exporters
from shards.export.phrases import SPECIAL, Phrase, phrases
from shards.export.spool import CocoFile

MAX_COMBINATIONS = 4096  # X-SAM builds every combination of an image's sentences in memory
MUSE_QUESTION = "Which structures can be seen in this image? Segment each one that you name."


def by_region(items: Iterable[Phrase]) -> list[tuple[Phrase, list[str]]]:
    """Phrases of each region: the first one, and the distinct texts of all."""
    found: dict[int, tuple[Phrase, list[str]]] = {}
    for p in items:
        _, texts = found.setdefault(id(p.region), (p, []))
        if p.text not in texts:
            texts.append(p.text)
    return list(found.values())


def sayable(sample: Sample, folder: Folder) -> list[Phrase]:
    """Phrases a referring data set can hold, less those it says twice."""
    kept: list[Phrase] = []
    seen: dict[str, int] = {}
    for p in phrases(sample.value):
        text = p.text.strip().lower().rstrip(".")
        if SPECIAL.search(p.text):
            folder.lose(sample.key, p.text, "the phrase holds a special token", "dropped")
        elif not text.strip():
            folder.lose(sample.key, p.text, "the loader raises on an empty phrase", "dropped")
        elif text in seen and seen[text] == id(p.region):
            folder.lose(sample.key, p.text, "the same words for the same mask again", "merged")
        elif text in seen:
            folder.lose(sample.key, p.text, "the same words for another mask", "dropped")
        else:
            seen[text] = id(p.region)
            kept.append(p)
    if not kept:
        folder.lose(sample.key, None, "no phrase is left", "dropped")
    return kept


def sa2va(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Sa2VA finetuning: `{split}/annotations.json` beside `{split}/images/`.

    The loader adds the polygons of a mask, so they never overlap.
    """
    lists = Lists(folder, "{split}/annotations.json")
    for sample in samples:
        kept = sayable(sample, folder)
        if not kept:
            continue
        masks = {id(p.region): region_polygons(p.region["rle"]) for p in kept}
        lists[sample.split].add(
            {
                "image": sample.name,
                "mask": [masks[id(p.region)] for p in kept],
                "text": [p.text.strip() for p in kept],
            }
        )
        folder.put(f"{sample.split}/images/{sample.name}", sample.image)


def refcoco(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """RefCOCO: `refcoco/instances.json`, `refcoco/refs(unc).p`, `images/train2014/`.

    One ref for an annotation, with all texts as its sentences; polygons, which every loader takes.
    """
    refs: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    sentences = annotations = 0
    coco = CocoFile(folder, "refcoco/instances.json")
    for image_id, sample in enumerate(samples, start=1):
        groups = by_region(sayable(sample, folder))
        if not groups:
            continue
        _limit(groups, sample, folder)
        coco.image(sample, image_id)
        folder.put(f"images/train2014/{sample.name}", sample.image)
        for p, texts in groups:
            annotations += 1
            x1, y1, x2, y2 = p.region["bbox"]
            category = categories.setdefault(p.concept, len(categories) + 1)
            coco.annotation(
                {
                    "id": annotations,
                    "image_id": image_id,
                    "category_id": category,
                    "segmentation": region_polygons(p.region["rle"]),
                    "area": p.region["area_px"],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "iscrowd": 0,
                }
            )
            ids = list(range(sentences, sentences + len(texts)))
            sentences += len(texts)
            refs.append(
                {
                    "ref_id": annotations,
                    "ann_id": annotations,
                    "image_id": image_id,
                    "category_id": category,
                    "split": sample.split,
                    "file_name": sample.name,
                    "sent_ids": ids,
                    "sentences": [
                        {"sent_id": i, "raw": t, "sent": t.strip(), "tokens": t.split()}
                        for i, t in zip(ids, texts, strict=True)
                    ],
                }
            )
    coco.finish([{"id": i, "name": n, "supercategory": n} for n, i in categories.items()])
    folder.put("refcoco/refs(unc).p", pickle.dumps(refs, protocol=2))


def _limit(groups: list[tuple[Phrase, list[str]]], sample: Sample, folder: Folder) -> None:
    """Take sentences away until their combinations fit X-SAM's memory."""
    while True:
        product = 1
        for _, texts in groups:
            product *= len(texts)
        if product <= MAX_COMBINATIONS:
            return
        longest = max(groups, key=lambda g: len(g[1]))[1]
        folder.lose(sample.key, longest.pop(), "too many combinations of sentences", "dropped")


def muse(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """PixelLM's MUSE: `muse_{split}.json`, pictures where its loader looks for COCO's.

    The caption is the answer, with a `{seg}` slot behind each phrase; as it goes through
    `str.format`, other braces are doubled. Slots and masks are as many.
    """
    lists = Lists(folder, "muse_{split}.json")
    names: dict[str, int] = {}
    for sample in samples:
        value = sample.value
        texts = [value["caption"]] if not value["turns"] else [t["text"] for t in value["turns"]]
        answers, slots, questions = [], [], []
        items = phrases(value)
        for turn, text in enumerate(texts):
            mine = [p for p in items if (p.turn or 0) == turn]
            text, mine = without_thought(sample, folder, text, mine)
            if not mine:
                if value["turns"] and value["turns"][turn]["role"] not in USER_ROLES:
                    why = "an answer without a mask has no place in it"
                    folder.lose(sample.key, None, why, "dropped")
                continue
            if SPECIAL.search(text):
                folder.lose(sample.key, None, "the text holds a special token", "dropped")
                continue
            answers.append(_with_slots(text, mine))
            questions.append(_question(value, turn))
            # Slots stand at the ends of phrases, so they come in the order of the ends.
            slots.append(
                [
                    {
                        "segmentation": uncompressed(p.region["rle"]),
                        "category_name": p.concept,
                        "rephrased_name": p.text,
                        "category_id": names.setdefault(p.concept, len(names) + 1),
                        "area": p.region["area_px"],
                        "bbox": p.region["bbox"],
                    }
                    for p in sorted(mine, key=lambda p: (p.end, -p.start))
                ]
            )
        if not answers:
            folder.lose(sample.key, None, "no phrase is left", "dropped")
            continue
        lists[sample.split].add(
            {
                "file_name": sample.name,
                "height": value["height"],
                "width": value["width"],
                "ann_list": [a for answer in slots for a in answer],
                "questions": questions,
                "answers": slots,
                "text_answers": answers,
            }
        )
        folder.put(f"refer_seg/images/mscoco/images/train2014/{sample.name}", sample.image)


def _question(value: ExportedSample, turn: int) -> str:
    """The user's turn in front of an answer."""
    before = value["turns"][turn - 1] if value["turns"] and turn else None
    prompt = next((p for p in value.get("prompts", ()) if p["turn"] == turn - 1), None)
    if before is None or before["role"] not in USER_ROLES:
        return MUSE_QUESTION
    if prompt is None:
        return before["text"]
    return before["text"].replace(VISUAL_PROMPT, f"the {prompt['kind']} {prompt['points']}")


def _with_slots(text: str, items: Iterable[Phrase]) -> str:
    ends = [p.end for p in items]
    parts = []
    for i in range(len(text) + 1):
        parts += [" {seg}"] * ends.count(i)
        if i < len(text):
            parts.append(text[i].replace("{", "{{").replace("}", "}}"))
    return "".join(parts)


PARTS = exporters(
    {"sa2va": sa2va, "refcoco": refcoco, "muse": muse}, no_dialogues=("sa2va", "refcoco"), read={}
)
