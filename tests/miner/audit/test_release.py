"""From a finished run to an audited release, through the command line."""

import json
import shutil
import subprocess

import pyarrow as pa
import pytest

from miner.audit.folder import SAMPLE, render
from miner.audit.labels import filled
from miner.audit.ledger import rewrite
from miner.audit.licenses import OPEN
from miner.audit.revise import AUDITOR
from miner.barrier.ledger import SAMPLE_ROWS
from miner.core.errors import Refused
from miner.core.store import Store
from shards.export.run import samples
from shards.validate import validate
from tests.miner.command import miner
from tests.miner.finished import finished

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    store = finished(tmp_path_factory.mktemp("audit") / "out")
    assert miner("audit", store.root, "--n", "30", "--by", "corpus").exit_code == 0
    return store


def judged(store, path, wrong=(), outline=None):
    """Judgements by the truth: `finished` draws it as masks, so all but decoys are right."""
    audit = store.read_json(SAMPLE)
    lines = []
    for item in audit["items"]:
        right = item["control"] != "wrong" and item["concept"] not in wrong
        line = {"audit": audit["audit"], "item": item["item"], "auditor": "ann",
                "verdict": "right" if right else "wrong_object"}  # fmt: skip
        if outline and item["concept"] == outline[0] and item["kept"]:
            line |= {"verdict": "wrong_extent", "outline": outline[1]}
        lines.append(json.dumps(line))
    path.write_text("\n".join(lines))
    return path


def test_a_sample_has_masks_once_and_planted_ones(drawn):
    audit = drawn.read_json(SAMPLE)
    real = [i for i in audit["items"] if i["control"] is None]
    places = [(i["corpus"], i["image"], i["concept"], i["segmenter"]) for i in real]
    assert len(set(places)) == len(places) > 10
    assert {i["control"] for i in audit["items"]} == {None, "right", "wrong"}
    assert {i["kept"] for i in real} == {True, False}
    for item in audit["items"]:
        assert drawn.exists(f"audit/masks/{item['item']}.png")


def test_another_verdict_makes_the_sample_stale(drawn, tmp_path):
    copy = tmp_path / "out"
    shutil.copytree(drawn.root, copy)
    store = Store(copy)
    store.write_json("finished.json", {"digest": "another"})
    with pytest.raises(Refused, match="drawn from other verdicts"):
        miner("audit", copy, "--judgements", judged(store, tmp_path / "j"))


def test_a_release_is_a_valid_run_with_its_audit(drawn, tmp_path):
    judgements = judged(drawn, tmp_path / "j.jsonl")
    to = tmp_path / "release"
    result = miner("release", drawn.root, "--to", to, "--audit", judgements,
                   "--min-precision", "0.6")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert not validate(Store(to)).faults
    said = miner("status", to).output
    assert "a release" in said
    assert "in 0 units" not in said
    card = (to / "shards/README.md").read_text()
    assert "**Audited** by one person" in card
    assert "not audited" not in card
    assert "CC0" in (to / "LICENSES.md").read_text()
    check = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=to)
    assert check.returncode == 0
    with pytest.raises(Refused, match="already there"):
        miner("release", drawn.root, "--to", to, "--audit", judgements)


def test_what_falls_short_is_not_released(drawn, tmp_path):
    kept = {i["concept"] for i in drawn.read_json(SAMPLE)["items"] if i["kept"]}
    judgements = judged(drawn, tmp_path / "j.jsonl", wrong=kept)
    result = miner("release", drawn.root, "--to", tmp_path / "no", "--audit", judgements)
    assert result.exit_code == 1
    assert "its lower bound is" in result.output
    assert not (tmp_path / "no").exists()


def test_a_damaged_run_is_not_released(drawn, tmp_path):
    copy = tmp_path / "out"
    shutil.copytree(drawn.root, copy)
    tar = next((copy / "shards").glob("*.tar"))
    data = bytearray(tar.read_bytes())
    data[600] ^= 1
    tar.write_bytes(data)
    result = miner("release", copy, "--to", tmp_path / "no", "--audit",
                   judged(drawn, tmp_path / "j"), "--min-precision", "0.1")  # fmt: skip
    assert result.exit_code == 1
    assert "validation:" in result.output


