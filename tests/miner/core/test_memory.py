"""Freed memory goes back to the system."""

import subprocess
import sys

import pytest

HOLES = """
import numpy as np, psutil
from miner.core.memory import give_back
kept = []
for _ in range(2000):
    hole = np.ones(100_000, np.uint8)  # below what glibc maps on its own
    kept.append((hole, np.ones(100, np.uint8)))
kept = [pin for _, pin in kept]
del hole
before = psutil.Process().memory_info().rss
give_back()
print((before - psutil.Process().memory_info().rss) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone keeps such holes")
def test_holes_between_what_lives_on_are_given_back():
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100
