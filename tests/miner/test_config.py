import dataclasses

import pydantic
import pytest
from typer.testing import CliRunner

from miner.begun import _retold, _sets
from miner.cli import app
from miner.config import difference
from miner.core import parts
from miner.core.built_in import BUILT_IN
from miner.core.errors import Refused
from miner.load_config import apply_sets, check_config, load_config
from tests.filters.scorers import PART

QUILT = {"kind": "quilt", "path": "a/quilt"}


def test_shipped_quickstart_loads_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config("configs/quickstart.yaml")
    assert [c.kind for c in config.corpora] == ["quilt", "pathcap", "pathgen"]
    assert config.out == "runs/quickstart"


def test_set_corpus_out_and_workers_replace_what_the_file_says():
    config = load_config(
        "quickstart.yaml", ["seed=3", "runner.unit_rows=7"], ["pathcap=x"], "elsewhere", 5
    )
    assert (config.seed, config.runner.unit_rows, config.runner.workers) == (3, 7, 5)
    assert [(c.kind, c.path) for c in config.corpora] == [("pathcap", "x")]
    assert config.out == "elsewhere"


def test_precision_and_fdr_replace_what_the_file_says_and_not_each_other(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("corpora: [{kind: quilt, path: a}]\nout: b\nfilters: {precision: 0.8}\n")
    config = load_config(str(file), ["filters.fdr=0.1"])
    assert (config.filters.precision, config.filters.fdr) == (None, 0.1)
    for sets in (
        ["filters.precision=0.8", "filters.fdr=0.1"],
        ["filters.fdr=0.1", "filters.precision=0.8"],
    ):
        with pytest.raises(Refused, match=r"filters\.precision and filters\.fdr together"):
            load_config(str(file), sets)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ("filters.presicion=0.9", "filters.presicion: unknown setting; did you mean precision?"),
        ("shard.max_bytes=1", "shard: unknown setting; did you mean shards?"),
        ("runner.threads=many", "runner.threads: "),
        (
            "corpora.7.path=x",
            "7 is not an index below 3, nor one's name (quilt, pathcap, pathgen)",
        ),
        ("seed", "expected SETTING=VALUE"),
        ("filters.precision=90", "filters.precision: Input should be less than 1, got 90"),
        ("corpora.0.kind=folder", "corpora.0: no kind 'folder'; known: quilt, pathcap, "),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_that_names_it(change, hint):
    with pytest.raises(Refused) as caught:
        load_config("quickstart.yaml", [change])
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "\xff"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path, content):
    file = tmp_path / "x.yaml"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(Refused, match=r"x\.yaml"):
        load_config(str(file))


def test_identity_ignores_paths_and_workers_but_not_thresholds():
    a = check_config({"corpora": [QUILT], "out": "x", "runner": {"workers": 1}}, "a")
    b = check_config(
        {"corpora": [{**QUILT, "path": "b"}], "out": "y", "runner": {"workers": 3}}, "b"
    )
    c = check_config({"corpora": [QUILT], "filters": {"precision": 0.8}}, "c")
    assert a.digest() == b.digest() != c.digest()


@pytest.mark.parametrize("word", ["at_least", "at_most"])
@pytest.mark.parametrize("name", ["clip_prob", "confidence", "expected_iou", "redness"])
def test_thresholds_are_on_scores_that_the_run_measures(word, name, monkeypatch):
    monkeypatch.setitem(parts.BUILT_IN["scores"], "redness", "tests.filters.scorers:PART")

    def limited(*scores, **segment):
        filters = {word: {name: 0.5}, "scores": [{"kind": kind} for kind in scores]}
        return check_config({"corpora": [QUILT], "filters": filters, "segment": segment}, "c")

    assert getattr(limited("redness").filters, word) == {name: 0.5}
    with_rules_alone = {"segmenters": [{"kind": "stain"}]}
    if name in ("expected_iou", "redness"):
        with pytest.raises(Refused, match=rf"^c: filters.{word}: no score is called '{name}'"):
            limited(**with_rules_alone)
    else:
        limited(**with_rules_alone)


def test_a_score_has_no_other_ones_name(monkeypatch):
    taken = dataclasses.replace(PART, columns={"clip_prob": "something else"})
    monkeypatch.setattr("filters.config.find", lambda group, kind: taken)
    monkeypatch.setitem(parts.BUILT_IN["scores"], "redness", "tests.filters.scorers:PART")
    with pytest.raises(Refused, match=r"filters\.scores: clip_prob is another score's name"):
        check_config({"corpora": [QUILT], "filters": {"scores": [{"kind": "redness"}]}}, "c")


def test_difference_names_the_leaf():
    assert difference({"a": {"b": 1, "c": [1]}}, {"a": {"b": 2, "c": [1]}}) == ["a.b: 1 -> 2"]
    assert difference({"a": {}}, {"a": {"b": None}}) == ["a.b: not set -> null"]


