"""Asks the LLM for the mentions of captions; whatever the server does, each gets an answer."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from miner.core.errors import Refused
from miner.core.replies import Replies
from ner.config import LlmConfig
from ner.llm.budget import Budget
from ner.llm.prompt import SYSTEM, VERSION, messages, response_format
from ner.llm.reply import Span, anchor, items

# Statuses that no retry and no other caption can mend: the key or the model name is wrong.
_HOPELESS = frozenset({401, 403, 404})


class LlmAnswer(NamedTuple):
    """What the LLM said about one caption: spans, and the problem when there is no answer."""

    spans: tuple[Span, ...]
    problem: str | None = None


class LlmExtractor:
    """Client of an OpenAI-compatible server.

    Problems, each also a counter: `timeout`, `connection` (refused, reset, cut), `http_NNN`,
    `not_json` (an HTML page or broken body), `no_choices`, `refused`, `empty`, `unreadable` (no
    JSON in the answer), `budget`, `stopped` (after a wrong key or model name).

    Args:
        config: server, limits and cache.

    Raises:
        Refused: if `base_url` is no http address.
    """

    def __init__(self, config: LlmConfig) -> None:
        if not config.base_url.startswith(("http://", "https://")):
            raise Refused(f"ner.llm.base_url: {config.base_url!r} is no http address")
        self._config = config
        self._replies = Replies(config.cache)
        self._schema = config.json_schema
        self._stopped = False
        self.budget = Budget(config)
        self.counts: Counter[str] = Counter()

    def __call__(self, captions: Sequence[str]) -> list[LlmAnswer]:
        """Return one answer per caption, in order; equal captions are asked once."""
        replies: dict[str, LlmAnswer] = {}
        asked: list[str] = []
        for caption in dict.fromkeys(captions):
            if not caption.strip():
                replies[caption] = LlmAnswer(())
                continue
            recorded = self._replies.get(self._question(caption))
            if recorded is None:
                asked.append(caption)
            else:
                self.counts["cached"] += 1
                replies[caption] = self._read(caption, recorded)
        if asked:
            # A thread of its own: the caller may already run an event loop (notebooks, Ray).
            with concurrent.futures.ThreadPoolExecutor(1) as thread:
                replies.update(thread.submit(asyncio.run, self._ask_all(asked)).result())
        return [replies[caption] for caption in captions]

    def _question(self, caption: str) -> bytes:
        return json.dumps([self._config.model, VERSION, caption]).encode()

    async def _ask_all(self, captions: list[str]) -> dict[str, LlmAnswer]:
        import openai

        config = self._config
        waiting = iter(captions)
        answers: dict[str, LlmAnswer] = {}
        async with openai.AsyncOpenAI(
            base_url=config.base_url,
            api_key=os.environ.get(config.key_env) or "none",
            timeout=config.timeout_s,
            max_retries=config.retries,
        ) as client:

            async def work() -> None:
                for caption in waiting:
                    answers[caption] = await self._ask(client, caption)

            await asyncio.gather(*(work() for _ in range(min(config.in_flight, len(captions)))))
        return answers

    async def _ask(self, client: Any, caption: str) -> LlmAnswer:
        tokens_in = _tokens(SYSTEM + caption) + 16
        tokens_out = min(self._config.max_output_tokens, 64 + 2 * _tokens(caption))
        if self._stopped:
            return self._problem("stopped")
        if not self.budget.reserve(tokens_in, tokens_out):
            return self._problem("budget")
        used = (0, 0)
        try:
            await self.budget.wait(tokens_in + tokens_out)
            content, used = await self._call(client, caption)
        except _Failed as failure:
            used = failure.used
            return self._problem(str(failure))
        finally:
            self.budget.settle(tokens_in, tokens_out, *used)
        answer = self._read(caption, content)
        if answer.problem is None:
            self._replies.put(self._question(caption), content)
        return answer

    async def _call(self, client: Any, caption: str) -> tuple[str, tuple[int, int]]:
        """Return the content of one completion and the tokens used; raises _Failed."""
        import httpx
        import openai

        config = self._config
        schema = self._schema
        request: dict[str, Any] = {"response_format": response_format()} if schema else {}
        self.counts["calls"] += 1
        try:
            reply = await client.chat.completions.create(
                model=config.model,
                messages=messages(caption),
                temperature=0,
                seed=config.seed,
                max_tokens=config.max_output_tokens,
                **request,
            )
        except openai.APITimeoutError as error:
            raise _Failed("timeout") from error
        except openai.APIStatusError as error:
            if schema and error.status_code in (400, 422):
                # Servers without structured answers say so with a client error: ask plainly.
                self._schema = False
                self.counts["schema_refused"] += 1
                return await self._call(client, caption)
            self._stopped = self._stopped or error.status_code in _HOPELESS
            raise _Failed(f"http_{error.status_code}") from error
        except (openai.APIConnectionError, httpx.HTTPError) as error:
            raise _Failed("connection") from error
        except (openai.OpenAIError, ValueError) as error:
            raise _Failed("not_json") from error
        if not isinstance(reply, openai.types.chat.ChatCompletion):
            raise _Failed("not_json")
        usage = reply.usage
        used = (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)
        if not reply.choices:
            raise _Failed("no_choices", used)
        choice = reply.choices[0]
        message = getattr(choice, "message", None)
        if choice.finish_reason == "content_filter" or getattr(message, "refusal", None):
            raise _Failed("refused", used)
        content = getattr(message, "content", None)
        if not isinstance(content, str) or not content.strip():
            raise _Failed("empty", used)
        if usage is None:
            used = (_tokens(SYSTEM + caption), _tokens(content))
        if choice.finish_reason == "length":
            self.counts["cut"] += 1
        return content, used

    def _read(self, caption: str, content: str) -> LlmAnswer:
        answers = items(content)
        if answers is None:
            return self._problem("unreadable")
        return LlmAnswer(tuple(anchor(caption, answers, self.counts)))

    def _problem(self, problem: str) -> LlmAnswer:
        self.counts[problem] += 1
        return LlmAnswer((), problem)


def _tokens(text: str) -> int:
    """Estimate: four characters a token, as usual for English."""
    return len(text) // 4 + 1


class _Failed(Exception):
    """A call without a usable answer; the message is the problem's name."""

    def __init__(self, problem: str, used: tuple[int, int] = (0, 0)) -> None:
        super().__init__(problem)
        self.used = used
