import hashlib
import json
import shutil

import pytest

from filters import decision
from miner.core.contents import completed, contents, identity
from miner.core.errors import Refused
from miner.core.llm_settings import LlmSettings
from miner.load_config import check_config

QUILT = {"kind": "quilt", "path": "a"}


def config(filters=None, segmenter=None, **more):
    value = {"corpora": [QUILT], "filters": filters or {}, **more}
    if segmenter is not None:
        value["segment"] = {"segmenters": [segmenter]}
    return check_config(value, "c.yaml")


def file(folder, name, data=b"one"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return str(folder / name)


def model(folder, name, data=b"one"):
    file(folder, f"{name}/config.json", b"{}")
    file(folder, f"{name}/model.safetensors", data)
    return str(folder / name)


def masks(folder, name, data=b"one"):
    file(folder, f"{name}/quilt/x/gland.png", data)
    return str(folder / name)


def exported(path):
    return config(segmenter={"kind": "exported", "model": path, "classes": {1: "nucleus"}})


def cleaned(path):
    return check_config({"corpora": [{**QUILT, "cleaner_path": path}]}, "c.yaml")


NAMING = {
    "filters.decision": (file, lambda path: config({"decision": path})),
    "filters.references": (file, lambda path: config({"references": path})),
    "filters.biomedparse_table": (file, lambda path: config({"biomedparse_table": path})),
    "filters.clip.model": (model, lambda path: config({"clip": {"model": path}})),
    "dedupe.model": (model, lambda path: config(dedupe={"model": path})),
    "segment.refine.model": (model, lambda path: config(segment={"refine": {"model": path}})),
    "segment.segmenters.0.model": (file, exported),
    "segment.segmenters.0.detector": (
        model,
        lambda path: config(
            segmenter={"kind": "grounding_dino", "detector": path, "sam": "facebook/sam"}
        ),
    ),
    "segment.segmenters.0.path": (
        masks,
        lambda path: config(segmenter={"kind": "mask-files", "path": path}),
    ),
    "corpora.0.cleaner_path": (file, cleaned),
}


@pytest.mark.parametrize("setting", NAMING)
def test_files_count_by_their_content_and_never_by_their_name(tmp_path, setting):
    write, configured = NAMING[setting]
    path = write(tmp_path, "a")
    first = configured(path)
    before = first.identity(), first.digest(), contents(first)[setting]
    again = configured(write(tmp_path, "elsewhere/b"))
    assert (again.identity(), again.digest(), contents(again)[setting]) == before
    assert str(tmp_path) not in str(before)
    write(tmp_path, "a", b"other")
    assert first.digest() != before[1]
    assert contents(first)[setting] != before[2]


def test_one_file_is_told_by_its_own_checksum(tmp_path):
    found = contents(config({"decision": file(tmp_path, "a")}))
    assert found["filters.decision"] == f"sha256:{hashlib.sha256(b'one').hexdigest()}"


def test_names_in_a_folder_matter(tmp_path):
    one, two = masks(tmp_path, "a"), file(tmp_path, "b/quilt/x/stroma.png")
    both = [
        config(segmenter={"kind": "mask-files", "path": path})
        for path in (one, two[: -len("/quilt/x/stroma.png")])
    ]
    assert both[0].digest() != both[1].digest()


def test_what_ships_is_the_same_under_another_name_and_part_of_the_record(tmp_path):
    shutil.copy(decision.EMBEDDED, tmp_path / "mine.json")
    copied, plain = config({"decision": str(tmp_path / "mine.json")}), config()
    assert copied.identity() == plain.identity()
    assert contents(copied) == contents(plain)
    recorded = {"filters.decision", "filters.references", "filters.clip.model", "ner.tables"}
    assert recorded <= contents(plain).keys()
    assert {"segment.segmenters.0.networks", "segment.segmenters.0.data"} <= contents(plain).keys()


@pytest.mark.parametrize("setting", ["filters.decision", "segment.segmenters.0.model"])
def test_a_file_that_is_not_there_is_refused_before_anything_is_loaded(tmp_path, setting):
    settings = NAMING[setting][1](str(tmp_path / "gone"))
    with pytest.raises(Refused, match=rf"^{setting}: .*gone is not there$"):
        contents(settings)


def test_a_hub_id_stays_what_it_is():
    settings = config(segmenter={"kind": "clipseg", "model": "owner/name-that-is-no-folder"})
    assert settings.identity()["segment"]["segmenters"][0]["model"] == (
        "owner/name-that-is-no-folder"
    )
    assert "segment.segmenters.0.model" not in contents(settings)


def test_where_replies_are_recorded_makes_no_other_run():
    server = {"base_url": "http://localhost:1/v1", "model": "m"}
    both = [config(ner={"llm": {**server, "cache": cache}}) for cache in ("a", None)]
    assert both[0].digest() == both[1].digest()


def test_a_file_of_the_users_asks_no_hub_for_the_default(tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *a, **k: pytest.fail("asked"))
    path = file(tmp_path, "biomedparse_v1.pt")
    settings = config(segmenter={"kind": "biomedparse", "checkpoint": path})
    said = settings.identity()["segment"]["segmenters"][0]["checkpoint"]
    assert said == contents(settings)["segment.segmenters.0.checkpoint"]


def test_how_the_work_is_spread_makes_no_other_run():
    gpu = {"resources": {"segment": {"num_gpus": 1}}, "workers": 7, "in_flight": 9}
    assert config(runner=gpu).digest() == config().digest()
    assert config(runner={"unit_rows": 5}).digest() != config().digest()


def test_an_address_is_the_same_with_another_password_and_not_at_another_place():
    def at(url):
        return identity(LlmSettings(base_url=url, model="m"))

    first = at("http://user:canary@host/v1?api-key=canary&api-version=1")
    assert at("http://user:two@host/v1?api-key=b&api-version=1") == first
    assert at("http://user:one@other/v1?api-key=a&api-version=1") != first
    assert at("http://user:one@host/v1?api-key=a&api-version=2") != first
    assert "canary" not in json.dumps(first)


def test_settings_that_an_earlier_version_lacks_are_what_they_are_by_default():
    changed = config(filters={"fdr": 0.1}, dedupe={"threshold": 0.9})
    before = identity(config(filters={"fdr": 0.1}))
    del (
        before["filters"]["clip"],
        before["dedupe"],
        before["corpora"][0]["compound"],
        before["seed"],
    )
    assert completed(before, config(filters={"fdr": 0.1})) == identity(config(filters={"fdr": 0.1}))
    told = completed(before, changed)
    assert told["dedupe"] == identity(config())["dedupe"] != identity(changed)["dedupe"]
    assert "clip" not in before["filters"]  # what was read stays as it was


def test_what_has_no_default_is_not_made_up():
    before = identity(config())
    del before["corpora"][0]["kind"]
    assert "kind" not in completed(before, config())["corpora"][0]
    assert completed({"corpora": []}, config())["corpora"] == []
