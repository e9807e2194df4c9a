"""Records of questions and answers, however their publishers spell them, as turns.

Read are: `conversations`, a list of {from, value} (LLaVA's, so Quilt-Instruct's and
PathGen-Instruct's); `messages`, a list of {role, content}; `question` and `answer` (PathVQA,
Quilt-VQA), with the choices of PMC-VQA (`Choice A` ... and a letter in `Answer`) or of `options`
(PathMMU).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from miner.corpora.rows import Row, clean, scalars

HUMAN, MODEL, SYSTEM = "human", "gpt", "system"
ROLES: Mapping[str, str] = {
    "human": HUMAN,
    "user": HUMAN,
    "gpt": MODEL,
    "assistant": MODEL,
    "model": MODEL,
    "bot": MODEL,
    "system": SYSTEM,
}
CONVERSATIONS = ("conversations", "conversation", "messages")
QUESTION = ("question", "Question")
ANSWER = ("answer", "Answer", "Answer_label")
OPTIONS = ("options", "choices")
IMAGE = ("image", "images", "img", "Figure_path", "image_path", "file_name")
# Where the picture stands in a first question; the dialects put it there themselves.
_MARK = re.compile(r"<image>\s*|\s*<image>")
_LETTER = re.compile(r"^\s*\(?[A-H]\s*[:.)]\s*")


class BadDialogue(Exception):
    """A record that holds no dialogue about a picture; the message is the reason."""


def turned(row: Row, value: Mapping[str, Any], image: str) -> Row:
    """Fill a row with the dialogue of a record.

    Args:
        row: its number only.
        value: the record.
        image: name of its picture.
    """
    row.image, bad_image = clean(image)
    row.group = row.image
    taken = {*CONVERSATIONS, *QUESTION, *ANSWER, *OPTIONS, *IMAGE}
    row.meta = scalars(value, taken | {key for key in value if str(key).startswith("Choice ")})
    try:
        turns, row.notes = turns_of(value)
    except BadDialogue as bad:
        return row.fail("unreadable", str(bad))
    texts = [clean(turn["text"]) for turn in turns]
    row.turns = [
        {"role": turn["role"], "text": text} for turn, (text, _) in zip(turns, texts, strict=True)
    ]
    if not any(text.strip() for text, _ in texts):
        row.turns = None
    if bad_image or any(bad for _, bad in texts):
        row.fail("unreadable", "bad_utf8")
    return row


def image_of(value: Mapping[str, Any]) -> str:
    """Name of a record's picture: as published, with a suffix where it has none.

    Raises:
        BadDialogue: `no_image`, `several_images`.
    """
    found = next((value[key] for key in IMAGE if value.get(key)), None)
    if isinstance(found, list):
        if len(set(map(str, found))) > 1:
            raise BadDialogue("several_images")
        found = found[0]
    if isinstance(found, Mapping):
        found = found.get("path") or found.get("url")
    if not isinstance(found, str) or not found:
        raise BadDialogue("no_image")
    # PathVQA names its pictures without their suffix.
    return found if re.search(r"\.\w{3,4}$", found) else f"{found}.jpg"


def turns_of(value: Mapping[str, Any]) -> tuple[list[dict[str, str]], list[str]]:
    """Turns of a record, roles `human`, `gpt` and `system`, and what is odd about them.

    Raises:
        BadDialogue: `no_dialogue`, `turn_is_no_text`, `unknown_role`, `no_answer`.
    """
    listed = next((value[key] for key in CONVERSATIONS if value.get(key) is not None), None)
    if listed is not None:
        turns = _listed(listed)
        speaking = [turn["role"] for turn in turns if turn["role"] != SYSTEM]
        return turns, ["starts_with_answer"] if speaking[:1] == [MODEL] else []
    question = next((value[key] for key in QUESTION if value.get(key) is not None), None)
    if question is None:
        raise BadDialogue("no_dialogue")
    answer = next((value[key] for key in ANSWER if value.get(key) not in (None, "")), None)
    if answer is None:
        raise BadDialogue("no_answer")
    if not isinstance(question, str) or not isinstance(answer, str | int | float | bool):
        raise BadDialogue("turn_is_no_text")
    options = _options(value)
    lines = [_MARK.sub("", question).strip(), *(f"{k}: {text}" for k, text in options.items())]
    alone = re.fullmatch(r"\s*\(?([A-H])\)?\s*[.:]?\s*", str(answer))
    notes = []
    if alone and alone.group(1) not in options:
        notes.append("answer_is_no_option" if options else "no_options")
    text = {True: "Yes", False: "No"}[answer] if isinstance(answer, bool) else str(answer)
    return [
        {"role": HUMAN, "text": "\n".join(lines)},
        {"role": MODEL, "text": text.strip()},
    ], notes


def _listed(listed: Any) -> list[dict[str, str]]:
    """Turns of a list of messages."""
    if not isinstance(listed, list) or not listed:
        raise BadDialogue("no_dialogue")
    turns = []
    for one in listed:
        if not isinstance(one, Mapping):
            raise BadDialogue("no_dialogue")
        role = ROLES.get(str(one.get("from", one.get("role", ""))).lower())
        if role is None:
            raise BadDialogue("unknown_role")
        content = one.get("value", one.get("content"))
        if isinstance(content, list):  # parts of a message; the picture is one
            parts = [p.get("text") for p in content if isinstance(p, Mapping) and "text" in p]
            content = "\n".join(p for p in parts if isinstance(p, str))
        if not isinstance(content, str):
            raise BadDialogue("turn_is_no_text")
        turns.append({"role": role, "text": _MARK.sub("", content).strip()})
    return turns


def _options(value: Mapping[str, Any]) -> dict[str, str]:
    """Texts of a choice by letter; those that are empty are left out."""
    found: dict[str, Any] = {
        letter: value.get(f"Choice {letter}")
        for letter in "ABCDEFGH"
        if f"Choice {letter}" in value
    }
    listed = next((value[key] for key in OPTIONS if value.get(key)), None)
    if isinstance(listed, Mapping):
        found |= {str(key).strip().upper(): text for key, text in listed.items()}
    elif isinstance(listed, list):
        found |= dict(zip("ABCDEFGH", listed, strict=False))
    texts = {k: _LETTER.sub("", str(t)).strip() for k, t in found.items() if isinstance(t, str)}
    return {k: text for k, text in texts.items() if text}
