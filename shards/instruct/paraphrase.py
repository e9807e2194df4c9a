"""Optional rewording by a language model, kept only when it says the same.

The same means: every grounded phrase verbatim and once, the same numbers, the same polarity, the
same special tokens.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shards.export.phrases import SPECIAL
from shards.instruct.tasks import Exchange

if TYPE_CHECKING:
    from shards.instruct.mix import Paraphraser

Reworder = Callable[[Exchange], Exchange]

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve dozen hundred thousand "
    "once twice half both several many few"
)
_SPELLED = re.compile(rf"\b({'|'.join(_WORDS.split())})\b", re.IGNORECASE)
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
    for pattern in (_NUMBER, _SPELLED, SPECIAL):
        if Counter(pattern.findall(original)) != Counter(pattern.findall(reply)):
            return False
    # As many denials: one that is lost beside others would turn a clause round.
    return len(_NEGATIVE.findall(original)) == len(_NEGATIVE.findall(reply))


def reworded(exchange: Exchange, ask: Callable[[str], str]) -> Exchange:
    """The exchange with its answer reworded, or as it was when the reply does not keep it."""
    phrases = [exchange.answer[start:end] for start, end, _ in exchange.grounded]
    quoted = ", ".join(f'"{p}"' for p in phrases) or "none"
    prompt = PROMPT.replace("{phrases}", quoted).replace("{text}", exchange.answer)
    reply = " ".join(ask(prompt).strip().strip('"').split())
    if not keeps(exchange.answer, reply, phrases):
        return exchange
    grounded = tuple(
        (reply.index(p), reply.index(p) + len(p), region)
        for p, (_, _, region) in zip(phrases, exchange.grounded, strict=True)
    )
    return dataclasses.replace(exchange, answer=reply, grounded=grounded)


def client(settings: Paraphraser) -> Reworder:
    """A reworder that asks an OpenAI-compatible server; its failures leave the template."""
    import openai

    server = openai.OpenAI(
        base_url=settings.base_url,
        api_key=os.environ.get(settings.key_env) or "none",
        timeout=settings.timeout_s,
        max_retries=settings.retries,
    )

    def ask(prompt: str) -> str:
        answer = server.chat.completions.create(
            model=settings.model,
            messages=[{"role": "user", "content": prompt}],
            temperature=0,
            seed=0,
        )
        return answer.choices[0].message.content or ""

    def reword(exchange: Exchange) -> Exchange:
        # Besides failures of its own the client passes on answers that are none: a page of HTML,
        # JSON without choices.
        try:
            return reworded(exchange, ask)
        except (openai.OpenAIError, AttributeError, IndexError, TypeError, ValueError):
            return exchange

    return reword
