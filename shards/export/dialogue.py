"""Dialogues as chat data spells them: boxes or mask tokens behind phrases, visual prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

from miner.core.settings import PartSettings
from shards.export.folder import ExportedSample, Folder, Sample, VisualPrompt
from shards.export.masks import boxes, unboxed
from shards.export.options import Options
from shards.export.phrases import SPECIAL, Phrase, disjoint, phrases
from shards.sample import Rle

USER_ROLES = ("user", "human", "question")
# They end the loss, or the turn, in LLaVA's templates.
STOPS = (" ASSISTANT: ", "ASSISTANT:", "</s>", "[/INST]")
VISUAL_PROMPT = "<vp>"
THINK = ("<think>", "</think>")

# Tasks whose answer is where something is: without a place nothing is left of it.
PLACES = frozenset({"segment", "locate", "present", "prompted"})

Shows = Literal["masks", "boxes", "either"]

Spell = Callable[[Sequence[Sequence[int]]], str]  # boxes in pixels -> text
SpellPoints = Callable[[VisualPrompt], str]  # visual prompt -> text


@dataclasses.dataclass(frozen=True)
class Answering:
    """How answers of a dialect say where something is.

    Attributes:
        shows: by masks, by boxes, or either where that is not known.
        max_boxes: most objects that have a box each.
        always: whether every answer has to show something.
    """

    shows: Shows = "either"
    max_boxes: int = Options().max_boxes
    always: bool = False


EITHER = Answering()


def answering(to: str, options: PartSettings) -> Answering:
    """How answers of a dialect say where something is, with its settings.

    Args:
        to: name of the dialect.
        options: of it.
    """
    if to == "muse":  # its loader has a mask for every answer
        return Answering("masks", always=True)
    if to not in ("llava", "qwen", "ms-swift", "llamafactory") or not isinstance(options, Options):
        return EITHER
    spells_masks = to in ("llava", "qwen") and options.grounding == "seg"
    return Answering("masks" if spells_masks else "boxes", options.max_boxes)


def placed(sample: Sample, folder: Folder, options: Options) -> Sample | None:
    """A dialogue without the exchanges that say where something is when no box can say it.

    Returns:
        None when no exchange is left; the reason is among the losses. What is no dialogue of ours,
        or has mask tokens in the place of boxes, stays as it is.
    """
    value = sample.value
    tasks = value.get("tasks", ())
    gone = {
        p.turn
        for p in phrases(value)
        if p.turn is not None and options.grounding == "box"
        if tasks and tasks[p.turn // 2] in PLACES and not boxes(p.region, options.max_boxes)
    }
    if not gone:
        return sample
    why = f"asked where more than {options.max_boxes} objects are, or what is all over the picture"
    folder.lose(sample.key, None, why, "changed" if len(gone) < len(tasks) else "dropped")
    stay = [i for i in range(len(value["turns"])) if i // 2 * 2 + 1 not in gone]
    if not stay:
        return None
    at = {old: new for new, old in enumerate(stay)}
    told: ExportedSample = {
        **value,
        "turns": [value["turns"][i] for i in stay],
        "mentions": [{**m, "turn": at[m["turn"]]} for m in value["mentions"] if m["turn"] in at],
        "prompts": [{**p, "turn": at[p["turn"]]} for p in value["prompts"] if p["turn"] in at],
        "tasks": [name for i, name in enumerate(tasks) if 2 * i in at],
    }
    return dataclasses.replace(sample, value=told)


def chat_turns(
    sample: Sample, folder: Folder, options: Options, spell: Spell, point: SpellPoints
) -> tuple[list[dict[str, str]], list[Rle]] | None:
    """Turns of a dialogue as `from`, `value`, and the masks of its mask tokens in their order.

    Returns:
        None when the consumer cannot take it; the reason is among the losses.
    """
    value = sample.value
    masks: list[Rle] = []
    turns: list[dict[str, str]] = []
    items = phrases(value)
    prompts = {p["turn"]: p for p in value.get("prompts", ())}
    for number, turn in enumerate(value["turns"]):
        human = turn["role"] in USER_ROLES
        text = turn["text"]
        mine = [p for p in items if p.turn == number]
        if number in prompts:
            text = text.replace(VISUAL_PROMPT, point(prompts[number]), 1)
        front = ""
        if not human and text.startswith(THINK[0]) and THINK[1] in text:
            begin, end = len(THINK[0]), text.index(THINK[1])
            thought, pointed = _part(text, mine, begin, end)
            if not SPECIAL.search(thought):
                thought = _grounded(thought, pointed, sample, folder, options, spell, masks)
                front = f"{options.think_open}{thought}{options.think_close}"
                text, mine = _part(text, mine, end + len(THINK[1]), len(text))
        if SPECIAL.search(text) or any(stop in text for stop in STOPS):
            folder.lose(sample.key, None, "the text holds a special token", "dropped")
            return None
        if not text.strip():
            folder.lose(sample.key, None, "an empty turn", "dropped")
            return None
        text = front + _grounded(text, mine, sample, folder, options, spell, masks)
        turns.append({"from": "human" if human else "gpt", "value": text})
    if [t["from"] for t in turns] != ["human", "gpt"] * (len(turns) // 2) or not turns:
        folder.lose(sample.key, None, "turns do not alternate", "dropped")
        return None
    return turns, masks


def without_thought(
    sample: Sample, folder: Folder, text: str, items: list[Phrase]
) -> tuple[str, list[Phrase]]:
    """A turn for a dialect that has no place for the chain of thought in front of an answer."""
    if not text.startswith(THINK[0]) or THINK[1] not in text:
        return text, items
    start = text.index(THINK[1]) + len(THINK[1])
    start += len(text[start:]) - len(text[start:].lstrip())
    answer, mine = _part(text, items, start, len(text))
    folder.lose(sample.key, None, "a chain of thought has no place in it", "changed")
    return answer, mine


def _part(text: str, items: list[Phrase], start: int, end: int) -> tuple[str, list[Phrase]]:
    """A part of a text, and the phrases in it at their places there."""
    inside = [p for p in items if start <= p.start and p.end <= end]
    return text[start:end], [
        Phrase(p.start - start, p.end - start, p.text, p.concept, p.region) for p in inside
    ]


def _grounded(
    text: str,
    items: list[Phrase],
    sample: Sample,
    folder: Folder,
    options: Options,
    spell: Spell,
    masks: list[Rle],
) -> str:
    """Text with what each phrase points to behind it."""
    kept, lost = disjoint(items)
    for p in lost:
        folder.lose(sample.key, p.text, "overlaps a longer phrase", "dropped")
    parts, at = [], 0
    for p in kept:
        parts.append(text[at : p.start])
        if options.grounding == "seg":
            words = f"{options.phrase_open} {p.text} {options.phrase_close} {options.seg_token}"
            masks.append(p.region["rle"])
        else:
            found = boxes(p.region, options.max_boxes)
            if not found:
                folder.lose(sample.key, p.text, unboxed(p.region, options.max_boxes), "dropped")
            words = f"{p.text} {spell(found)}" if found else p.text
        parts.append(words)
        at = p.end
    return "".join([*parts, text[at:]])
