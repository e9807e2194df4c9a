"""YAML is read as what it looks like, or refused in one line."""

from __future__ import annotations

import pytest

from miner.core.errors import Refused
from miner.core.plain_yaml import BadYaml, load_yaml
from miner.core.read_settings import read_yaml
from miner.load_config import load_config

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("name: 2024-01-01", {"name": "2024-01-01"}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("base: &x {p: 1}\nmine: {<<: *x, q: 2}", {"base": {"p": 1}, "mine": {"p": 1, "q": 2}}),
        ("a: {x: 1}\nb: {x: 2}", {"a": {"x": 1}, "b": {"x": 2}}),
        ("1: a\n'1': b", {1: "a", "1": "b"}),
        ("", None),
        ("# nothing", None),
    ],
)
def test_is_read_as_it_looks(text, value):
    assert load_yaml(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("seed: 1\nout: x\nseed: 2", "seed is given twice, line 3"),
        ("filters:\n  fdr: 0.1\n  fdr: 0.2", "fdr is given twice, line 3"),
        (BOMB, "more than 100,000 values"),
        ("a: &a [*a]", "an alias of what it is in"),
        ("[" * 5000, "nested too deeply"),
        ("a:\n\t- b", r"'\\t' that cannot start any token"),
        ("out: [", "expected the node content"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("? [1, 2]\n: x", "unhashable key"),
        ("a: 0b", None),
        ("a: " + "9" * 5000, "digits"),
        ("a: \0", "special characters are not allowed"),
    ],
)
def test_what_is_odd_is_refused_in_a_line(tmp_path, text, why):
    if why is None:
        assert load_yaml(text) == {"a": "0b"}
        return
    with pytest.raises(BadYaml, match=why) as said:
        load_yaml(text)
    assert "\n" not in str(said.value)
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(Refused, match=r"c\.yaml: not YAML: "):
        read_yaml(str(file))


def test_a_word_that_yaml_takes_for_a_truth_is_named():
    with pytest.raises(Refused, match=r"out: .*got False.* needs quotes"):
        load_config("quickstart.yaml", ["out=no"])


def test_workers_of_a_runner_that_is_no_section(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("runner: 3")
    with pytest.raises(Refused, match="runner is not a section"):
        load_config(str(file), workers=2)


def test_a_line_that_repeats_a_huge_value_loses_its_middle():
    with pytest.raises(Refused, match=r"^--set seed\.x=xxx.*is not a section$") as said:
        load_config("quickstart.yaml", ["seed=1", f"seed.x={'x' * 9000}"])
    assert len(str(said.value)) < 2100