def test_two_corpora_of_one_name_are_refused():
    with pytest.raises(Refused, match="distinct names"):
        check_config({"corpora": [QUILT, QUILT]}, "x")


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("{slide}.csv", "no field 'slide'"),
        ("/data/{stem}.csv", "below the folder of the corpus"),
        ("../{stem}.csv", "below the folder of the corpus"),
        ("x\\..\\..\\{stem}.csv", "below the folder of the corpus"),
        ("s3://bucket/{stem}.csv", "below the folder of the corpus"),
    ],
)
def test_side_files_lie_below_their_corpus(pattern, fault):
    with pytest.raises(Refused, match=fault):
        check_config({"corpora": [{**QUILT, "side_paths": {"csv": pattern}}]}, "run.yaml")


def test_side_files_are_part_of_what_a_run_is():
    def digest(**more):
        return check_config({"corpora": [{**QUILT, **more}]}, "run.yaml").digest()

    assert digest(side_paths={"csv": "a/{stem}.csv"}) != digest(side_paths={"csv": "b/{stem}.csv"})
    assert digest() == digest(path="elsewhere", image_paths=["x"])


def test_another_quality_is_told_with_what_was_asked_for_before():
    """Nobody had set anything: the default, and no `null`."""
    before = check_config({"corpora": [QUILT]}, "a").model_dump(mode="json")["filters"]
    after = check_config({"corpora": [QUILT], "filters": {"fdr": 0.1}}, "b")
    told = [_retold(f"filters.{n}: null -> 1", before, after) for n in ("precision", "fdr")]
    assert told == ["filters.precision=0.9 -> filters.fdr=0.1"] * 2
    raw = check_config({"corpora": [QUILT], "filters": {"at_least": {"ks_rim": 0.1}}}, "c")
    assert _retold("filters.fdr: 0.1 -> null", after.model_dump()["filters"], raw) == (
        "filters.fdr=0.1 -> thresholds"
    )
    assert _retold("seed: 0 -> 9", before, after) == "seed: 0 -> 9"
    assert _sets(["filters.fdr: null -> 0.1", "filters.precision: 0.9 -> null"], after) == (
        " --set filters.fdr=0.1"
    )


def test_another_content_of_a_file_is_told_without_its_digest():
    config = check_config({"corpora": [QUILT], "filters": {"decision": "mine.json"}}, "a")
    line = 'filters.decision: "sha256:aa" -> "sha256:bb"'
    assert _retold(line, {}, config) == "filters.decision: the file has another content"
    assert _sets([line, line, 'ner.tables: "sha256:a" -> "sha256:b"'], config) == (
        " --set filters.decision=mine.json"
    )


@pytest.mark.parametrize("name", ["quickstart.yml", "configs/quickstrat.yaml", "mine.yml"])
def test_a_configuration_that_is_not_there_names_a_near_one(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("seed: 1")
    near = "mine.yaml" if name == "mine.yml" else "quickstart.yaml"
    with pytest.raises(Refused, match=rf"no such configuration file; did you mean {near}\?$"):
        load_config(name)
    with pytest.raises(Refused, match=r"no such configuration file$"):
        load_config("other.yaml")


def test_all_that_is_wrong_is_named():
    with pytest.raises(Refused) as caught:
        load_config("quickstart.yaml", ["seeds=1", "shards.sise=2"], ["folder=x"])
    said = str(caught.value)
    assert "no kind 'folder'" in said
    assert said.endswith("table, pairs (wrong, too: shards.sise, seeds)")


def test_long_settings_are_told_in_short():
    config = check_config({"corpora": [QUILT]}, "a")
    line = f"corpora: [{'x' * 500}] -> [{'y' * 500}]"
    said = _retold(line, {}, config)
    assert said.startswith("corpora: [xxx")
    assert "… -> [yyy" in said
    assert len(said) < 180


def test_the_help_names_all_kinds_of_corpora():
    said = " ".join(CliRunner().invoke(app, ["run", "--help"]).stdout.replace("│", " ").split())
    assert ", ".join(BUILT_IN["corpora"]) in said


def test_a_corpus_is_set_by_its_name():
    config = load_config("quickstart.yaml", ["corpora.pathcap.assumed_mpp=0.25"])
    assert [c.assumed_mpp for c in config.corpora] == [None, 0.25, None]
    with pytest.raises(Refused, match="nor one's name"):
        load_config("quickstart.yaml", ["corpora.quilt1m.assumed_mpp=0.25"])


def test_an_index_behind_the_last_is_refused():
    config = {"corpora": [{"kind": "pairs", "path": "x"}]}
    with pytest.raises(Refused, match="1 is not an index below 1"):
        apply_sets(config, ["corpora.1.path=y"])


def test_settings_do_not_change_under_a_run():
    config = check_config({"corpora": [{"kind": "pairs", "path": "x"}]}, "test")
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        config.seed = 1


def test_patches_of_any_white_may_be_left_out():
    made = {"kind": "pathgen", "path": "x", "max_white": 0.5}
    assert check_config({"corpora": [made]}, "test").corpora[0].max_white == 0.5
