"""The one client of language models: any OpenAI-compatible server, asked question by question.

Whatever the server does, every question gets a reply or the name of a problem. What one question
causes never changes how another is asked; a parameter that the server does not know is left out of
all later requests, once that has been seen to help.
"""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import importlib
import json
import logging
import os
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from miner.core.answers import text_of
from miner.core.budget import Budget
from miner.core.errors import Refused, lacks_memory
from miner.core.llm_settings import LlmSettings
from miner.core.replies import Replies
from miner.core.shown import HIDDEN, masked

log = logging.getLogger(__name__)
T = TypeVar("T")

# Statuses that no retry and no other question can mend: the key or the model name is wrong.
_HOPELESS = frozenset({401, 403, 404})
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|max_model_len|string_above_max|reduce the length"
    r"|(?:prompt|input|request|message)s? (?:is |are )?too (?:long|large)|(?:prompt|input) length"
    r"|too many (?:input |prompt )?tokens|(?:token|length) limit|tokens.{0,40} must be <=",
    re.IGNORECASE,
)
_ABOUT_SCHEMA = re.compile(
    r"response[ _]format|json[ _]?(?:schema|mode)|structured[ _]output|guided|grammar",
    re.IGNORECASE,
)
_WORDS = 300  # characters of a server's message that are kept
_MOST_BYTES = 8 << 20  # of an answer, unpacked
_LEAST_SECRET = 8  # characters from which on a secret is taken out of answers: `none` is a word
_IMAGE_TOKENS = 1000  # estimate for a picture in a question: the order of what models take


class Question(NamedTuple, Generic[T]):
    """What a server is asked.

    Attributes:
        record: all that the reply depends on, under which it is recorded.
        messages: of the chat.
        read: makes a value of the reply's text; None where the text is no answer.
        response_format: what servers with structured answers are asked for.
    """

    record: bytes
    messages: list[dict[str, Any]]
    read: Callable[[str], T | None]
    response_format: dict[str, Any] | None = None


class Reply(NamedTuple, Generic[T]):
    """The value read from a reply, or the problem."""

    value: T | None
    problem: str | None = None


