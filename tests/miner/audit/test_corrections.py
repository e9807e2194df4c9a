"""Outlines redrawn in QuPath: exported, changed, taken as judgements, released."""

import json
import shutil

import cv2
import numpy as np
import pytest

from miner.audit.by_truth import by_truth
from miner.audit.corrections import corrections
from miner.audit.folder import read_audit, write_audit
from miner.audit.judgements import read_judgements
from miner.audit.labels import filled
from miner.core.errors import Refused
from miner.core.names import map_name
from miner.evaluate.truth import Truth
from tests.miner.command import miner
from tests.miner.finished import expert_masks, finished

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    store = finished(tmp_path_factory.mktemp("corrected") / "out")
    write_audit(store, 60, "corpus", 0)
    return store


@pytest.fixture
def exported(out, tmp_path):
    assert miner("export", out.root, "--to", "qupath", "--out", tmp_path / "q").exit_code == 0
    return tmp_path / "q"


def kept(store):
    return [i for i in read_audit(store)["items"] if i["control"] is None and i["kept"]]


def changed(exported, item, change):
    (file,) = exported.rglob(f"{item['sample_id']}.geojson")
    value = json.loads(file.read_text())
    features = [f for f in value["features"]
                if f["properties"]["classification"]["name"] == item["concept"]]  # fmt: skip
    rest = [f for f in value["features"] if f not in features]
    value["features"] = rest + change(features)
    file.write_text(json.dumps(value))


def test_what_nobody_touched_is_no_judgement(out, exported):
    assert corrections(out, read_audit(out), exported, "ann") == ([], [])
    done = miner("audit", out.root, "--corrections", exported, "--auditor", "ann")
    assert "No outline of the sample was changed" in done.output


def test_a_moved_a_new_and_a_removed_outline(out, exported, tmp_path):
    moved, drawn, gone = kept(out)[:3]

    def square(side):
        ring = [[20, 20], [20 + side, 20], [20 + side, 60], [20, 60], [20, 20]]
        hole = [[30, 30], [40, 30], [40, 40], [30, 40], [30, 30]]
        return lambda some: [{**some[0], "geometry": {"type": "MultiPolygon",
                                                      "coordinates": [[ring, hole]]}}]  # fmt: skip

    changed(exported, moved, square(40))
    changed(exported, drawn, square(50))
    changed(exported, gone, lambda some: [])
    done = miner("audit", out.root, "--corrections", exported, "--auditor", "ann b")
    assert "3 corrections" in done.output
    file = tmp_path / "j.jsonl"
    shutil.copy(out.path("judgements/ann_b-corrections.jsonl"), file)
    said = {j.item: j for j in read_judgements([file], read_audit(out)).found}
    assert set(said) == {i["item"] for i in (moved, drawn, gone)}
    assert said[gone["item"]].verdict == "wrong_object"
    assert said[gone["item"]].outline == ()
    outline = said[moved["item"]].outline
    assert filled(outline, 160, 160).sum() == 40 * 40 - 10 * 10
    assert said[moved["item"]].auditor == "ann b"
    masks = tmp_path / "masks"
    assert miner("audit", out.root, "--judgements", file, "--masks", masks).exit_code == 0
    assert len(list(masks.glob("*/*/*.png"))) == 2
    to = tmp_path / "release"
    assert miner("release", out.root, "--to", to, "--audit", file,
                 "--min-precision", "0").exit_code == 0  # fmt: skip
    assert (
        "2 masks are redrawn"
        in miner(
            "release", out.root, "--to", tmp_path / "again", "--audit", file, "--min-precision", "0"
        ).output
    )


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"features": [{"geometry": null}]}',
             '{"features": [{"geometry": {"type": "Point", "coordinates": [1, 2]}, "properties":'
             ' {"classification": {"name": "stroma"}}}]}',
             '{"features": [{"geometry": {"type": "Polygon", "coordinates": [[[1, 2]]]},'
             ' "properties": {"classification": {"name": "stroma"}}}]}'],
)  # fmt: skip
def test_files_that_are_no_annotations_are_said(out, exported, text):
    item = kept(out)[0]
    (file,) = exported.rglob(f"{item['sample_id']}.geojson")
    file.write_text(text)
    lines, problems = corrections(out, read_audit(out), exported, "ann")
    assert lines == []
    assert problems == [p for p in problems if p.startswith(file.name)] != []


def test_other_samples_and_outlines_outside_of_the_picture(out, exported, tmp_path):
    (exported / "stranger.geojson").write_text('{"features": []}')
    item = kept(out)[0]
    ring = [[500, 500], [600, 500], [600, 600], [500, 500]]
    far = {"type": "Polygon", "coordinates": [ring]}
    changed(exported, item, lambda some: [{**some[0], "geometry": far}])
    lines, problems = corrections(out, read_audit(out), exported, "ann")
    assert [(line["item"], line["verdict"]) for line in lines] == [(item["item"], "wrong_object")]
    assert problems == ["stranger.geojson: no mask of it is in the sample"]
    with pytest.raises(Refused, match=r"no \.geojson"):
        corrections(out, read_audit(out), tmp_path / "nothing", "ann")
    with pytest.raises(Refused, match="needs --auditor"):
        miner("audit", out.root, "--corrections", exported)


def test_a_sample_is_judged_as_what_was_asked_for(out, tmp_path):
    expert_masks(out, tmp_path / "masks")
    truth = Truth(tmp_path / "masks")
    item = kept(out)[0]
    file = tmp_path / f"masks/{item['corpus']}/{item['image'].removesuffix('.jpg')}/x.png"
    file.with_stem(map_name(item["concept"])).rename(file.with_stem("keratin"))
    for asked_as, verdicts in (("keratin", ["right"]), (None, [])):
        audit = {"audit": "a", "items": [{**item, "asked_as": asked_as}]}
        assert [line["verdict"] for line in by_truth(out, audit, truth)] == verdicts


def test_a_sample_is_judged_by_expert_masks(out, tmp_path):
    """The regions of the shards as the truth, one of them moved away."""
    expert_masks(out, tmp_path / "masks")
    moved = kept(out)[0]
    name = (
        f"{moved['corpus']}/{moved['image'].removesuffix('.jpg')}/{map_name(moved['concept'])}.png"
    )
    far = np.zeros((160, 160), np.uint8)
    far[:2, :2] = 1
    cv2.imwrite(str(tmp_path / "masks" / name), far)
    done = miner("audit", out.root, "--truth", tmp_path / "masks")
    file = tmp_path / "truth.jsonl"
    shutil.copy(out.path("judgements/truth.jsonl"), file)
    found = {j.item: j.verdict for j in read_judgements([file], read_audit(out)).found}
    assert f"{len(found)} of " in done.output
    assert {i["item"] for i in kept(out)} <= found.keys()
    assert found.pop(moved["item"]) in ("wrong_object", "wrong_extent")
    assert {found[i["item"]] for i in kept(out)[1:]} == {"right"}
