"""Faults that `make mutants` plants are small, sound and the same each time."""

import ast

import pytest

from tests.mutants import ROOT, Fault, changes, draw, planted, watchers


def kinds(text):
    (line,) = ast.parse(text).body
    return {(kind, ast.unparse(new)) for kind, new in changes(line.value)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b", {("comparison", "a > b"), ("boundary", "a <= b")}),
        ("a == b", {("comparison", "a != b")}),
        ("a + b", {("sign", "a - b")}),
        ("-a", {("sign", "a")}),
        ("True", {("constant", "False")}),
        ("6", {("constant", "9")}),
        ("a and b", {("dropped clause", "a"), ("dropped clause", "b")}),
        ("[x for x in y if x]", {("dropped clause", "[x for x in y]")}),
        ("f(a, b)", {("swapped argument", "f(b, a)")}),
        ("max(a, b)", {("comparison", "min(a, b)")}),
        ("f(a, a)", set()),
        ("'text'", set()),
    ],
)
def test_the_faults_of_an_expression(text, expected):
    assert kinds(text) == expected


def test_equal_seeds_draw_equal_faults_from_many_modules():
    drawn = draw(20, 3, "miner/b")
    assert drawn == draw(20, 3, "miner/b") != draw(20, 4, "miner/b")
    assert len(set(drawn)) == 20
    assert len({fault.file for fault in drawn}) > 5
    for fault in drawn:
        source = (ROOT / fault.file).read_text(encoding="utf-8")
        tree = ast.parse(planted(source, fault))
        assert ast.dump(tree) != ast.dump(ast.parse(source)), str(fault)


def test_a_fault_stands_where_it_was_drawn():
    fault = Fault("a.py", "boundary", (2, 9), (2, 14), "x < 1", "x <= 1")
    source = "# columns count bytes: μm\nμ = 3 + x < 1\n"
    assert planted(source, fault) == "# columns count bytes: μm\nμ = 3 + (x <= 1)\n"


def test_a_module_meets_the_tests_that_import_it_and_those_of_its_room():
    found = watchers("filters/decide.py")
    assert "tests/filters/test_decide.py" in found
    assert found[-1] == "tests/filters"
    assert watchers("segmenters/unet/glands.py")[-1] == "tests/segmenters"
