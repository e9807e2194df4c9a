"""Optional rewording by a language model, kept only when it says the same.

The same means: every grounded phrase verbatim and once, the same numbers, as exact and as many of
all as before, the same polarity, the same special tokens.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from miner.core.answers import sentence
from miner.core.llm import Client, Question
from shards.export.phrases import SPECIAL
from shards.instruct.exchange import Exchange

if TYPE_CHECKING:
    from shards.instruct.mix import Paraphraser

Reworder = Callable[[Sequence[Exchange]], list[Exchange]]

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve dozen hundred thousand "
    "once twice half both several many few"
)
_SPELLED = re.compile(rf"\b({'|'.join(_WORDS.split())})\b", re.IGNORECASE)
_VAGUE = re.compile(r"\b(about|at least|all|every|each|those that|the ones that)\b", re.IGNORECASE)
_NEGATIVE = re.compile(
    r"\b(no|not|none|never|without|cannot|absent|free of|rules?\b.{0,40}?\bout|denie[sd]|nothing|"
    r"neither|nor|lacks?|excluded?|fails?|unlikely)\b|n't\b",
    re.IGNORECASE,
)
PROMPT = (
    "Reword the sentence between the quotes for a pathology dialogue. Keep these phrases exactly "
    "as they are: {phrases}. Keep all numbers. Do not add or remove facts, and keep affirmations "
    'affirmative and denials denials. Reply with the sentence only.\n"{text}"'
)


def keeps(original: str, reply: str, phrases: Sequence[str]) -> bool:
    """Whether a rewording keeps phrases, numbers, polarity and tokens."""
    if not reply.strip() or len(reply) > 4 * len(original) + 80:
        return False
    if any(reply.count(p) != 1 for p in phrases):
        return False
    for pattern in (_NUMBER, _SPELLED, _VAGUE, SPECIAL):
        if Counter(pattern.findall(original)) != Counter(pattern.findall(reply)):
            return False
    # As many denials: one that is lost beside others would turn a clause round.
    return len(_NEGATIVE.findall(original)) == len(_NEGATIVE.findall(reply))


def reworded(exchange: Exchange, reply: str) -> Exchange:
    """The exchange with another answer, one that `keeps`."""
    phrases = _phrases(exchange)
    grounded = tuple(
        (reply.index(p), reply.index(p) + len(p), region)
        for p, (_, _, region) in zip(phrases, exchange.grounded, strict=True)
    )
    return dataclasses.replace(exchange, answer=reply, grounded=grounded)


def client(settings: Paraphraser) -> Reworder:
    """A reworder that asks an OpenAI-compatible server; its failures leave the templates.

    Raises:
        Refused: if `base_url` is no http address.
    """
    server = Client(settings, "paraphrase")

    def question(exchange: Exchange) -> Question[str]:
        phrases = _phrases(exchange)
        quoted = ", ".join(f'"{p}"' for p in phrases) or "none"
        prompt = PROMPT.replace("{phrases}", quoted).replace("{text}", exchange.answer)

        def read(content: str) -> str | None:
            reply = sentence(content)
            return reply if keeps(exchange.answer, reply, phrases) else None

        record = json.dumps([settings.model, prompt]).encode()
        return Question(record, [{"role": "user", "content": prompt}], read)

    def reword(exchanges: Sequence[Exchange]) -> list[Exchange]:
        replies = server([question(exchange) for exchange in exchanges])
        return [
            exchange if reply.value is None else reworded(exchange, reply.value)
            for exchange, reply in zip(exchanges, replies, strict=True)
        ]

    return reword


def _phrases(exchange: Exchange) -> list[str]:
    return [exchange.answer[start:end] for start, end, _ in exchange.grounded]
