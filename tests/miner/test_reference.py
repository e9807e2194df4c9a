"""The reference pages are those of the code, and name every status, reason, setting and column."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from miner.core.unit import STATUSES
from miner.reference.pages import PAGES
from miner.report.words import REASONS, STATUS, explain

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("miner", "ner", "segmenters", "filters")
# Reasons that no literal spells: `only_{polarity}`, why a mention is not grounded, a filter's word.
COMPOSED = {
    *("only_negated", "only_uncertain", "uncertain", "question", "panel", "outside_panel"),
    *("at_least", "at_most"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_code_says(name):
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), f"docs/{name} is out of date: run `make docs`"


@pytest.mark.parametrize("name", PAGES)
def test_every_line_of_the_reference_says_what_it_means(name):
    silent = re.findall(r"^\| (`[\w.]+`) .*\|  \|$", PAGES[name](), re.MULTILINE)
    assert not silent, f"no meaning: {silent}; see miner/reference/__init__.py"


def test_every_status_has_words():
    assert set(STATUS) == set(STATUSES)
    assert set(REASONS) == {*STATUSES, ""} - {"written"}


def test_every_reason_of_the_code_is_documented_and_none_else():
    used = {name for path in sources() for name in reasons(path)}
    documented = {name for words in REASONS.values() for name in words}
    new, gone = used - documented, documented - used - COMPOSED
    assert not new, f"say what {sorted(new)} mean in REASONS of miner/report/words.py"
    assert not gone, f"no module gives the reasons {sorted(gone)}: remove them from REASONS"


def test_what_stands_behind_a_colon_does_not_hide_a_reason():
    assert explain("cap:organ=colon") == explain("cap") != ""
    assert explain("made_up") == ""


def test_the_tables_of_readme_and_corpora_do_not_contradict_the_reasons():
    found = table("README.md") | table("docs/corpora.md")
    assert len(found) == 16, "a row of the tables was not read"
    for (file, status), names in found.items():
        unknown = names - set(REASONS.get(status.split()[0], ()))
        assert not unknown, f"{file} gives {status} the reasons {unknown}; REASONS does not"
    told = set().union(*(names for (file, _), names in found.items() if "corpora" in file))
    missing = set(REASONS["unreadable"]) | set(REASONS["excluded"])
    assert not missing - told, f"docs/corpora.md leaves out {missing - told}"


def table(file: str) -> dict[tuple[str, str], set[str]]:
    """Reasons by (file, first cell) of the rows whose first cell is a status."""
    text = (ROOT / file).read_text(encoding="utf-8")
    rows = re.findall(rf"^\| (`(?:{'|'.join(STATUSES)})`.*?) \| (.*) \|$", text, re.MULTILINE)
    return {
        (file, head.replace("`", "")): set(re.findall(r"`([a-z_0-9]+)(?:[:`])", cells))
        for head, cells in rows
    }


def sources() -> list[Path]:
    skipped = {"demo", "report", "training", "reference", "detect.py"}
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [path for path in paths if not skipped & set(path.relative_to(ROOT).parts)]


def reasons(path: Path) -> Iterator[str]:
    """Reasons that a module gives, in any of the ways in which the code gives one."""
    returns = "corpora" in path.parts or path.name in ("ground.py", "stage.py", "sampling.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        values: list[ast.expr] = []
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            values += [k.value for k in node.keywords if k.arg == "reason"]
            if name in (
                "fail",
                "BadMember",
                "BadPicture",
                "BadMask",
                "BadTile",
                "BadDialogue",
                "read_file",
                "_refusals",
                "Record",
                "RowState",
            ):
                # The status comes first in `Row.fail` and `RowState`.
                values += node.args[name == "RowState" or isinstance(node.func, ast.Attribute) :]
        elif isinstance(node, ast.Assign):
            names = {getattr(getattr(t, "value", t), "id", "") for t in node.targets}
            if names & {"failed", "reason", "how", "result"}:
                values.append(node.value)
            elif "rules" in names:
                values += [t.elts[0] for t in ast.walk(node.value) if isinstance(t, ast.Tuple)]
        elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "result":
            values += [node.value] if node.value else []
        elif isinstance(node, ast.Return | ast.Yield) and returns and node.value:
            values.append(node.value)
        for value in values:
            yield from (text for text in texts(value) if re.fullmatch(r"[a-z_0-9]+", text))


def texts(value: ast.expr) -> Iterator[str]:
    """Literals that an expression can be; of an f-string what stands before its first colon."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.JoinedStr) and isinstance(value.values[0], ast.Constant):
        head, colon, _ = str(value.values[0].value).partition(":")
        if colon:
            yield head
    elif isinstance(value, ast.IfExp):
        yield from (*texts(value.body), *texts(value.orelse))
    elif isinstance(value, ast.BoolOp):
        yield from (text for part in value.values for text in texts(part))
    elif isinstance(value, ast.BinOp):
        yield from texts(value.left)
    elif isinstance(value, ast.List):
        yield from (text for part in value.elts for text in texts(part))
    elif isinstance(value, ast.Call) and getattr(value.func, "id", "") == "next":
        yield from (text for part in value.args[1:] for text in texts(part))
