"""Faults that `make mutants` plants are small, sound and the same each time."""

import ast

import pytest

from tests.mutants.__main__ import enclosing, functions, importers, last_line, same
from tests.mutants.faults import ROOT, Fault, changes, draw, planted


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


SOURCE = """
LIMIT = 3

def first(a=1):
    def inner():
        return a < LIMIT
    return inner()

class Kind:
    size = 4

    @functools.cache
    def second(self):
        return self.size + 1
"""


def test_a_fault_is_planted_in_the_outermost_function_around_it():
    found = {code.co_name: code for code in functions(compile(SOURCE, "a.py", "exec"))}
    assert set(found) == {"first", "second"}
    assert last_line(found["first"]) == 7
    assert found["second"].co_firstlineno == 12


@pytest.mark.parametrize(
    ("before", "after", "equal"),
    [
        ("LIMIT = 3", "# a comment\nLIMIT = 3", True),
        ("a=1", "a=2", True),  # a default is no code of the function
        ("a < LIMIT", "a <= LIMIT", False),
        ("self.size + 1", "self.size + 2", False),
    ],
)
def test_functions_are_the_same_when_they_do_the_same(before, after, equal):
    texts = (SOURCE, SOURCE.replace(before, after))
    codes = [list(functions(compile(text, "a.py", "exec"))) for text in texts]
    assert all(map(same, *codes)) is equal


def test_a_fault_outside_of_functions_is_planted_by_an_import():
    text = (ROOT / "filters/fdr.py").read_text(encoding="utf-8").splitlines()
    outside = next(i for i, one in enumerate(text, 1) if one.startswith("import "))
    inside = next(i for i, one in enumerate(text, 1) if one.startswith("    return "))
    faults = [
        Fault("filters/fdr.py", "constant", (i, 0), (i, 1), "", "") for i in (outside, inside)
    ]
    assert enclosing(faults[0]) is None
    place = enclosing(faults[1])
    assert place is not None
    assert text[place - 1].startswith(("def ", "@"))


def test_what_stands_outside_of_functions_meets_the_tests_that_import_it():
    nodes = ["tests/filters/test_fdr.py::test_a", "tests/ner/test_ground.py::test_b"]
    assert importers("filters/fdr.py", nodes) == nodes[:1]
