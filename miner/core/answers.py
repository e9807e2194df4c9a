"""What a language model answered, without what it thought and drafted on the way.

Without a reasoning parser in the server the thinking stands in the content, before the answer. What
is weighed there is no answer, and of several complete answers the last one counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_THINK = r"think(?:ing)?|thought|reason(?:ing)?|reflection|scratchpad|analysis"
_OPEN = re.compile(rf"<\|?(?:begin_of_)?(?:{_THINK})\|?>|\[THINK\]|◁think▷", re.IGNORECASE)
_CLOSE = re.compile(
    rf"</(?:{_THINK})>|<\|?end_of_(?:{_THINK})\|?>|\[/THINK\]|◁/think▷", re.IGNORECASE
)
_CHANNEL = re.compile(r"<\|channel\|>\s*+(\w++)[^<]*+<\|message\|>")
_TAG = re.compile(r"<\|[\w/]+\|>")
_FINAL = re.compile(
    r"<(?:final_)?(?:answer|response|output)>"
    r"|(?:^|[\n.!?])[\s#*_>-]{0,40}+(?:my |the )?final (?:answer|output|response|json|result)\b"
    r"(?: is\b)?[*_]*\s*[:\n][*_]*",
    re.IGNORECASE,
)
_END = re.compile(r"</(?:final_)?(?:answer|response|output)>", re.IGNORECASE)
_BEGIN = re.compile(r"[{\[]")
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)```", re.DOTALL)
# A server may answer megabytes: so much of the end is looked through, with so many attempts.
_MOST_CHARS = 200_000
_MOST_BEGUN = 10_000
_THOUGHTS = frozenset({"thinking", "reasoning", "redacted_thinking", "thought", "reasoning_text"})


def text_of(content: Any) -> str | None:
    """The text of a message's `content`: a string, or a list of blocks without its thoughts."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return None
    texts = []
    for block in content:
        if isinstance(block, dict) and block.get("type") not in _THOUGHTS:
            block = block.get("text")
        if isinstance(block, str):
            texts.append(block)
    return "".join(texts)


def spoken(content: str) -> str:
    """A content without its thinking.

    Thinking that only ends began with the content; thinking that never ends leaves what stands
    before it.
    """
    text = content[-_MOST_CHARS:]
    channels = list(_CHANNEL.finditer(text))
    if channels:  # OpenAI's harmony: only what is said on the channel `final` is said
        last = channels[-1]
        text = text[last.end() :] if last[1] == "final" else ""
    text = _without_thoughts(text)
    text = _CLOSE.split(text)[-1]
    return _TAG.sub("", _OPEN.split(text)[0]).strip()


def _without_thoughts(text: str) -> str:
    """A line feed in the place of all thinking that begins and ends."""
    parts: list[str] = []
    at = 0
    while (begun := _OPEN.search(text, at)) and (ended := _CLOSE.search(text, begun.end())):
        parts.append(text[at : begun.start()])
        at = ended.end()
    return "\n".join([*parts, text[at:]])


def answered(content: str) -> str:
    """What is spoken behind the last marker of a final answer; all of it where there is none."""
    text = spoken(content)
    marked = [found.end() for found in _FINAL.finditer(text) if found.end() < len(text)]
    return _END.split(text[marked[-1] :])[0].strip() if marked else text


def values(content: str) -> list[Any]:
    """The complete JSON objects and arrays of an answer, in order; what is in one is not another.

    A content that is JSON as a whole is that one value, whatever its strings say.
    """
    try:
        return [json.loads(content)]
    except (ValueError, RecursionError):
        return list(_complete(answered(content))) or list(_complete(spoken(content)))


def sentence(content: str) -> str:
    """An answer that is words: without fence, quotation marks and line feeds."""
    text = answered(content)
    fenced = _FENCE.findall(text)
    return " ".join((fenced[-1] if fenced else text).strip().strip('"').split())


def _complete(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(strict=False)
    at = 0
    for _ in range(_MOST_BEGUN):
        if not (found := _BEGIN.search(text, at)):
            return
        try:
            value, at = decoder.raw_decode(text, found.start())
        except RecursionError:  # what is nested so deep is no answer, and each attempt costs
            return
        except ValueError:
            at = found.end()
            continue
        yield value
