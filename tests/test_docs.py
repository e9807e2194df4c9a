"""What README, CONTRIBUTING and docs/ show is run: commands, YAML, Python; names and links exist.

Blocks, indented or fenced, are run against stand-ins (`STAND_INS`, `ARGUMENTS`): two dozen phantom
captions for a corpus, tiny random models for checkpoints. Commands in running text are parsed by
the command line, not run.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import typer
import yaml
from ray.scripts import scripts
from typer.testing import CliRunner

from miner.cli import app
from miner.load_config import check_config
from miner.reference.pages import configuration
from shards.instruct.mix import Mix

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ROOMS = ("configs", "docs", "filters", "miner", "ner", "segmenters", "shards", "tests")

# Indented blocks that are nothing to run, by their first words.
DRAWINGS = {"publishers' files ──": "the way of a caption, in docs/architecture.md"}

# What a block shows -> what is there instead; {place} is the folder of the fixture. In this order.
STAND_INS = {
    "/data/": "{place}/",
    "/models/biomedparse_v1.pt": "{place}/biomedparse_v1.pt",
    '"biomedparse_v1.pt"': '"{place}/biomedparse_v1.pt"',
    "checkpoint: biomedparse_v1.pt": "checkpoint: {place}/biomedparse_v1.pt",
    "/models/plip": "{place}/clip",
    "device: cuda": "device: cpu",
    "runs/quickstart-released": "{place}/released",
    "runs/quickstart": "{place}/mined",
    "runs/again": "{place}/again",
    "runs/corpora": "{place}",
    # Two dozen phantoms need not have a nucleus that scores so high.
    "min_score=0.8": "min_score=0.0",
    "s3://bucket/OUT": "{place}/packed",
    '"OUT': '"{place}/packed',
    "/scratch": "{place}/cache",
    "s3://BUCKET": "{place}",
}
# The same for the words of commands in blocks.
WORDS = {"OUT": "{place}/mined", "DIR": "{new}"}
# What commands get on top, and why.
ARGUMENTS = {
    # Ray starts for half a minute and tests/miner/test_run.py is about it; raw thresholds keep
    # masks whatever models ship, so that there is something to read.
    "run": [
        "--no-ray",
        "--set",
        "filters.at_least={confidence: 0}",
        "--set",
        "shards.splits={train: 1}",
    ],
    # Of two dozen phantoms nothing can be certified; tests/miner/audit/ is about that.
    "release": ["--min-precision", "0"],
}
SHELL = ("export",)
# Parsed, not run: they need a cluster; tests/miner/test_jobs.py has one (make test-cluster).
ON_CLUSTERS = ("submit", "cancel", "jobs")
# YAML blocks that are checked and not built, by a text in them.
ONLY_CHECKED = {
    "my-model": "no LLM server; tests/ner/test_llm.py has one",
    "kind: exported": "no HoVer-Net in ONNX; tests/segmenters/test_exported.py runs small ones",
}


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of a page: where it begins, its language (empty where indented), its text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def kind(self) -> str:
        """sh, yaml, python or drawing; empty when nobody knows."""
        if self.language:
            return self.language if self.language in ("sh", "yaml", "python") else ""
        first = self.text.split("\n", 1)[0]
        if any(first.startswith(words) for words in DRAWINGS):
            return "drawing"
        if re.match(r"(import|from) \w", first):
            return "python"
        if re.match(r"(\.venv/bin/)?(make|miner|python|pytest|ray) ", first):
            return "sh"
        return "yaml" if re.match(r"(- )?[\w-]+:( |$)", first) else ""


def blocks(page: Path) -> Iterator[Block]:
    """Fenced blocks, and indented ones that stand between blank lines."""
    lines = page.read_text(encoding="utf-8").split("\n")
    at = 0
    while at < len(lines):
        begin = at
        if lines[at].startswith("```"):
            at = lines.index("```", at + 1)
            yield Block(page, begin + 1, lines[begin][3:].strip(), "\n".join(lines[begin + 1 : at]))
        elif lines[at].startswith("    ") and not lines[at - 1].strip():
            while at + 1 < len(lines) and (lines[at + 1].startswith("    ") or not lines[at + 1]):
                at += 1
            text = "\n".join(line[4:] for line in lines[begin : at + 1])
            yield Block(page, begin + 1, "", text.rstrip())
        at += 1


BLOCKS = [block for page in PAGES for block in blocks(page)]


def of_kind(kind: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind == kind]


def spans(page: Path) -> list[str]:
    """Code in running text."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the models that blocks name; `mined` adds the rest."""
    from tests.filters.tiny_clip import write_clip
    from tests.segmenters.biomedparse.tiny import write_checkpoint

    folder = tmp_path_factory.mktemp("docs")
    write_checkpoint(folder / "biomedparse_v1.pt")
    write_clip(folder / "clip")
    return folder


