"""Asks the LLM for the mentions of captions; whatever the server does, each gets an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from miner.core.llm import Client, Question
from ner.config import LlmConfig
from ner.llm.prompt import VERSION, messages, response_format
from ner.llm.reply import Span, anchor, items


class LlmAnswer(NamedTuple):
    """What the LLM said about one caption: spans, and the problem when there is no answer."""

    spans: tuple[Span, ...]
    problem: str | None = None


class LlmExtractor:
    """Mentions of captions by an OpenAI-compatible server.

    Args:
        config: server, limits and cache.

    Attributes:
        counts: what the client counts (`miner.core.llm.Client`), and what was not taken of answers.
        budget: what was spent.
        said: the server's words on each problem.

    Raises:
        Refused: if `base_url` is no http address.
    """

    def __init__(self, config: LlmConfig) -> None:
        self._config = config
        self._client = Client(config, "ner.llm")
        self.counts = self._client.counts
        self.budget = self._client.budget
        self.said = self._client.said

    def __call__(self, captions: Sequence[str]) -> list[LlmAnswer]:
        """Return one answer per caption, in order; equal captions are asked once."""
        asked = [caption for caption in dict.fromkeys(captions) if caption.strip()]
        replies = self._client([self._question(caption) for caption in asked])
        answers = {}
        for caption, reply in zip(asked, replies, strict=True):
            spans = anchor(caption, reply.value or [], self.counts)
            answers[caption] = LlmAnswer(tuple(spans), reply.problem)
        return [answers.get(caption, LlmAnswer(())) for caption in captions]

    def _question(self, caption: str) -> Question[list[dict[str, Any]]]:
        return Question(
            json.dumps([self._config.model, VERSION, caption]).encode(),
            messages(caption),
            items,
            response_format() if self._config.json_schema else None,
        )

    def summary(self) -> Mapping[str, int]:
        """Return the counters, tokens included."""
        return self._client.summary()