def test_a_concept_that_fails_is_left_out_and_a_redrawn_mask_takes_its_place(drawn, tmp_path):
    kept = [i for i in drawn.read_json(SAMPLE)["items"] if i["control"] is None and i["kept"]]
    names = sorted({i["concept"] for i in kept})
    redrawn, failing = names[0], names[-1]
    square = [[10, 10], [60, 10], [60, 40], [10, 40]]
    judgements = judged(drawn, tmp_path / "j", wrong={failing}, outline=(redrawn, square))
    # A redrawn mask was wrong, so its concept must not be dropped for the outline to show.
    to = tmp_path / "release"
    result = miner("release", drawn.root, "--to", to, "--audit", judgements,
                   "--min-precision", "0.0", "--drop-failing")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert not validate(Store(to)).faults
    regions = [r for s in samples(Store(to)) for r in s.value["regions"]]
    assert any(r["segmenter"] == AUDITOR and r["area_px"] == 50 * 30 for r in regions)
    ledger = Store(to).read_table("ledger/samples/quilt-000000.parquet").to_pylist()
    assert {r["reason"] for r in ledger if r["status"] == "excluded"} <= {"audit", None}


def test_a_concept_that_is_left_out_is_accepted_nowhere_in_the_ledger(tmp_path):
    store, to = Store(tmp_path / "out"), Store(tmp_path / "release")
    rows = [{"sample_id": "a", "key": "a", "status": "written"},
            {"sample_id": "b", "status": "duplicate"}]  # fmt: skip
    masks = [{"sample_id": s, "concept": c, "keep": True, "reason": None}
             for s in "ab" for c in ("fat", "gland")]  # fmt: skip
    schema = pa.schema([("sample_id", pa.string()), ("concept", pa.string()),
                        ("keep", pa.bool_()), ("reason", pa.string())])  # fmt: skip
    store.write_table("ledger/samples/q.parquet", pa.Table.from_pylist(rows, schema=SAMPLE_ROWS))
    store.write_table("ledger/candidates/q.parquet", pa.Table.from_pylist(masks, schema=schema))
    assert rewrite(store, to, {"a": "train-000000.tar"}, {"a": ["gland"]}, {"fat"}) == 0
    written = to.read_table("ledger/candidates/q.parquet").to_pylist()
    assert [(m["concept"], m["keep"], m["reason"]) for m in written] == 2 * [
        ("fat", False, "audit"), ("gland", True, None),
    ]  # fmt: skip


def test_labels_hold_what_was_judged_right_and_what_was_redrawn(drawn, tmp_path):
    square = [[10, 10], [60, 10], [60, 40], [10, 40]]
    judgements = judged(drawn, tmp_path / "j", outline=("stroma", square))
    assert miner("audit", drawn.root, "--judgements", judgements,
                 "--masks", tmp_path / "masks").exit_code == 0  # fmt: skip
    assert list((tmp_path / "masks").glob("*/*/*.png"))


def test_an_outline_is_filled_by_pixel_centres_and_cut_at_the_picture():
    mask = filled((((2.0, 1.0), (6.0, 1.0), (6.0, 3.0), (2.0, 3.0)),), 8, 8)
    assert mask[1:3, 2:6].all()
    assert mask.sum() == 8
    beyond = filled((((-5.0, -5.0), (50.0, -5.0), (50.0, 2.0), (-5.0, 2.0)),), 4, 4)
    assert beyond[:2].all()
    assert not filled((((50.0, 50.0), (60.0, 50.0), (60.0, 60.0)),), 8, 8).any()
    square = ((0.0, 0.0), (8.0, 0.0), (8.0, 8.0), (0.0, 8.0))
    hole = ((2.0, 2.0), (4.0, 2.0), (4.0, 4.0), (2.0, 4.0))
    assert filled((square, hole), 8, 8).sum() == 64 - 4


@pytest.mark.parametrize(
    ("text", "free"),
    [
        ("CC0", True), ("CC BY 4.0", True), ("cc-by-nc-sa-4.0", True), ("Apache-2.0", True),
        ("CC BY-ND 4.0", False), ("CC BY-NC-ND 4.0", False), ("research only", False), ("", False),
    ],
)  # fmt: skip
def test_licences_that_allow_passing_on(text, free):
    assert bool(OPEN.fullmatch(text)) == free


def test_captions_cannot_leave_their_place_in_the_page():
    item = {"item": "x", "concept": "a", "caption": "</script><script>alert(1)</script><!--"}
    page = render({"audit": "a", "items": [item]})
    assert page.count("<script") == 2
    assert "alert(1)</script>" not in page
    data = page.split('id="data">', 1)[1].split("</script>", 1)[0]
    assert json.loads(data)["items"][0]["caption"] == item["caption"]
    assert page.count("Content-Security-Policy") == 1
