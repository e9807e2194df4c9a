import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from miner.cli import app
from miner.core.errors import Refused

run = CliRunner()


def test_a_caption_is_shown_with_reasons():
    result = run.invoke(app, ["ner", "Tumor cells without necrosis. Kidney with hepatocytes."])
    assert result.exit_code == 0
    assert "tumor cell" in result.output
    assert "said to be absent" in result.output
    assert "site: kidney (30:36)" in result.output


def test_markup_in_a_caption_is_text():
    result = run.invoke(app, ["ner", "[red]Nuclei[/red] [/] and [bold"])
    assert result.exit_code == 0
    assert "[red]Nuclei[/red] [/] and [bold" in result.output


def test_a_file_becomes_rows_for_the_scorer(tmp_path, shared):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [{"id": 1, "caption": "Glands, no stroma."}, {"caption": ""}, {"other": 1}]
    source.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    result = run.invoke(app, ["ner", str(source), "--out", str(out)])
    assert result.exit_code == 0
    assert json.loads(result.output)["rows"] == 3
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["caption"] for row in written] == ["Glands, no stroma.", "", ""]
    assert written[0]["id"] == 1
    gold, pred = tmp_path / "gold.jsonl", tmp_path / "pred.jsonl"
    gold.write_text(json.dumps(written[0]) + "\n")
    pred.write_text(out.read_text().splitlines()[0] + "\n")
    scorer = shared / "data" / "nergold" / "score.py"
    scored = subprocess.run(
        [sys.executable, scorer, gold, pred], capture_output=True, text=True, check=True
    )
    assert "1.000" in scored.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jsonl"], "absent.jsonl"),
        (["a caption", "--out", "x.jsonl"], "--out"),
        (["a caption", "--set", "lmm=1"], "lmm"),
        (["a caption", "--set", "merge"], "SETTING=VALUE"),
        (["a caption", "--set", "merge=best"], "merge"),
        (["a caption", "--set", "llm=3"], "llm"),
        (["a caption", "--set", "llm=3", "--set", "llm.model=x"], "llm"),
    ],
)
def test_refusals_are_one_line(arguments, message):
    result = run.invoke(app, ["ner", *arguments])
    assert isinstance(result.exception, Refused)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe"])
def test_broken_files_are_refused(tmp_path, content):
    source = tmp_path / "in.jsonl"
    source.write_bytes(content)
    result = run.invoke(app, ["ner", str(source), "--out", str(tmp_path / "out.jsonl")])
    assert isinstance(result.exception, Refused)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.whole
def test_import_is_light():
    code = (
        "import time, sys; begin = time.process_time(); import ner; "
        "seconds = time.process_time() - begin; "
        "print(seconds, sorted({'spacy', 'torch', 'openai'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, heavy = out.stdout.split(" ", 1)
    assert float(seconds) < 0.5
    assert heavy.strip() == "[]"
