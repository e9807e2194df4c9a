"""Exports through the consumers' own code, where their packages are installed.

None of them is a dependency: `pip install --no-deps --target DIR` with megatron-energon, lvis,
ms-swift, fiftyone, what these need beside it, and DIR on PYTHONPATH.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from miner.core.store import Store
from shards.export.boxed import boxes
from shards.export.options import Options
from shards.export.phrases import phrases
from shards.export.run import export, samples
from tests.shards.build import build


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build(tmp_path_factory.mktemp("mined") / "out", n=12, val=3)


def test_energon_reads_the_tars(out: Store, tmp_path: Path) -> None:
    energon = pytest.importorskip("megatron.energon")
    export(samples(out), "energon", tmp_path / "x", Options())

    @energon.stateless
    def cook(raw: dict[str, Any]) -> Any:
        picture = raw["jpg"] if "jpg" in raw else raw["png"]
        return energon.CaptioningSample(
            **energon.basic_sample_keys(raw), image=picture, caption=json.dumps(raw["json"])
        )

    class Encoder(energon.DefaultTaskEncoder):
        cookers = (energon.Cooker(cook),)

        @energon.stateless
        def encode_sample(self, sample: Any) -> Any:
            return sample

        @energon.stateless
        def batch(self, samples: list[Any]) -> Any:
            return samples[0]

    data = energon.get_train_dataset(
        str(tmp_path / "x"),
        worker_config=energon.WorkerConfig(rank=0, world_size=1, num_workers=0),
        batch_size=1,
        task_encoder=Encoder(),
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
    )
    wanted = {s.key: s.value for s in samples(out, ["train"])}
    found = {}
    for one in itertools.islice(energon.get_loader(data), len(wanted)):
        value = json.loads(one.caption)
        found[value["key"]] = value
        assert tuple(one.image.shape) == (3, value["height"], value["width"])
    assert found == wanted


def test_lvis_judges_what_was_checked(
    out: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lvis = pytest.importorskip("lvis")
    monkeypatch.setattr(np, "float", float, raising=False)  # which its evaluation asks for
    export(samples(out), "lvis", tmp_path / "x", Options())
    file = tmp_path / "x/annotations/lvis_train.json"
    truth = lvis.LVIS(str(file))
    answers = [
        {
            "image_id": a["image_id"], "category_id": a["category_id"], "score": 1.0,
            "segmentation": truth.ann_to_rle(a), "bbox": a["bbox"],
        }
        for a in truth.dataset["annotations"]
    ]  # fmt: skip
    names = {c["name"]: c["id"] for c in truth.dataset["categories"]}
    size = truth.dataset["images"][0]
    nowhere = coco.encode(np.ones((size["height"], size["width"]), np.uint8, order="F"))
    wrong = {
        "image_id": size["id"], "category_id": names["necrosis"], "score": 0.9,
        "segmentation": {**nowhere, "counts": nowhere["counts"].decode()},
        "bbox": [0, 0, size["width"], size["height"]],
    }  # fmt: skip
    judged = lvis.LVISEval(truth, lvis.LVISResults(truth, [*answers, wrong]), "segm")
    judged.run()
    assert judged.results["AP"] == pytest.approx(1.0)
    taken = judged.eval_imgs
    necrosis = [e for e in taken if e and e["category_id"] == names["necrosis"]]
    assert any(e["dt_matches"].size and not e["dt_ignore"].any() for e in necrosis)
    by_key = {s.key: s.value for s in samples(out, ["train"])}
    for image in truth.dataset["images"]:
        regions = by_key[Path(image["coco_url"]).stem]["regions"]
        masks = [r for region in regions for r in region["instances"] or [region["rle"]]]
        found = [truth.ann_to_mask(a) for a in truth.img_ann_map[image["id"]]]
        assert len(found) == len(masks)
        assert all(
            np.array_equal(m, coco.decode(dict(r))) for m, r in zip(found, masks, strict=True)
        )


def test_swift_scales_the_boxes_itself(out: Store, tmp_path: Path) -> None:
    core = pytest.importorskip("swift.dataset.preprocessor.core")
    export(samples(out), "ms-swift", tmp_path / "x", Options())
    rows = [json.loads(line) for line in (tmp_path / "x/train.jsonl").read_text().splitlines()]
    by_key = {s.key: s.value for s in samples(out, ["train"])}
    for row in rows:
        checked = core.RowPreprocessor()
        objects = json.loads(json.dumps(row["objects"]))
        checked._check_objects({**row, "objects": objects})
        value = by_key[Path(row["images"][0]).stem]
        wanted = [b for p in phrases(value) for b in boxes(p.region, Options().max_boxes)]
        assert objects["bbox"] == [list(map(float, b)) for b in wanted]
        text = " ".join(m["content"] for m in row["messages"])
        assert text.count("<bbox>") == len(wanted)
        assert text.count("<ref-object>") == len(objects["ref"])


def test_fiftyone_imports_every_region_where_it_lies(out: Store, tmp_path: Path) -> None:
    """Its importer and its documents; its database is not needed for that."""
    importers = pytest.importorskip("fiftyone.utils.data.importers")
    export(samples(out), "fiftyone", tmp_path / "x", Options())
    asked = importers.FiftyOneDatasetImporter(str(tmp_path / "x"))
    assert asked._is_legacy_format_data()  # what `Dataset.from_dir` asks first
    with asked._to_legacy_importer() as importer:
        found = {sample.key: sample for sample in importer}
    for one in samples(out):
        sample = found.pop(one.key)
        assert Path(sample.filepath).read_bytes() == one.image
        assert (sample.tags, sample.caption) == ([one.split], one.value["caption"])
        rles = [(r, rle) for r in one.value["regions"] for rle in r["instances"] or [r["rle"]]]
        for (region, rle), drawn in zip(rles, sample.regions.detections, strict=True):
            assert (drawn.label, drawn.confidence) == (region["concept"], region["score"])
            size = sample.metadata.width, sample.metadata.height
            mask = drawn.to_segmentation(frame_size=size).mask
            np.testing.assert_array_equal(mask > 0, coco.decode(dict(rle)) > 0)
    assert not found
