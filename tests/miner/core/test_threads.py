"""Threads follow the configuration whether torch is loaded before or after; many never need it."""

import os
import subprocess
import sys

import pytest

FIX = "from miner.core.threads import fix_threads; fix_threads(1)"
TORCH = "import torch"
pytestmark = pytest.mark.whole  # processes that load torch


def told(*lines: str) -> str:
    """What a process says that had no word on threads in its environment."""
    env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    run = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(run, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("order", [(FIX, TORCH), (TORCH, FIX)])
def test_torch_has_the_threads_whenever_it_is_loaded(order):
    assert told(*order, "print(torch.get_num_threads())") == "1\n"


def test_a_run_without_networks_does_not_load_torch(tmp_path):
    settings = {
        "corpora": [{"kind": "pairs", "path": str(tmp_path)}],
        "out": str(tmp_path / "out"),
        "segment": {"segmenters": [{"kind": "stain"}]},
        "filters": {"clip": None},
    }
    said = told(
        "import sys",
        "from miner.load_config import check_config",
        "from miner.stages import NAMES",
        "from miner.work import Worker",
        f"Worker(check_config({settings!r}, 'test'), NAMES).load()",
        "print('cv2' in sys.modules, 'torch' in sys.modules)",
    )
    assert said == "True False\n"
