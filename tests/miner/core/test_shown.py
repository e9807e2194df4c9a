"""Credentials and commands to a terminal in text from elsewhere."""

import io
import logging

import pytest
from rich.table import Table

from miner.core.errors import Refused
from miner.core.shown import all_masked, masked, shown
from miner.core.terminal import Terminal, safe_logs, say

ADDRESSES = {
    "http://user:pw@host/v1": "http://host/v1",
    "https://user:p@w@host:8000/v1": "https://host:8000/v1",
    "https://user:p/w@host/v1": "https://host/v1",
    "s3://AKIA:secret/with+slash@bucket/a b": "s3://bucket/a b",
    "simplecache::https://u:p@h/x": "simplecache::https://h/x",
    "zip://a.zip::ftp://u:p@h/x": "zip://a.zip::ftp://h/x",
    "https://host/v1?api-key=abc&api-version=2024-02-01": (
        "https://host/v1?api-key=…&api-version=2024-02-01"
    ),
    "https://h/x?X-Amz-Signature=0f&part=1": "https://h/x?X-Amz-Signature=…&part=1",
    "https://h/x?q=k9zbX2mQ81LpTTr0aa": "https://h/x?q=…",
    "https://h/x#access_token=abc": "https://h/x#access_token=…",
    "said: Basic dXNlcjpwYXNz": "said: Basic …",
    "Authorization: Bearer sk-1234567890": "Authorization: Bearer …",
    "said 'https://u:p@h/x?token=t' and left": "said 'https://h/x?token=…' and left",
    # What stays as it is.
    "http://localhost:8000/v1": "http://localhost:8000/v1",
    "http://localhost:8000/a@b": "http://localhost:8000/a@b",
    "https://h/article?id=PMC123&page=2": "https://h/article?id=PMC123&page=2",
    "s3://bucket/out": "s3://bucket/out",
    "basic research, bearer of news": "basic research, bearer of news",
    "a@b.org": "a@b.org",
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses_lose_their_credentials_and_nothing_else(text):
    assert masked(text) == ADDRESSES[text]
    assert masked(masked(text)) == masked(text)
    assert all_masked({"a": [text, 1, None]}) == {"a": [ADDRESSES[text], 1, None]}


def test_no_text_takes_long():
    for text in ("http://" * 20_000, "://" + ":" * 50_000, "http://a?" + "a=&" * 20_000):
        assert len(masked(text)) >= 0
    assert masked("http://" + "u:p" * 20_000 + "@h/x") == "http://h/x"


HOSTILE = "\x1b]0;owned\x07 \x9b31m \u202egnp.exe \r\b\x00 \ud800 µ\tok"


def test_what_steers_a_terminal_is_spelled_out():
    assert shown(HOSTILE) == (
        r"\u001b]0;owned\u0007 \u009b31m \u202egnp.exe \u000d\u0008\u0000 \ud800 µ" + "\tok"
    )
    assert shown("a\nb\x1b") == r"a\nb\u001b"
    assert shown("a\nb\x1b", lines=True) == "a\nb\\u001b"


def test_a_terminal_takes_text_and_no_commands():
    file = io.StringIO()
    terminal = Terminal(file=file, force_terminal=True, width=80, color_system="truecolor")
    table = Table("name", title="[b]T\x1b[2J[/b]")
    table.add_row("[/red] [link=x]a\x1b]8;;http://u:p@h\x07")
    terminal.print(table)
    terminal.print("[bold]see https://u:p@h/x[/bold]\x1b[5n", highlight=False)
    said = file.getvalue()
    assert "\x1b[1m" in said  # rich's own, of the head
    for evil in ("\x1b]", "\x1b[2J", "\x1b[5n", "u:p"):
        assert evil not in said
    assert "[bold]see https://h/x[/bold]" in said
    assert "[/red] [link=x]a" in said


def test_lines_logs_and_refusals_go_the_same_way(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    safe_logs()
    say("a\nb\x1b[2J https://u:p@h")
    logging.getLogger("histomine.test").warning("%s: \x1b[2J\nminer: done", "s3://u:p@b/x")
    said = capsys.readouterr()
    assert said.out == "a\\nb\\u001b[2J https://h\n"
    assert said.err == "s3://b/x: \\u001b[2J\\nminer: done\n"
    assert str(Refused("out: s3://u:p@b/x\nis \x1b[1m full")) == r"out: s3://b/x\nis \u001b[1m full"