@pytest.fixture(scope="module")
def mined(place: Path) -> Path:
    """The folder with corpora, once the commands of README have mined them; blocks write there."""
    from miner.demo import write_demo
    from tests.shards.build import build, sample

    write_demo(place / "demo", captions=24, seed=3)  # it wants a folder of its own
    for corpus in (place / "demo").iterdir():
        corpus.rename(place / corpus.name)
    strata = [{"dimension": "organ", "value": "colon"}]
    build(place / "packed", samples=(sample(i, strata=strata) for i in range(20)))
    first = next(b for b in of_kind("sh") if b.page.name == "README.md" and "miner run" in b.text)
    run_commands(first, place)
    shutil.copytree(place / "mined", place / "again")  # for what writes into OUT
    return place


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.name)
def test_every_block_is_run_by_a_test(block):
    assert block.kind, (
        f"{block.name}: what is this? Fence it as sh, yaml or python, so that it is run here, "
        "or name its first words in DRAWINGS of tests/test_docs.py"
    )


@pytest.mark.parametrize("block", of_kind("sh"), ids=lambda b: b.name)
def test_commands(block, mined):
    if "miner run" not in block.text:  # that one made `mined`
        run_commands(block, mined)


@pytest.mark.parametrize("block", of_kind("yaml"), ids=lambda b: b.name)
def test_yaml(block, place, tmp_path):
    from filters.stage import Score
    from segmenters.registry import build

    value = yaml.safe_load(stand_in(block.text, place))
    if "tasks" in value:
        Mix.model_validate(value)
        return
    if isinstance(value, list):
        value = {"segment": {"segmenters": value}}
    config = check_config({"corpora": [{"kind": "pairs", "path": "p"}], **value}, block.name)
    if not any(text in block.text for text in ONLY_CHECKED):
        if "segment" in value:
            assert len(build(config.segment)) == len(config.segment.segmenters)
    if "clip" in value.get("filters", {}):
        assert Score(config.filters).clip is not None


