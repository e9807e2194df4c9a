"""The dataset card by the rules of the hub that shows it, and the croissant metadata."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml

from shards.card import HUB_LICENSES
from tests.shards.build import build, sample
from tests.shards.mined import Mined

# From the hub's specification of dataset cards.
HUB_TASKS = {"image-segmentation", "image-to-text", "visual-question-answering", "mask-generation"}
HUB_SIZES = "n<1K 1K<n<10K 10K<n<100K 100K<n<1M 1M<n<10M 10M<n<100M 100M<n<1B".split()


def front_matter(folder: Path) -> tuple[dict, str]:
    text = (folder / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


@pytest.fixture(params=["synthetic", pytest.param("mined", marks=pytest.mark.whole)])
def shards(request: pytest.FixtureRequest) -> Path:
    if request.param == "synthetic":
        return request.getfixturevalue("out") / "shards"
    return request.getfixturevalue("mined").out / "shards"


def test_front_matter_is_the_hubs(shards: Path) -> None:
    head, _ = front_matter(shards)
    licenses = head["license"] if isinstance(head["license"], list) else [head["license"]]
    assert set(licenses) <= {*HUB_LICENSES, "other"}
    assert ("other" in licenses) == ("license_name" in head)
    assert set(head["task_categories"]) <= HUB_TASKS
    assert head["size_categories"] == ["n<1K"]
    assert head["language"] == ["en"]
    assert all(isinstance(tag, str) for tag in head["tags"])
    (config,) = head["configs"]
    assert config["config_name"] == "default"
    for files in config["data_files"]:
        assert re.fullmatch(r"\w+", files["split"])
        found = {path.name for path in shards.glob(files["path"])}
        assert found
        assert all(re.fullmatch(rf"{files['split']}-\d{{6}}\.tar", name) for name in found)


def test_licences_with_an_identifier_are_named(tmp_path: Path) -> None:
    build(tmp_path / "a", n=3, val=1)
    head, _ = front_matter(tmp_path / "a/shards")
    assert head["license"] == "cc-by-4.0"
    rows = [sample(i, license="CC0 1.0" if i % 2 else "CC BY-NC 4.0") for i in range(4)]
    build(tmp_path / "b", val=0, samples=rows)
    assert front_matter(tmp_path / "b/shards")[0]["license"] == ["cc-by-nc-4.0", "cc0-1.0"]
    build(tmp_path / "c", val=0, samples=[sample(0, license="ask us"), *rows[1:]])
    head, body = front_matter(tmp_path / "c/shards")
    assert (head["license"], head["license_name"]) == ("other", "see-sources")
    assert "- quilt: ask us (1 sample, 25.0%)" in body


def test_the_body_says_what_the_card_must(mined: Mined) -> None:
    _, body = front_matter(mined.out / "shards")
    for words in (
        "Every row of the corpora ends in exactly one state.",
        "| corpus | rows |",
        "Precision",
        "Ikezogwo et al., Quilt-1M",
        "| histomine |",
        "Not for diagnosis.",
    ):
        assert words in body
    assert body.count("```") % 2 == 0
    assert body.count("<details>") == body.count("</details>") == 1
    for table in re.findall(r"(?:^\|.*\|\n)+", body, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert str(mined.corpora) not in body


def test_croissant_lists_the_files_as_they_are(shards: Path) -> None:
    data = json.loads((shards / "croissant.json").read_text())
    assert data["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert data["@context"]["citeAs"] == "cr:citeAs"
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]+", data["version"])
    *files, members = data["distribution"]
    assert {f["contentUrl"] for f in files} == {path.name for path in shards.glob("*.tar")}
    for file in files:
        content = (shards / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["contentSize"] == f"{len(content)} B"
    assert [m["@id"] for m in members["containedIn"]] == [f["@id"] for f in files]
    schema = json.loads((shards / "sample.schema.json").read_text())
    for field in data["recordSet"][0]["field"]:
        assert field["name"] in schema["properties"]
        assert field["source"]["fileSet"]["@id"] == members["@id"]
    terms = set(re.findall(r'"([a-z][A-Za-z]+)":', json.dumps(data["distribution"])))
    plain = {"name", "contentUrl", "contentSize", "encodingFormat", "sha256", "containedIn"}
    assert terms <= plain | data["@context"].keys()
