"""The client of language models: whose fault a refusal is, deadlines, and what is recorded."""

import asyncio
import contextlib
import gzip
import json
import time

import pytest

from filters.judge import parse
from miner.core.llm import Client, Question
from miner.core.llm_settings import LlmSettings
from ner.llm.reply import items
from tests.llm_server import completion

FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


def client(server, **more):
    more = {"retries": 0, "timeout_s": 20, "in_flight": 1, **more}
    return Client(LlmSettings(base_url=server.url, model="m", **more), "test")


def question(text, schema=True):
    messages = [{"role": "user", "content": text}]
    return Question(text.encode(), messages, str.upper, FORMAT if schema else None)


def error(message, **more):
    return 400, json.dumps({"error": {"message": message, **more}}).encode()


def text_of(body):
    return body["messages"][-1]["content"]


TOO_LONG = [
    "This model's maximum context length is 1024 tokens.",
    "'max_tokens' is too large: 1024. This model's maximum context length is 1024 tokens and your "
    "request has 900 input tokens",
    "the request exceeds the available context size, try increasing it",
    "prompt is too long: 9000 tokens > 8192 maximum",
    "Please reduce the length of the messages or completion.",
]


@pytest.mark.parametrize("message", TOO_LONG)
@pytest.mark.parametrize("status", [400, 422])
def test_a_question_that_is_too_long_changes_no_other(serve, message, status):
    def answer(body):
        return (status, error(message)[1]) if len(text_of(body)) > 99 else completion("yes")

    server = serve(answer)
    ask = client(server)
    replies = ask([question(t) for t in ("a", "long " * 30, "b", "c")])
    assert [r.problem for r in replies] == [None, "too_long", None, None]
    assert len(server.requests) == 4
    assert all("response_format" in b and "max_tokens" in b for b in server.requests)
    assert ask.said == {"too_long": message}


@pytest.mark.parametrize("message", ["bad temperature seed", "Input rejected", "no schema here"])
def test_what_one_question_causes_changes_no_other(serve, message):
    server = serve(lambda body: error(message) if text_of(body) == "bad" else completion("yes"))
    ask = client(server)
    replies = ask([question(t) for t in ("bad", "b", "c")])
    assert [r.problem for r in replies] == ["http_400", None, None]
    for body in server.requests[-2:]:
        assert {"response_format", "temperature", "seed", "max_tokens"} <= set(body)
    assert ask.said == {"http_400": message}


def test_a_question_refused_with_a_schema_alone_is_asked_plainly_alone(serve):
    def answer(body):
        refused = text_of(body) == "bad" and "response_format" in body
        return error("Bad Request") if refused else completion("yes")

    server = serve(answer)
    replies = client(server)([question(t) for t in ("bad", "b")])
    assert [r.value for r in replies] == ["YES", "YES"]
    assert ["response_format" in body for body in server.requests] == [True, False, True]


UNKNOWN = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
    "'max_completion_tokens' instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model.",
    "seed": "Unrecognized request argument supplied: seed",
    "response_format": "This server has no structured outputs.",
}


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("in_flight", [1, 4])
def test_an_unknown_parameter_is_left_out_once_and_for_all(serve, name, in_flight):
    server = serve(lambda b: error(UNKNOWN[name]) if name in b else completion("yes"))
    ask = client(server, in_flight=in_flight)
    replies = ask([question(str(i)) for i in range(8)])
    assert [r.value for r in replies] == ["YES"] * 8
    refused = sum(name in body for body in server.requests)
    assert 1 <= refused <= in_flight
    assert len(server.requests) == 8 + refused
    counted = "schema_refused" if name == "response_format" else f"{name}_refused"
    assert ask.counts[counted] == 1
    assert ("max_completion_tokens" in server.requests[-1]) == (name == "max_tokens")


def test_all_parameters_may_be_unknown_and_named_as_pydantic_does(serve):
    extra = ["seed", "temperature", "max_tokens", "max_completion_tokens", "response_format"]

    def answer(body):
        for name in extra:
            if name in body:
                fault = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs"}
                return 422, json.dumps({"detail": [{**fault, "input": body}]}).encode()
        return completion("yes")

    server = serve(answer)
    ask = client(server)
    assert [r.value for r in ask([question("a"), question("b")])] == ["YES", "YES"]
    assert len(server.requests) == 7
    assert set(server.requests[-1]) == {"model", "messages"}


