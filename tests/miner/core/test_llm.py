"""The client of language models: whose fault a refusal is, deadlines, and what is recorded."""

import asyncio
import json
import time

import pytest

from miner.core.llm import Client, Question
from miner.core.llm_settings import LlmSettings
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
