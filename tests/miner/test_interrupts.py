"""Ctrl-C and SIGTERM while a command works: the first raises, the second ends it at once."""

import signal
import subprocess
import sys

import pytest

from miner.interrupts import EXIT, LINE

# What cleans up for long after the first, after a library has set a handler of its own.
WORK = """
import signal, time
from miner.interrupts import again, once
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
with once():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: print("the library's", flush=True))
    again()
    try:
        print("at work", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("ending", flush=True)
        time.sleep(60)
"""


@pytest.mark.whole
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_ends_what_still_cleans_up(first, second):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", WORK], **pipes)
    assert process.stdout.readline() == "at work\n"
    process.send_signal(first)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(second)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.split("\n")) == (EXIT, ["", LINE, ""])