def test_a_server_that_drips_meets_the_deadline(serve):
    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)

    server = serve(lambda body: drip)
    begin = time.monotonic()
    (reply,) = client(server, timeout_s=0.5)([question("a")])
    assert reply.problem == "timeout"
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_hopeless_status_stops_and_says_why_without_the_key(serve, status, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    message = json.dumps({"error": {"message": "no such key: sk-secret"}}).encode()
    server = serve(lambda body: (status, message))
    ask = client(server, key_env="SOME_KEY")
    replies = ask([question(str(i)) for i in range(3)])
    assert [r.problem for r in replies] == [f"http_{status}", "stopped", "stopped"]
    assert ask.said == {f"http_{status}": "no such key: …"}


def test_it_works_inside_a_running_loop(serve):
    server = serve(lambda body: completion("yes"))

    async def notebook():
        return client(server)([question("a")])

    assert asyncio.run(notebook())[0].value == "YES"


def test_calls_are_limited(serve):
    server = serve(lambda body: completion("yes"))
    ask = client(server, budget=2)
    replies = ask([question(str(i)) for i in range(5)])
    assert [r.problem for r in replies] == [None, None, "budget", "budget", "budget"]
    assert len(server.requests) == 2


def test_what_could_be_read_is_recorded_for_all_who_ask_the_same(serve, tmp_path):
    server = serve(lambda body: completion([{"type": "text", "text": "yes"}]))
    ask = client(server, cache=str(tmp_path))
    assert [r.value for r in ask([question("a"), question("a")])] == ["YES", "YES"]
    assert client(server, cache=str(tmp_path))([question("a")])[0].value == "YES"
    assert len(server.requests) == 1


SHAPES = {
    "a list": [1, 2],
    "a number": 7,
    "a string": "hello",
    "null": None,
    "choices are text": {"choices": "hello"},
    "choices are numbers": {"choices": [1, 2]},
    "choices are null": {"choices": None},
    "choices are empty": {"choices": []},
    "a choice is null": {"choices": [None]},
    "a choice is a list": {"choices": [[]]},
    "no message": {"choices": [{"finish_reason": "stop"}]},
    "a message that is text": {"choices": [{"message": "yes"}]},
    "content is a number": {"choices": [{"message": {"content": 7}}]},
    "content is an object": {"choices": [{"message": {"content": {"a": 1}}}]},
    "content is nested lists": {"choices": [{"message": {"content": [[["yes"]]]}}]},
    "refusal is an object": {"choices": [{"message": {"content": "yes", "refusal": {"a": 1}}}]},
    "usage is a list": {**completion("yes"), "usage": [1]},
    "usage is text": {**completion("yes"), "usage": {"prompt_tokens": "many"}},
    "usage is negative": {**completion("yes"), "usage": {"prompt_tokens": -(10**9)}},
    "usage is beyond numbers": {**completion("yes"), "usage": {"completion_tokens": 1e300}},
    "finish reason is a list": completion("yes", finish_reason=[]),
    "half a character": completion("yes \ud800"),
    "brackets": completion("[" * 30_000),
    "a number of 5,000 digits": completion('{"verdict": ' + "9" * 5000 + "}"),
    "objects within objects": completion('{"a":' * 3000 + "1" + "}" * 3000),
}
READERS = {"words": str.upper, "mentions": items, "verdict": parse}


@pytest.mark.parametrize("name", SHAPES)
def test_an_answer_of_any_shape_is_a_value_or_a_problem(serve, name):
    server = serve(lambda body: (200, json.dumps(SHAPES[name]).encode()))
    for reader, read in READERS.items():
        messages = [{"role": "user", "content": reader}]
        (reply,) = client(server)([Question(reader.encode(), messages, read)])
        assert (reply.value is None) != (reply.problem is None)
        assert not isinstance(reply.value, str) or reply.value.encode()


def test_bytes_that_are_no_json_and_answers_without_end(serve):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b" " * 65536)

    def bomb(handler):
        packed = gzip.compress(bytes(1 << 26))
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(packed)

    for answer in ((200, b"\xff\xfe{"), (200, b""), (200, b"<html>", "text/html"), endless, bomb):
        server = serve(lambda body, answer=answer: answer)
        (reply,) = client(server)([question("a")])
        assert reply.problem in ("not_json", "connection")


def test_what_reading_an_answer_raises_is_that_answers_problem(serve):
    def read(content):
        raise KeyError(content)

    server = serve(lambda body: completion("yes"))
    (reply,) = client(server)([Question(b"a", [{"role": "user", "content": "a"}], read)])
    assert reply.problem == "unreadable"


def test_no_secret_comes_back(serve, monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("A_KEY", "canary-key-0123")
    echo = "key canary-key-0123, Basic dXNlcjpjYW5hcnktcHc=, canary-pw, canary-query"

    def answer(body):
        if text_of(body) == "refuse":
            return 403, json.dumps({"error": {"message": echo}}).encode()
        return completion(f'{{"mentions": [], "said": "{echo}"}}')

    server = serve(answer)
    url = server.url.replace("http://", "http://user:canary-pw@") + "?api-key=canary-query"
    settings = LlmSettings(base_url=url, model="m", key_env="A_KEY", cache=str(tmp_path), retries=0)
    ask = Client(settings, "x")
    good, bad = ask([question("a"), question("refuse")])
    assert bad.problem == "http_403"
    recorded = "".join(p.read_text() for p in tmp_path.rglob("*.json"))
    assert "MENTIONS" in good.value
    assert "mentions" in recorded
    for text in (good.value.lower(), ask.said["http_403"], caplog.text, recorded):
        assert "canary" not in text
        assert "dXNlcjpjYW5hcnktcHc" not in text