@pytest.mark.parametrize("block", of_kind("python"), ids=lambda b: b.name)
def test_python(block, mined, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", mined / "hf")
    names = {"image": np.full((64, 64, 3), 200, np.uint8)}  # a block may speak of a picture
    exec(compile(stand_in(block.text, mined), block.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_in_running_text_are_known(page):
    for span in spans(page):
        if re.match(r"(make|miner|python|pytest|ray) ", span.removeprefix(".venv/bin/")):
            parse(span, page)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_settings_and_names_in_running_text_exist(page, mined):
    known = settings()
    for span in spans(page):
        file = span.split(":")[0]
        if re.fullmatch(rf"({'|'.join(ROOMS)})/[\w./*-]+", file):
            there = any(any(folder.glob(file)) for folder in (ROOT, mined / "mined"))
            assert there, f"{page.name}: {span} is neither in the checkout nor in OUT"
        elif match := re.match(rf"({'|'.join(ROOMS)}|sampling|dedupe|runner)(\.\w+)+", span):
            path = re.sub(r"\.(N|NAME|\d+)\b", "", match[0])
            assert path in known or importable(path), f"{page.name}: there is no {path}"
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), f"{page.name}: the link to {link} is broken"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_whole(page):
    """A row behind a blank line, or with a bar too many, is shown as it was typed."""
    lines = page.read_text(encoding="utf-8").split("\n")
    head = ""
    for number, line in enumerate(lines):
        if not line.startswith("|"):
            head = ""
            continue
        if not head:
            head = line
            assert re.fullmatch(r"\|[-:| ]+\|", lines[number + 1]), f"{page.name}:{number + 1}"
        cells, columns = (len(re.findall(r"(?<!\\)\|", text)) for text in (line, head))
        assert cells == columns, f"{page.name}:{number + 1}"


def test_the_files_of_a_run_are_those_of_the_reference(mined):
    import pyarrow.parquet as pq

    from miner.core.layout import ESTIMATE, FIELDS, LEAKS, TOOK

    text = (ROOT / "docs/output.md").read_text(encoding="utf-8")
    out = mined / "mined"
    for name, fields in FIELDS.items():
        files = sorted(out.glob(re.sub(r"{\w+}", "*", name)))
        if name in (LEAKS, ESTIMATE, TOOK) and not files:
            continue  # only where asked for; test_protect.py and test_estimate.py are about them
        assert files, f"{name} is not in OUT; see FIELDS in miner/core/layout.py"
        written = yaml.safe_load(files[0].read_text(encoding="utf-8"))
        assert set(written) == set(fields), f"{name}: FIELDS of miner/core/layout.py"
    for name in re.findall(r"^### `([\w/{}-]+\.parquet)`", text, re.MULTILINE):
        section = text.split(f"### `{name}`", 1)[1].split("\n##", 1)[0]
        listed = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
        file = next(out.glob(re.sub(r"{\w+}", "*", name)))
        columns = set(pq.read_schema(file).names)
        assert listed <= columns, f"{name} has no {sorted(listed - columns)}"


def run_commands(block: Block, place: Path) -> None:
    for words in commands(stand_in(block.text, place)):
        if words[0] in SHELL:
            continue
        if words[0] != "miner" or words[1] in ON_CLUSTERS:
            parse(shlex.join(words), block.page)
            continue
        new = place / f"new-{len(list(place.iterdir()))}"
        words = [WORDS.get(w, w).format(place=place, new=new) for w in words[1:]]
        with mock.patch.dict(os.environ):  # `miner run` fixes threads there
            done = CliRunner().invoke(app, words + ARGUMENTS.get(words[0], []))
        assert done.exit_code == 0, f"{block.name}: miner {shlex.join(words)}\n{done.output}" + (
            f"\n{done.exception!r}" if done.exception else ""
        )


def commands(text: str) -> Iterator[list[str]]:
    """Commands of a block, without comments, what is optional, and where `miner` lies."""
    for line in text.replace("\\\n", " ").split("\n"):
        words = shlex.split(re.sub(r"\[[^]]*\]", "", line), comments=True)
        if words:
            yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


def parse(command: str, page: Path) -> None:
    """Hold a command against what there is: targets, modules, files, subcommands and options."""
    (words,) = commands(command)
    if words[0] == "ray":
        assert words[1] in scripts.cli.commands, f"{page.name}: {command}: Ray has no such command"
        return
    where = f"{page.name}: {command}"
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), f"{where}: no such target"
    elif words[:2] == ["python", "-m"] and words[2] != "pytest":
        assert importlib.util.find_spec(words[2]), f"{where}: no such module"
    elif words[0] in ("python", "pytest"):
        for word in words[words.index("pytest") + 1 :]:
            assert word.startswith("-") or (ROOT / word).exists(), f"{where}: no {word}"
    else:
        at: Any = typer.main.get_command(app)
        rest = words[1:]
        while hasattr(at, "commands"):
            assert set(rest[:1]) & set(at.commands), f"{where}: no such subcommand"
            at, rest = at.commands[rest[0]], rest[1:]
        if rest:  # else the text only names it
            try:
                at.make_context(words[0], [word for word in rest if word not in ("…", "...")])
            except Exception as error:
                pytest.fail(f"{where}: {error}")


def stand_in(text: str, place: Path) -> str:
    for shown, there in STAND_INS.items():
        text = text.replace(shown, there.format(place=place))
    return text


def settings() -> set[str]:
    """Paths of all settings, without positions in lists."""
    text = configuration()
    return {re.sub(r"\.N\b|\.NAME\b", "", found) for found in re.findall(r"`([\w.]+)`", text)}


def importable(path: str) -> bool:
    """Whether a dotted name is a module or what a module has."""
    parts = path.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False
