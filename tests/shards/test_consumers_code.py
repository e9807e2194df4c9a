"""Exports through the consumers' own code, where their packages are installed.

Transformers comes with the extra `mine`; of the others none is a dependency: `pip install --no-deps
--target DIR` with megatron-energon, lvis, ms-swift (modelscope, modelscope_hub, peft, accelerate,
json_repair beside it), fiftyone, what these need, and DIR on PYTHONPATH.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from miner.core.store import Store
from shards.export.boxed import boxes
from shards.export.folder import Sample
from shards.export.options import Options
from shards.export.phrases import phrases
from shards.export.run import export, samples
from tests.shards import consumers
from tests.shards.build import build, sample


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


@pytest.mark.parametrize(
    ("module", "name", "side"),
    [
        ("qwen", "Qwen2VLTemplate", 1000),
        ("qwen", "Qwen2_5VLTemplate", None),  # pixels of the picture that the model is shown
        ("internvl", "InternvlTemplate", 1000),
    ],
)
def test_swift_writes_the_boxes_where_each_model_expects_them(
    out: Store, tmp_path: Path, module: str, name: str, side: int | None
) -> None:
    """Its templates' own scaling and wording; they need no model for that."""
    templates = pytest.importorskip(f"swift.template.templates.{module}")
    inputs = pytest.importorskip("swift.template.template_inputs")
    export(samples(out), "ms-swift", tmp_path / "x", Options())
    template = object.__new__(getattr(templates, name))
    template.template_backend, template.bbox_format = "swift", "legacy"
    template.replace_tag = lambda *_: ["<picture>"]
    by_key, told = {s.key: s.value for s in samples(out, ["train"])}, 0
    for line in (tmp_path / "x/train.jsonl").read_text().splitlines():
        one = inputs.StdTemplateInputs.from_dict(json.loads(line))
        key = Path(one.images[0]).stem
        picture = Image.open(tmp_path / "x" / one.images[0])
        one.images = [picture]
        template._get_height_width(one)
        one.images = [picture.resize((picture.width // 2, picture.height // 2))]
        texts = [m["content"] for m in one.messages]
        parts, scales = template._split_special_tokens(texts, [1.0] * len(texts))
        written = "".join(template._pre_tokenize(parts, scales, one)[0])
        assert "<bbox>" not in written
        assert "<ref-object>" not in written
        width, height = (side, side) if side else one.images[0].size
        value = by_key[key]
        wanted = [
            [
                x * to / of
                for x, to, of in zip(box, (width, height) * 2, picture.size * 2, strict=True)
            ]
            for p in phrases(value)
            for box in boxes(p.region, Options().max_boxes)
        ]
        found = re.findall(r"\D(\d+), ?(\d+)\D{1,4}(\d+), ?(\d+)\D", written)
        assert len(found) == len(wanted)
        np.testing.assert_allclose(np.array(found, float), np.array(wanted), atol=0.51)
        told += len(wanted)
    assert told > 20


def test_kosmos2_finds_phrases_and_boxes_again(out: Store, tmp_path: Path) -> None:
    """transformers' processor writes patch tokens into the text, and reads them back."""
    code = pytest.importorskip("transformers.models.kosmos2.processing_kosmos2")
    export(samples(out), "kosmos2", tmp_path / "x", Options())
    processor = object.__new__(code.Kosmos2Processor)
    processor.num_patch_index_tokens = 32 * 32
    told = 0
    for path in sorted((tmp_path / "x/train").glob("*.json")):
        data = json.loads(path.read_text())
        grouped: dict[tuple[int, int], list[tuple[float, ...]]] = {}
        for start, end, *box, _ in data["ref_exps"]:
            grouped.setdefault((start, end), []).append(tuple(box))
        spans, text, at = sorted(grouped), "", 0
        for start, end in spans:
            phrase = f"<phrase>{data['caption'][start:end]}</phrase>"
            text, at = text + data["caption"][at:start] + phrase, end
        text += data["caption"][at:]
        found = [grouped[span] for span in spans]
        processor._check_bboxes_for_single_text(found)
        written = processor._preprocess_single_example(text, None, found, "")
        # A tokenizer drops the blanks round its own tokens.
        tokens = re.sub(r" ?(<(?:patch_index_\d+|/delimiter\w+/)>) ?", r"\1", written)
        again, entities = code.clean_text_and_extract_entities_with_bboxes(tokens)
        assert again == data["caption"].strip()
        assert [(e[0], e[1]) for e in entities] == [
            (data["caption"][a:b], (a, b)) for a, b in spans
        ]
        for (_, _, read), ours in zip(entities, found, strict=True):
            np.testing.assert_allclose(np.array(read), np.array(ours), atol=1 / 16)
            told += len(ours)
    assert told > 20


def test_llava_pads_pictures_as_the_boxes_are_given(out: Store, tmp_path: Path) -> None:
    """transformers' own padding moves an object to where the export says it is."""
    code = pytest.importorskip("transformers.models.llava.image_processing_pil_llava")
    export(samples(out), "llava", tmp_path / "x", Options())
    read: dict[tuple[str, str], list[list[float]]] = {}
    for key, phrase, found in consumers.llava(tmp_path / "x/train.json"):
        read[key, phrase] = found
    told = 0
    for one in samples(out, ["train"]):
        height, width = one.value["height"], one.value["width"]
        for phrase in phrases(one.value):
            wanted = boxes(phrase.region, Options().max_boxes)
            for (x1, y1, x2, y2), given in zip(wanted, read[one.key, phrase.text], strict=True):
                picture = np.zeros((1, height, width), np.uint8)
                picture[:, int(y1) : int(y2), int(x1) : int(x2)] = 1
                square = code.LlavaImageProcessorPil.pad_to_square(None, picture)[0]
                ys, xs = np.nonzero(square)
                box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) / len(square)
                np.testing.assert_allclose(given, box, atol=0.006)  # two digits are printed
                told += 1
    assert told > 20


READ_SPATIALDATA = """
import json, sys, spatialdata
shapes = spatialdata.read_zarr(sys.argv[1]).shapes
assert all(found.is_valid.all() for found in shapes.values())
rows = {n: [[c, float(g.area)] for c, g in zip(s.concept, s.geometry)] for n, s in shapes.items()}
print(json.dumps(rows))
"""


def test_spatialdata_has_every_object_of_a_slide(tmp_path: Path) -> None:
    python = os.environ.get("HISTOMINE_SPATIALDATA")
    if not python:
        pytest.skip("needs spatialdata: set HISTOMINE_SPATIALDATA to the python that has it")
    some = []
    for i in range(4):
        value, picture, extension = sample(i)
        slide = {"id": f"slide-{i % 2}", "x": 1000 * i, "y": 50, "level": 0, "mpp": 0.5}
        some.append(Sample({**value, "slide": slide}, picture, extension, "train"))
    export(some, "qupath", tmp_path / "x", Options())
    script = Path(__file__).parents[2] / "docs/examples/to_spatialdata.py"
    subprocess.run([python, script, tmp_path / "x", tmp_path / "out.zarr"], check=True)
    read = [python, "-c", READ_SPATIALDATA, tmp_path / "out.zarr"]
    found = json.loads(subprocess.run(read, check=True, capture_output=True).stdout)
    wanted: dict[str, list[tuple[str, float]]] = {"slide-0": [], "slide-1": []}
    for one in some:
        for region in one.value["regions"]:
            for rle in region["instances"] or [region["rle"]]:
                area = float(coco.area(dict(rle)))
                wanted[one.value["slide"]["id"]].append((region["concept"], area))
    assert {n: [tuple(row) for row in rows] for n, rows in found.items()} == wanted


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
