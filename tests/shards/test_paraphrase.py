"""Rewording by an OpenAI-compatible server on loopback: kept only when it says the same."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from shards.export.folder import Sample
from shards.instruct.mix import Mix, Paraphraser
from shards.instruct.run import instructed
from tests.llm_server import Serve, Server, completion, hang_up
from tests.shards.build import sample


def asked(body: dict[str, Any]) -> tuple[list[str], str]:
    """Phrases to keep and the sentence of a request."""
    prompt = body["messages"][0]["content"]
    phrases = prompt.split("exactly as they are: ", 1)[1].split(". Keep all numbers", 1)[0]
    return re.findall(r'"([^"]*)"', phrases), prompt.rsplit('\n"', 1)[1].removesuffix('"')


def dialogues(server: Server | None, n: int = 12, **settings: Any) -> list[dict[str, Any]]:
    paraphrase = None
    if server:
        settings = {"retries": 0, "timeout_s": 20, **settings}
        paraphrase = Paraphraser(base_url=server.url, model="m", **settings)
    source = [Sample(*sample(i), "train") for i in range(n)]
    return [s.value for s in instructed(source, Mix(paraphrase=paraphrase))]


def spans_fit(values: list[dict[str, Any]]) -> bool:
    return all(
        v["turns"][m["turn"]]["text"][m["start"] : m["end"]] == m["text"]
        for v in values
        for m in v["mentions"]
    )


def test_what_says_the_same_is_taken(serve: Serve) -> None:
    """The words in front move every span of the answer; questions stay."""
    server = serve(lambda body: completion("As can be seen here: " + asked(body)[1]))
    plain, reworded = dialogues(None), dialogues(server)
    assert spans_fit(reworded)
    changed = 0
    for a, b in zip(plain, reworded, strict=True):
        for before, after in zip(a["turns"], b["turns"], strict=True):
            if before["role"] == "user":
                assert after == before
            elif after != before:
                assert after["text"].replace("As can be seen here: ", "") == before["text"]
                changed += 1
        assert len(a["mentions"]) == len(b["mentions"])
    assert changed > 10
    assert server.requests[0]["temperature"] == 0


def other_number(text: str) -> str:
    changed = re.sub(r"\d+", lambda m: str(int(m.group()) + 1), text)
    return changed if changed != text else text + " There are 7 of them."


def other_polarity(text: str) -> str:
    if re.search(r"\b(no|not|none)\b", text, re.IGNORECASE):
        return re.sub(r"\b(no|not|none)\b", "some", text, flags=re.IGNORECASE)
    return "It is not the case that " + text


WRONG: dict[str, Callable[[list[str], str], str]] = {
    "a number changed": lambda phrases, text: other_number(text),
    "the polarity changed": lambda phrases, text: other_polarity(text),
    "a token more": lambda phrases, text: text + " [SEG]",
    "an end of turn": lambda phrases, text: text + "</s>",
    "an essay": lambda phrases, text: text + " Indeed." * 200,
    "nothing": lambda phrases, text: "   ",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_says_something_else_is_not(serve: Serve, wrong: str) -> None:
    server = serve(lambda body: completion(WRONG[wrong](*asked(body))))
    assert dialogues(server) == dialogues(None)
    assert server.requests


@pytest.mark.parametrize("change", ["lost", "twice", "other words", "other case"])
def test_a_span_must_stay_once_and_verbatim(serve: Serve, change: str) -> None:
    def answer(body: dict[str, Any]) -> Any:
        phrases, text = asked(body)
        for phrase in phrases:
            new = {
                "lost": "",
                "twice": f"{phrase} and {phrase}",
                "other words": "structures",
                "other case": phrase.swapcase(),
            }[change]
            text = text.replace(phrase, new)
        return completion(text)

    assert dialogues(serve(answer)) == dialogues(None)


def sleep(handler: Any) -> None:
    threading.Event().wait(0.6)
    handler.close_connection = True


FAULTS = {
    "http 429": (429, b'{"error": {"message": "slow down"}}'),
    "http 500": (500, b'{"error": {"message": "boom"}}'),
    "wrong key": (401, b'{"error": {"message": "no such key"}}'),
    "a page": (200, b"<html><body>Please log in</body></html>", "text/html"),
    "broken JSON": (200, b'{"choices": ['),
    "no choices": {**completion("x"), "choices": []},
    "choices null": {**completion("x"), "choices": None},
    "a list": (200, b"[]"),
    "refused": completion(None, message={"refusal": "I cannot help with that."}),
    "hangs up": hang_up,
    "times out": sleep,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_server_leaves_the_templates(serve: Serve, fault: str) -> None:
    server = serve(lambda body: FAULTS[fault])
    found = dialogues(server, n=2, timeout_s=0.2 if fault == "times out" else 20)
    assert found == dialogues(None, n=2)
    assert server.requests


def test_a_failure_is_repeated_as_often_as_set(serve: Serve) -> None:
    server = serve(lambda body: (500, b"{}"))
    dialogues(server, n=1, retries=1)
    assert len(server.requests) == 2 * len({json.dumps(r) for r in server.requests})


def test_a_server_that_is_not_there_leaves_the_templates() -> None:
    gone = Server(lambda body: None)
    gone.server_close()
    assert dialogues(gone, n=1) == dialogues(None, n=1)
