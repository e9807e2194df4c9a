"""The split of the training tiles, and one row per picture."""

import json
import pathlib

import pytest

from segmenters.training import data
from segmenters.training.regions import rows


def entity(name: str) -> dict:
    return {name: {"mask": f"{name}.png", "exhaustive": True, "outline": "expert"}}


def row(name: str, **fields: object) -> dict:
    standard = {"mpp": 0.5, "stain": "H&E", "organ": None, "label_code": None, "entities": {}}
    return {"id": name, "set": name.split("/")[0], "file": "x.jpg"} | standard | fields


def index(folder: pathlib.Path, *found: dict) -> pathlib.Path:
    folder.mkdir()
    text = "".join(json.dumps(each) + "\n" for each in found)
    (folder / "index.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("patient", range(20))
def test_a_picture_of_two_folders_lies_on_one_side(patient):
    old = {"set": "tnbc", "id": f"tnbc/{patient:02}_1"}
    again = row(f"other/{patient}", group=f"g{patient}", same_picture_as=old["id"])
    assert data.kept_apart(again) == data.kept_apart(old)


def test_a_group_is_on_one_side_and_both_sides_have_some():
    sides = [
        {data.kept_apart(row(f"midog_mf/{g}_{i}", group=f"slide/{g}")) for i in range(5)}
        for g in range(40)
    ]
    assert all(len(side) == 1 for side in sides)
    assert 2 <= sum(True in side for side in sides) <= 20


def test_a_picture_of_two_folders_is_one_row_with_the_masks_of_both(tmp_path):
    one = index(tmp_path / "one", row("tnbc/01_1", entities=entity("nuclei")))
    again = row(
        "more/a", group="g", same_picture_as="tnbc/01_1", ignore="i.png", entities=entity("stroma")
    )
    two = index(tmp_path / "two", again, row("more/b", group="g", entities=entity("fat")))
    found = rows.read([one, two])
    assert [r.id for r in found] == ["tnbc/01_1", "more/b"]
    assert set(found[0].entities) == {"nuclei", "stroma"}
    assert found[0].entities["nuclei"].mask == one / "nuclei.png"
    assert found[0].entities["stroma"].mask == two / "stroma.png"
    assert (found[0].ignore, found[0].ignored) == (two / "i.png", ("stroma",))


def test_what_is_left_out_or_brown_brings_no_row(tmp_path):
    kept = row("a/1", optional=True)
    folder = index(tmp_path / "one", kept, row("b/1"), row(rows.DROPPED[0]))
    assert [r.id for r in rows.read([folder], leave_out=["b"])] == ["a/1"]
    assert [r.id for r in rows.read([folder], optional=False)] == ["b/1"]


def test_a_second_mask_of_a_picture_left_out_brings_no_row(tmp_path):
    again = row("more/a", same_picture_as="tnbc/01_1", entities=entity("stroma"))
    folders = [index(tmp_path / "one", row("tnbc/01_1")), index(tmp_path / "two", again)]
    assert rows.read(folders, leave_out=["tnbc"]) == []