class Client:
    """Client of an OpenAI-compatible server; works inside a running event loop, too.

    Problems, each also a counter: `timeout`, `connection` (refused, reset, cut), `too_long`,
    `http_NNN`, `not_json` (an HTML page or broken body), `no_choices`, `refused`, `empty`,
    `unreadable` (no answer in the text), `budget`, `stopped` (after a wrong key or model name).

    Args:
        settings: server and limits.
        field: what the settings are called in the configuration.

    Attributes:
        counts: calls, recorded replies, problems, adaptations (`max_tokens_refused`, ...).
        said: the server's words on each problem, those of the first time.
        budget: what was spent.

    Raises:
        Refused: if `base_url` is no http address.
    """

    def __init__(self, settings: LlmSettings, field: str) -> None:
        if not settings.base_url.startswith(("http://", "https://")):
            raise Refused(f"{field}.base_url: {settings.base_url!r} is no http address")
        self._settings = settings
        self._replies = Replies(settings.cache)
        self._key = os.environ.get(settings.key_env)
        self._secrets = _secrets(settings.base_url, self._key)
        self._stopped = False
        # Names of what is sent beside model and messages; only a refusal changes them.
        self._unknown: set[str] = set()
        self._limit = "max_tokens"
        self.budget = Budget(settings)
        self.counts: Counter[str] = Counter()
        self.said: dict[str, str] = {}

    def __call__(self, questions: Sequence[Question[T]]) -> list[Reply[T]]:
        """Return one reply per question, in order; equal ones are asked once."""
        replies: dict[bytes, Reply[T]] = {}
        asked: dict[bytes, Question[T]] = {}
        for question in questions:
            if question.record in replies or question.record in asked:
                continue
            recorded = self._replies.get(question.record)
            value = None if recorded is None else question.read(recorded)
            if value is None:
                asked[question.record] = question
            else:
                self.counts["cached"] += 1
                replies[question.record] = Reply(value)
        if asked:
            # A thread of its own: the caller may already run an event loop (notebooks, Ray).
            with concurrent.futures.ThreadPoolExecutor(1) as thread:
                found = thread.submit(asyncio.run, self._ask_all(list(asked.values()))).result()
            replies.update(zip(asked, found, strict=True))
        return [replies[question.record] for question in questions]

    def summary(self) -> dict[str, int]:
        """Return the counters, tokens included."""
        counts = dict(sorted(self.counts.items()))
        return counts | {
            "tokens_in": self.budget.tokens_in,
            "tokens_out": self.budget.tokens_out,
        }

    async def _ask_all(self, questions: list[Question[T]]) -> list[Reply[T]]:
        settings = self._settings
        waiting = iter(enumerate(questions))
        replies: list[Reply[T]] = [Reply(None)] * len(questions)
        async with _open(settings, self._key or "none") as server:

            async def work() -> None:
                for i, question in waiting:
                    replies[i] = await self._ask(server, question)

            workers = min(settings.in_flight, len(questions))
            await asyncio.gather(*(work() for _ in range(workers)))
        return replies

    async def _ask(self, server: Any, question: Question[T]) -> Reply[T]:
        tokens_in = _tokens_in(question.messages)
        # An answer repeats much of the last message, and its JSON doubles that.
        tokens_out = 64 + 2 * _tokens_in(question.messages[-1:])
        tokens_out = min(self._settings.max_output_tokens, tokens_out)
        if self._stopped:
            return self._problem("stopped")
        if not self.budget.reserve(tokens_in, tokens_out):
            return self._problem("budget")
        used = (0, 0)
        try:
            await self.budget.wait(tokens_in + tokens_out)
            content, used = await self._call(server, question)
        except _Failed as failure:
            used = failure.used
            return self._problem(str(failure), failure.words)
        finally:
            self.budget.settle(tokens_in, tokens_out, *used)
        try:
            value = question.read(content)
        except Exception as error:  # whatever an answer leads its reader to, it is no answer
            if lacks_memory(error):
                raise
            log.warning("an answer could not be read: %s", type(error).__name__)
            value = None
        if value is None:
            return self._problem("unreadable")
        self._replies.put(question.record, content)
        return Reply(value)

    def _problem(self, problem: str, words: str = "") -> Reply[Any]:
        self.counts[problem] += 1
        if words and problem not in self.said:
            self.said[problem] = words
            log.warning("%s: %s: %s", masked(self._settings.base_url), problem, words)
        return Reply(None, problem)

    def _parameters(self, question: Question[Any]) -> dict[str, Any]:
        """What is sent beside model and messages."""
        settings = self._settings
        wanted: dict[str, Any] = {
            "temperature": 0,
            "seed": settings.seed,
            self._limit: settings.max_output_tokens,
        }
        if question.response_format is not None:
            wanted["response_format"] = question.response_format
        return {name: value for name, value in wanted.items() if name not in self._unknown}

    async def _call(self, server: Any, question: Question[Any]) -> tuple[str, tuple[int, int]]:
        """Return the text of one completion and the tokens used; raises _Failed."""
        import openai

        parameters = self._parameters(question)
        refused: list[str] = []  # named by the server, in this call
        while True:
            self.counts["calls"] += 1
            try:
                reply = await server.chat.completions.create(
                    model=self._settings.model, messages=question.messages, **parameters
                )
                break
            except openai.APITimeoutError as error:
                raise _Failed("timeout") from error
            except openai.APIStatusError as error:
                words = self._words(error)
                name, named = _refused(error, words, parameters)
                if name is None:
                    self._stopped = self._stopped or error.status_code in _HOPELESS
                    raise _Failed(_named(error.status_code, words), words=words) from error
                value = parameters.pop(name)
                if name == "max_tokens":
                    parameters["max_completion_tokens"] = value
                if named:
                    refused.append(name)
                else:
                    self.counts["asked_plainly"] += 1
            except openai.APIConnectionError as error:
                words = self._hidden(str(error.__cause__ or error))
                raise _Failed("connection", words=words) from error
            except (openai.OpenAIError, ValueError, TypeError, RecursionError) as error:
                raise _Failed("not_json") from error
        self._adapt(refused)
        try:
            return self._content(reply, question)
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise _Failed("not_json") from error  # the client does not look at an answer's shape

    def _adapt(self, refused: Sequence[str]) -> None:
        """Leave out, from now on, what the server named in refusing, now that it answered."""
        for name in refused:
            if name in self._unknown or (name == "max_tokens" and self._limit != name):
                continue
            self.counts["schema_refused" if name == "response_format" else f"{name}_refused"] += 1
            if name == "max_tokens":
                self._limit = "max_completion_tokens"
            else:
                self._unknown.add(name)

    def _content(self, reply: Any, question: Question[Any]) -> tuple[str, tuple[int, int]]:
        import openai

        if not isinstance(reply, openai.types.chat.ChatCompletion):
            raise _Failed("not_json")
        usage = reply.usage
        used = (_count(usage.prompt_tokens), _count(usage.completion_tokens)) if usage else (0, 0)
        if not reply.choices:
            raise _Failed("no_choices", used)
        choice = reply.choices[0]
        message = getattr(choice, "message", None)
        refusal = getattr(message, "refusal", None)
        if choice.finish_reason == "content_filter" or refusal:
            raise _Failed("refused", used, self._hidden(str(refusal or ""))[:_WORDS])
        content = text_of(getattr(message, "content", None))
        if content is None or not content.strip():
            raise _Failed("empty", used)
        if usage is None:
            used = (_tokens_in(question.messages), len(content) // 4 + 1)
        if choice.finish_reason == "length":
            self.counts["cut"] += 1
        content = content.encode("utf-8", "replace").decode()  # JSON can hold half characters
        return self._hidden(content, _LEAST_SECRET), used

    def _words(self, error: Any) -> str:
        """What the server said, in one line, without the key."""
        body = error.body if error.body is not None else error.message
        if isinstance(body, dict):
            body = body.get("message") or _faults(body) or body
        text = body if isinstance(body, str) else json.dumps(body, default=str)
        return " ".join(self._hidden(text).split())[:_WORDS]

    def _hidden(self, text: str, least: int = 1) -> str:
        """Without secrets of at least so many characters that the server repeats."""
        for secret in self._secrets:
            if len(secret) >= least:
                text = text.replace(secret, HIDDEN)
        return text if least > 1 else masked(text)


def _secrets(url: str, key: str | None) -> list[str]:
    """What is sent along that nobody else may see, as it may be spelled; the longest first."""
    parts = urllib.parse.urlsplit(url)
    found = [key, parts.password, parts.username]
    found += [value for _, value in urllib.parse.parse_qsl(parts.query)]
    if parts.username or parts.password:
        pair = f"{parts.username or ''}:{parts.password or ''}"
        found += [pair, base64.b64encode(urllib.parse.unquote(pair).encode()).decode()]
    found += [urllib.parse.unquote(secret) for secret in found if secret]
    return sorted({secret for secret in found if secret}, key=lambda s: (-len(s), s))


def _count(value: Any) -> int:
    """A number of tokens; 0 for anything else."""
    return value if isinstance(value, int) and 0 < value < 1 << 40 else 0


def _refused(error: Any, words: str, parameters: dict[str, Any]) -> tuple[str | None, bool]:
    """The parameter that a refusal is about, None for no parameter; and whether it is named.

    A client error that says nothing of what it is about may be one about structured answers: the
    question is then asked plainly, and only this one.
    """
    if error.status_code not in (400, 422) or _TOO_LONG.search(words):
        return None, False
    about = f"{getattr(error, 'param', None) or ''} {words}"
    for name in parameters:
        spelled = "max_(?:completion_)?tokens" if name.startswith("max_") else name
        if re.search(rf"\b{spelled}\b", about):
            return name, True
    if "response_format" in parameters:
        return "response_format", bool(_ABOUT_SCHEMA.search(words))
    return None, False


def _faults(body: dict[str, Any]) -> str | None:
    """Pydantic's list of faults in one line, without the input that it repeats."""
    detail = body.get("detail")
    if not isinstance(detail, list):
        return detail if isinstance(detail, str) else None
    faults = (fault for fault in detail if isinstance(fault, dict))
    said = (f"{'.'.join(map(str, f.get('loc') or ()))}: {f.get('msg', '')}" for f in faults)
    return "; ".join(said)


def _named(status: int, words: str) -> str:
    too_long = status == 413 or (status in (400, 422) and _TOO_LONG.search(words))
    return "too_long" if too_long else f"http_{status}"


def _tokens_in(messages: Sequence[dict[str, Any]]) -> int:
    """Estimate: four characters a token, as usual for English, and 8 for what is around."""
    total = 0
    for message in messages:
        total += 8
        content = message["content"]
        for part in [{"text": content}] if isinstance(content, str) else content:
            total += len(part["text"]) // 4 + 1 if "text" in part else _IMAGE_TOKENS
    return total


def _open(settings: LlmSettings, key: str) -> Any:
    """An openai client that waits at most `timeout_s`, and holds so much of an answer at most."""
    import openai

    base = openai.DefaultAsyncHttpxClient
    http = importlib.import_module(base.__mro__[1].__module__.partition(".")[0])  # httpx or httpx2

    class Deadline(base):  # type: ignore[misc, valid-type]
        async def send(self, request: Any, **options: Any) -> Any:
            try:
                async with asyncio.timeout(settings.timeout_s):
                    response = await super().send(request, **{**options, "stream": True})
                    return await whole(response)
            except TimeoutError as error:
                raise http.ReadTimeout("no whole answer in time", request=request) from error

    async def whole(response: Any) -> Any:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > _MOST_BYTES:
                await response.aclose()
                raise http.ReadError("an endless answer", request=response.request)
        packed = ("content-encoding", "content-length", "transfer-encoding")
        headers = [(k, v) for k, v in response.headers.multi_items() if k.lower() not in packed]
        return http.Response(
            response.status_code, headers=headers, content=b"".join(parts), request=response.request
        )

    return openai.AsyncOpenAI(
        base_url=settings.base_url,
        api_key=key,
        timeout=settings.timeout_s,
        max_retries=settings.retries,
        http_client=Deadline(),
    )


class _Failed(Exception):
    """A call without a usable answer; the message is the problem's name."""

    def __init__(self, problem: str, used: tuple[int, int] = (0, 0), words: str = "") -> None:
        super().__init__(problem)
        self.used = used
        self.words = words
