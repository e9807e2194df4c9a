"""Reference and decision files: written and read back, refused when they do not fit."""

import json

import numpy as np
import pytest

from filters import decision, references
from filters.features import FEATURES
from miner.core.errors import Refused
from ner.concepts import concepts

MODULES = {"references": references, "decision": decision}
LOADERS = {
    "references": references.load_references,
    "decision": decision.load_decision,
}


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "version None"),
        ('{"version": 99}', "version 99"),
        ('{"version": CURRENT, "features": 3}', "other features|damaged"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, name, content, message):
    file = tmp_path / "file.json"
    file.write_text(content.replace("CURRENT", str(MODULES[name].VERSION)))
    with pytest.raises(Refused, match=message) as error:
        LOADERS[name](file)
    assert "\n" not in str(error.value)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("name", LOADERS)
def test_missing_files_are_refused(tmp_path, name):
    with pytest.raises(Refused, match=f"filters.{name}: cannot read"):
        LOADERS[name](tmp_path / "none.json")


@pytest.mark.parametrize("name", LOADERS)
def test_a_version_of_tomorrow_says_what_to_do(tmp_path, name):
    file = tmp_path / "file.json"
    file.write_text(json.dumps({"version": MODULES[name].VERSION + 1}))
    with pytest.raises(Refused, match="miner calibrate"):
        LOADERS[name](file)


def test_damaged_numbers_are_refused(tmp_path):
    data = json.loads(references.EMBEDDED.read_text())
    name = next(iter(data["concepts"]))
    data["concepts"][name]["pixels"][0][0] = None
    file = tmp_path / "r.json"
    file.write_text(json.dumps(data))
    with pytest.raises(Refused, match="damaged"):
        references.load_references(file)
    model = json.loads(decision.EMBEDDED.read_text())
    model["models"]["global"]["weight"].pop()
    file.write_text(json.dumps(model))
    with pytest.raises(Refused, match="damaged"):
        decision.load_decision(file)


def test_shipped_references():
    found = references.load_references()
    assert set(found.concepts) <= set(concepts())
    for name, one in found.concepts.items():
        assert one.pixels.shape[0] == len(FEATURES)
        assert (np.diff(one.pixels, axis=1) >= 0).all(), name
        assert len(one.heldout["raw"]) >= 8
        assert all((np.diff(v) >= 0).all() for v in one.heldout.values())
        assert one.sources
        assert one.left_out in ("source", "group")
    assert "phantoms" not in found.concepts["nucleus"].sources  # real tiles where there are some
    assert references.EMBEDDED.stat().st_size + decision.EMBEDDED.stat().st_size < 1_000_000


def test_round_trip(tmp_path):
    for module, load in ((references, LOADERS["references"]), (decision, LOADERS["decision"])):
        file = tmp_path / "file.json"
        first = module.to_json(load())
        file.write_text(json.dumps(first))
        assert module.to_json(load(file)) == first


def test_shipped_decision():
    found = decision.load_decision()
    for one in found.calibrations.values():
        assert (np.diff(one.x) >= 0).all()
        assert (np.diff(one.y) >= -1e-9).all()
        assert 0 < one.y.min() <= one.y.max() < 1
        # A concept may have been right always or never: its curve leans on its family's.
        assert one.right + one.wrong > 0
    both = found.calibrations["global"]
    assert both.right > 0
    assert both.wrong > 0
    assert found.level("no such concept", "no such family") == "global"
    assert found.level("no such concept", "cell") == "family:cell"
    assert found.calibrations["global"].threshold_for(1.0) == np.inf


def test_a_decision_fitted_on_scores_that_are_gone_is_refused_by_their_names(tmp_path):
    data = json.loads(decision.EMBEDDED.read_text())
    data["features"][-1] = "ks_gone"
    file = tmp_path / "decision.json"
    file.write_text(json.dumps(data))
    with pytest.raises(Refused, match=r"has not: ks_gone; fit it again"):
        decision.load_decision(file)
