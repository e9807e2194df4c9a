"""Dialogues as chat data spells them: boxes or mask tokens behind phrases, visual prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shards.export.folder import Folder, Sample, VisualPrompt
from shards.export.masks import boxes
from shards.export.options import Options
from shards.export.phrases import SPECIAL, Phrase, disjoint, phrases
from shards.sample import Rle

USER_ROLES = ("user", "human", "question")
# They end the loss, or the turn, in LLaVA's templates.
STOPS = (" ASSISTANT: ", "ASSISTANT:", "</s>", "[/INST]")
VISUAL_PROMPT = "<vp>"
THINK = ("<think>", "</think>")

Spell = Callable[[Sequence[Sequence[int]]], str]  # boxes in pixels -> text
SpellPoints = Callable[[VisualPrompt], str]  # visual prompt -> text


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
            found, merged = boxes(p.region, options.max_boxes)
            if merged:
                folder.lose(sample.key, p.text, f"more than {options.max_boxes} boxes", "merged")
            words = f"{p.text} {spell(found)}"
        parts.append(words)
        at = p.end
    return "".join([*parts, text[at:]])
