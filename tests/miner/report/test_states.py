"""What is known of concepts, in the report and in `miner show`."""

from __future__ import annotations

from pathlib import Path

from miner.report.states import state_counts, state_funnel, state_rows, states_of
from miner.report.words import KNOWN, explain, known
from shards.sample import KnownConcept
from tests.shards.build import build, format_1, sample


def test_states_of_all_written_samples_are_counted(tmp_path: Path) -> None:
    store = build(tmp_path / "out", n=4, val=2)
    # Glands of samples 1 and 3, 10001: exhaustive .95; two absent in each, none unknown.
    found = state_counts(store)
    assert found == {"present": 12, "absent": 12, "unknown": 0, "whole": 3}
    steps = state_funnel({**found, "unknown": 5})
    assert [(n, lost) for _, n, lost in steps] == [
        (29, ""), (24, "−5 unknown"), (12, "−12 absent"), (3, "−9 perhaps in part"),
    ]  # fmt: skip
    format_1(store)
    assert state_counts(store) == {"present": 12, "absent": 0, "unknown": 0, "whole": 0}


def test_one_sample_says_what_is_known_of_it(tmp_path: Path) -> None:
    store = build(tmp_path / "out", n=3, val=0)
    key = sample(1)[0]["key"]
    assert state_rows(states_of(store, key)) == [
        ("gland", "present", "0.95", "region: a region stands for it"),
        ("stroma", "present", "0.95", "region: a region stands for it"),
        ("fat", "absent", "0.05", "decoy: searched in vain, where it would be found or cannot be"),
        ("necrosis", "absent", "0.05", "negated: the caption denies it, and nothing was found"),
    ]
    format_1(store)
    assert list(states_of(store, key)) == []


def test_why_something_is_known_is_said_in_words() -> None:
    documented = (KnownConcept.__doc__ or "").replace(",", " ").replace(";", " ").split()
    assert KNOWN.keys() <= set(documented)
    assert known("low_score") == f"low_score: {explain('low_score')}"
    assert known("another") == "another"
