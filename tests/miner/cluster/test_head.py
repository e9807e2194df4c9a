"""A head that is gone for long ends the run in one line; one that is back in time does not."""

import re
import socket
import time

import pytest

from miner.cluster import head as heads
from miner.cluster.head import Head, check_address, connect
from miner.core.errors import Refused

LINE = (
    r"the Ray head at gpu-7:6379 is gone; start one \(ray start --head\) and run the same command"
)


class Exited(Exception):
    pass


@pytest.fixture
def head(monkeypatch):
    """A watched head; `why` is what `connect` says of it, `exits` are those of the process."""
    monkeypatch.setattr(heads, "LOOK_S", 0.01)
    monkeypatch.setattr(heads, "LOST_S", 0.2)
    monkeypatch.setattr(heads, "STUCK_S", 0.2)
    made = Head("gpu-7:6379")
    made.why, made.exits = "", []
    monkeypatch.setattr(heads, "connect", lambda address: made.why)
    monkeypatch.setattr(heads.os, "_exit", made.exits.append)
    return made


def wait(until) -> bool:
    end = time.monotonic() + 10
    while not until() and time.monotonic() < end:
        time.sleep(0.01)
    return until()


def test_one_that_answers_is_not_lost(head):
    with head:
        time.sleep(0.5)
        head.check()


def test_one_that_is_back_in_time_is_not_lost(head):
    with head:
        head.why = "Connection refused"
        time.sleep(0.1)
        head.why = ""
        time.sleep(0.4)
        head.check()


def test_one_that_is_gone_ends_whoever_asks_in_one_line(head):
    with head:
        head.why = "Connection refused"
        assert wait(lambda: head.lost)
        with pytest.raises(Refused, match=rf"^{LINE}"):
            head.check()
    time.sleep(0.4)
    assert head.exits == []  # whoever asked ends by itself


def test_a_driver_that_waits_for_ray_meanwhile_is_ended_with_the_same_line(head, capsys):
    with head:
        head.why = "Connection refused"
        assert wait(lambda: head.exits)
    assert head.exits == [2]
    assert re.fullmatch(rf"miner: {LINE}: it goes on\n", capsys.readouterr().err)


def test_an_address_is_tried_before_ray_does():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(Refused, match=rf"^RAY_ADDRESS={address}: no Ray head answers \(.+\)"):
            check_address(address)
        server.listen()
        check_address(address)
        assert connect(address) == ""
    check_address("auto")  # Ray's own word
