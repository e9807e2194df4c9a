"""Promises that are measured on reference material beside the checkout; skipped without it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.conftest import SHARED
from tests.verify.promise import Promise, promise, skipped

ABSENT = "no reference material beside the checkout"
NER_BARS = {"head": 0.9, "relaxed": 0.78, "strict": 0.72}
POLARITY_BAR = 0.92


def mentions(folder: Path) -> Iterator[Promise]:
    """F1 of the mentions on captions with gold, without LLM and model."""
    what, gold = "mentions on captions with gold", SHARED / "data/nergold"
    if not gold.exists():
        yield skipped(what, "", ABSENT)
        return
    out = folder / "mentions.jsonl"
    ner = [sys.executable, "-m", "miner.cli", "ner", gold / "dev.jsonl", "--out", out]
    subprocess.run(ner, check=True, stdout=subprocess.DEVNULL)
    score = [sys.executable, gold / "score.py", "--json", gold / "dev.jsonl", out]
    done = subprocess.run(score, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)["overall"]
    for name, bar in NER_BARS.items():
        f1 = found[name]["f1"]
        yield promise(f"{what}: {name} F1", f">= {bar:.2f}", f"{f1:.3f}", f1 >= bar)
    share = found["polarity_accuracy"]
    yield promise(
        f"{what}: polarity", f">= {POLARITY_BAR:.2f}", f"{share:.3f}", share >= POLARITY_BAR
    )


def biomedparse() -> Iterator[Promise]:
    """BiomedParse against the official recording."""
    from segmenters.biomedparse import BiomedParse
    from tests.segmenters.biomedparse.recorded import differences

    what, bar = "BiomedParse against the official code", "within the tolerances of every tensor"
    path = SHARED / "biomedparse/reference_small.pt"
    if not path.exists():
        yield skipped(what, bar, ABSENT)
        return
    reference = torch.load(path, weights_only=True)
    found = differences(BiomedParse.from_checkpoint(path), reference)
    within = sum(difference <= allowed for difference, allowed in found.values())
    worst = found["out.mask_prob"][0]
    yield promise(
        what, bar, f"{within} of {len(found)}, probability {worst:.0e} off", within == len(found)
    )


def contracts(corpora: Path, out: Path) -> Iterator[Promise]:
    """OUT as an outsider reads it."""
    what, bar = "contracts of OUT, read by an outsider", "none broken"
    checker = SHARED / "contract/check_out.py"
    if not checker.exists():
        yield skipped(what, bar, ABSENT)
        return
    check = [sys.executable, checker, out, corpora]
    done = subprocess.run(check, capture_output=True, text=True)
    last = (done.stdout.strip().splitlines() or ["no answer"])[-1]
    yield promise(what, bar, last[:80], done.returncode == 0)
