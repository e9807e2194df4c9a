"""What docs/shards.md says each consumer sees of a sample is what its reader gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pycocotools import mask as coco

from miner.core.built_in import BUILT_IN
from shards.export.folder import Sample
from shards.export.options import Options
from shards.export.run import export
from tests.shards import consumers
from tests.shards.build import sample

PAGE = Path(__file__).resolve().parents[2] / "docs/shards.md"


def rows() -> dict[str, str]:
    """What the table shows, by dialect."""
    lines = [line.split(" | ") for line in PAGE.read_text().splitlines()]
    return {
        cells[0].strip("| `"): " | ".join(cells[2:]) for cells in lines if cells[0][:3] == "| `"
    }


@pytest.fixture(scope="module")
def one() -> Sample:
    """The sample of the table: kidney, glands as three objects, stroma."""
    return Sample(*sample(0), "train")


@pytest.fixture(scope="module")
def out(one: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documented")
    for dialect in BUILT_IN["exporters"]:
        export([one], dialect, folder / dialect, Options())
    return folder


def entries(path: Path) -> list[dict]:
    return json.loads(path.read_text())


def behind(text: str) -> str:
    """From "with" on: what the table shows."""
    return "… " + text[text.index("with ") :]


def test_every_dialect_has_a_row() -> None:
    assert set(BUILT_IN["exporters"]) <= rows().keys()


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        ("granDf", "GranDf/annotations/train/GranDf_HA_GCG_train.json"),
        ("sa2va-gcg", "annotations/GranDf_HA_GCG_train-00000.json"),
    ],
)
def test_tagged_captions(out: Path, dialect: str, name: str) -> None:
    (entry,) = entries(out / dialect / name)
    spans = [g["token_positives"] for g in entry["groundings"].values()]
    assert f"`{behind(consumers.tagged(entry['caption'], spans))}`" in rows()["granDf"]
    assert len(entry["groundings"]) == 2


def test_xsam(out: Path) -> None:
    (entry,) = entries(out / "xsam/annotations/GranDf_HA_GCG_train.json")
    assert f"`{behind(consumers.xsam_text(entry))}`" in rows()["xsam"]


def test_referring(out: Path) -> None:
    seen = [text for _, text, _ in consumers.sa2va(out / "sa2va/train/annotations.json")]
    assert [f'"{text}": summed polygons' in rows()["sa2va"] for text in seen] == [True, True]
    seen = [text for _, text, _ in consumers.refcoco(out / "refcoco")]
    for number, text in enumerate(seen, start=1):
        assert f'ref {number} "{text}"' in rows()["refcoco"]
    (entry,) = entries(out / "muse/muse_train.json")
    assert f"`{behind(entry['text_answers'][0].format(seg='[SEG]'))}`" in rows()["muse"]


def test_boxes(out: Path) -> None:
    (entry,) = entries(out / "llava/train.json")
    question, answer = entry["conversations"][2:4]
    first = answer["value"].split("; ")[0]
    assert f"`… {question['value'].rsplit('region ', 1)[1]}` → `{first}; …`" in rows()["llava"]
    (entry,) = entries(out / "qwen/train.json")
    value = json.loads(entry["conversations"][3]["value"][len("```json\n") : -len("\n```")])
    assert json.dumps(value[0]) in rows()["qwen"]
    assert entry["box_format"].split()[-1] in rows()["qwen"]
    seen = list(consumers.kosmos2(out / "kosmos2/train"))
    assert f"<phrase>{seen[0][1]}</phrase><object>" in rows()["kosmos2"]


def test_masks_for_people(one: Sample, out: Path) -> None:
    root = out / "biomedparse/BiomedSeg/Histomine"
    data = entries(root / "train.json")
    assert f'"{data["annotations"][0]["sentences"][0]["raw"]}"' in rows()["biomedparse"]
    found = list(consumers.coco_masks(out / "coco/annotations/instances_train.json"))
    assert [name for _, name, _ in found] == ["gland", "gland", "gland", "stroma"]
    assert list(consumers.fiftyone(out / "fiftyone")) != []
    (row,) = entries(out / "fiftyone/samples.json")["samples"]
    assert "`absent`" in rows()["fiftyone"]
    assert "necrosis" in [c["label"] for c in row["absent"]["classifications"]]
    path = out / f"qupath/train/{one.key}.geojson"
    size = one.value["height"], one.value["width"]
    drawn = list(consumers.qupath(path, *size))
    assert [int(mask.sum()) for _, mask in drawn] == [
        int(coco.area(rle))
        for region in one.value["regions"]
        for rle in region["instances"] or [region["rle"]]
    ]
