"""Readers written from the consumers' rules: what each one makes of an export.

Each yields (key, phrase as the consumer sees it, mask as it decodes it), or boxes for masks.
"""

from __future__ import annotations

import ast
import base64
import io
import itertools
import json
import pickle
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco
from pycocotools.coco import COCO

Seen = tuple[str, str, np.ndarray]


def key_of(name: str) -> str:
    return Path(name).stem


def summed(rles: list[dict], height: int, width: int) -> np.ndarray:
    """GLaMM and Sa2VA add the parts of a mask."""
    mask = np.zeros((height, width), np.uint8)
    for rle in rles:
        mask += coco.decode(rle)
    return mask


def tagged(caption: str, spans: list[list[int]]) -> str:
    """GLaMM's and Sa2VA's way to set `[SEG]`: from the back, by start only."""
    for start, end in sorted(spans, key=lambda s: s[0], reverse=True):
        caption = f"{caption[:start]}<p> {caption[start:end]} </p> [SEG]{caption[end:]}"
    return caption


def grandf(path: Path) -> Iterator[Seen]:
    """GLaMM: phrases from the tagged text, masks in the order of the spans."""
    for entry in json.loads(path.read_text()):
        caption = entry["caption"].strip('"').strip()
        items = sorted(entry["groundings"].values(), key=lambda g: g["token_positives"][0])
        assert items, "an empty sample is replaced by a random one"
        text = tagged(caption, [g["token_positives"] for g in items])
        found = re.findall(r"<p> (.*?) </p> \[SEG\]", text, re.DOTALL)
        assert len(found) == len(items) == text.count("[SEG]")
        picture = next(path.parents[2].glob(f"GranDf_HA_images/*/{entry['file_name']}"))
        height, width = cv2.imread(str(picture)).shape[:2]
        for phrase, g in zip(found, items, strict=True):
            mask = summed(g["rle_masks"], height, width)
            assert mask.max() == 1
            yield key_of(entry["file_name"]), phrase, mask


def grandf_columns(path: Path) -> Iterator[Seen]:
    """Sa2VA's first release: each distinct phrase is a column, absent ones are None."""
    from datasets import Dataset

    rows = Dataset.from_list(json.loads(path.read_text()))
    for entry in rows:
        caption = entry["caption"].strip('"').strip()
        items = [g for g in entry["groundings"].values() if g is not None]
        items.sort(key=lambda g: g["token_positives"][0])
        found = re.findall(
            r"<p> (.*?) </p> \[SEG\]",
            tagged(caption, [g["token_positives"] for g in items]),
            re.DOTALL,
        )
        for phrase, g in zip(found, items, strict=True):
            mask = summed(g["rle_masks"], entry["height"], entry["width"])
            yield key_of(entry["file_name"]), phrase, mask


def xsam(path: Path) -> Iterator[Seen]:
    """X-SAM: lower-cases after the offsets are set, wants a character between spans."""
    for entry in json.loads(path.read_text()):
        assert entry["image_id"]
        caption = entry["caption"].strip('"').strip().lower()
        last = -1
        for phrase, g in sorted(
            entry["groundings"].items(), key=lambda kv: kv[1]["token_positives"][0]
        ):
            if phrase.strip('"').strip().lower() not in caption:
                continue
            start, end = g["token_positives"]
            if not start > last or not start < end:
                continue
            last = end
            mask = np.zeros((entry["height"], entry["width"]), np.int8)
            for rle in g["rle_masks"]:
                mask = np.maximum(mask, coco.decode(rle).astype(np.int8))
            yield key_of(entry["file_name"]), caption[start:end], mask


def xsam_text(entry: dict[str, Any]) -> str:
    """X-SAM's answer: a space behind every phrase, one token for all masks at the end."""
    caption = entry["caption"].strip('"').strip().lower()
    spans = [g["token_positives"] for g in entry["groundings"].values()]
    for start, end in sorted(spans, reverse=True):
        caption = f"{caption[:start]}<p>{caption[start:end]}</p> {caption[end:]}"
    return f"{caption.strip()} <SEG>."


def sa2va(path: Path) -> Iterator[Seen]:
    """Sa2VA finetuning: adds polygons, lower-cases, takes a full stop off."""
    for entry in json.loads(path.read_text()):
        picture = cv2.imread(str(path.parent / "images" / entry["image"]))
        height, width = picture.shape[:2]
        assert len(entry["mask"]) == len(entry["text"])
        for polygons, text in zip(entry["mask"], entry["text"], strict=True):
            phrase = text.lower()
            phrase = phrase[:-1] if phrase[-1] == "." else phrase
            mask = np.zeros((height, width), np.uint8)
            for polygon in polygons:
                mask += coco.decode(coco.frPyObjects([polygon], height, width))[:, :, 0]
            yield key_of(entry["image"]), phrase, mask


def refcoco(root: Path) -> Iterator[Seen]:
    """REFER: masks by annotation, every sentence of its one ref."""
    data = json.loads((root / "refcoco/instances.json").read_text())
    refs = pickle.loads((root / "refcoco/refs(unc).p").read_bytes())
    images = {i["id"]: i for i in data["images"]}
    annotations = {a["id"]: a for a in data["annotations"]}
    assert {r["image_id"] for r in refs} == images.keys()
    assert len({r["ann_id"] for r in refs}) == len(refs)
    names = {c["id"]: c["name"] for c in data["categories"]}
    sentence_ids = [s["sent_id"] for r in refs for s in r["sentences"]]
    assert len(set(sentence_ids)) == len(sentence_ids)
    for ref in refs:
        assert ref["category_id"] in names
        assert ref["split"] in ("train", "val", "test")
        assert (root / "images/train2014" / ref["file_name"]).is_file()
        annotation, image = annotations[ref["ann_id"]], images[ref["image_id"]]
        rles = coco.frPyObjects(annotation["segmentation"], image["height"], image["width"])
        mask = np.sum(coco.decode(rles), axis=2).astype(np.uint8)
        assert isinstance(annotation["segmentation"][0], list)  # REFER tells polygons by it
        assert mask.sum() == annotation["area"]
        x, y, w, h = annotation["bbox"]
        assert mask[y : y + h, x : x + w].sum() == mask.sum()
        assert ref["sent_ids"] == [s["sent_id"] for s in ref["sentences"]]
        assert len(ref["sent_ids"]) == len(ref["sentences"])
        for sentence in ref["sentences"]:
            assert sentence["tokens"] == sentence["sent"].split()
            yield key_of(image["file_name"]), sentence["sent"], mask


def muse(path: Path) -> Iterator[Seen]:
    """PixelLM: `str.format` on the answer, slots and masks in one order."""
    for entry in json.loads(path.read_text()):
        assert entry["ann_list"]
        size = entry["height"], entry["width"]
        rows = zip(entry["questions"], entry["answers"], entry["text_answers"], strict=True)
        for question, slots, text in rows:
            assert f"{question}"
            answer = text.format(seg="[SEG]")
            assert answer.count("[SEG]") == len(slots)
            before = answer.split("[SEG]")
            so_far = ""
            for slot, part in zip(slots, before, strict=False):
                so_far += part[:-1]
                assert so_far.endswith(slot["rephrased_name"])
                mask = coco.decode(coco.frPyObjects(slot["segmentation"], *size))
                mask = np.sum(mask, axis=2) if mask.ndim > 2 else mask
                yield key_of(entry["file_name"]), slot["rephrased_name"], mask.astype(np.uint8)


def kosmos2(folder: Path) -> Iterator[tuple[str, str, list[list[float]]]]:
    """Kosmos-2 by way of its TSV: (key, phrase, boxes as fractions)."""
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_text())
        assert cv2.imread(str(path.with_suffix(".jpg"))) is not None
        columns = {"phrase": data["noun_chunks"], "expression_v1": data["ref_exps"]}
        row = "\t".join(
            map(str, ["md5", data["caption"], "b64", data["width"], data["height"], columns])
        )
        assert len(row.splitlines()) == 1
        item = row.strip().split("\t")
        assert len(item) == 6
        clusters: dict[tuple[int, int], list[list[float]]] = {}
        for start, end, x1, y1, x2, y2, score in ast.literal_eval(item[5])["expression_v1"]:
            assert on_grid((x1, y1, x2, y2)) < 1 / 16
            if score >= 0.65:
                clusters.setdefault((start, end), []).append([x1, y1, x2, y2])
        spans = sorted(clusters)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        for (start, end), found in clusters.items():
            yield path.stem, item[1][start:end], found


def on_grid(box: tuple[float, float, float, float]) -> float:
    """How far transformers' Kosmos-2 moves the sides of a box: to patch tokens and back."""
    from transformers.models.kosmos2 import processing_kosmos2 as processor

    first, last = processor.coordinate_to_patch_index(box, 32)
    assert 0 <= first <= last < 32 * 32
    back = processor.patch_index_to_coordinate(first, last, 32)
    return float(np.abs(np.subtract(back, box)).max())


def llava(path: Path) -> Iterator[tuple[str, str, list[list[float]]]]:
    """LLaVA: one `<image>`, alternating turns; boxes as printed."""
    for entry in json.loads(path.read_text()):
        turns = entry["conversations"]
        assert [t["from"] for t in turns] == ["human", "gpt"] * (len(turns) // 2)
        assert sum(t["value"].count("<image>") for t in turns) == 1
        values = [t["value"].replace("<image>", "").strip() for t in turns]
        prompt = "".join(
            f"USER: {q} ASSISTANT: {a}</s>" for q, a in zip(values[0::2], values[1::2], strict=True)
        )
        rounds = prompt.split("</s>")[:-1]  # v1 gives up on the loss where a round has other parts
        assert len(rounds) == len(turns) // 2
        assert all(len(r.split(" ASSISTANT: ")) == 2 for r in rounds)
        for question, answer in zip(turns[2::2], turns[3::2], strict=True):
            phrase = question["value"].split("describes: ", 1)[1]
            found = [json.loads(box) for box in answer["value"].split("; ")]
            yield key_of(entry["image"]), phrase, found


def qwen(path: Path) -> Iterator[tuple[str, str, list[list[float]]]]:
    """Qwen-VL: as many `<image>` in the questions as pictures; boxes in fenced JSON."""
    for entry in json.loads(path.read_text()):
        turns = entry["conversations"]
        parts = [
            p for t in turns[0::2] for p in re.split(r"(<image>|<video>)", t["value"]) if p.strip()
        ]
        assert parts.count("<image>") == len([entry["image"]])
        assert "<video>" not in parts
        assert cv2.imread(str((path.parent / entry["image"]).resolve())) is not None
        for answer in turns[3::2]:
            value = json.loads(answer["value"].removeprefix("```json\n").removesuffix("\n```"))
            yield key_of(entry["image"]), value[0]["label"], [v["bbox_2d"] for v in value]


def smart_resize(
    height: int, width: int, low: int = 3136, high: int = 1_003_520
) -> tuple[int, int] | None:
    """Size at which Qwen2.5-VL sees a picture, by its processor; None where that raises."""
    from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as processor

    try:
        return processor.smart_resize(height, width, 28, low, high)
    except ValueError:
        return None


def biomedparse(root: Path, split: str) -> Iterator[Seen]:
    """BiomedParse: mask beside picture, any sentence of the annotation, class by index."""
    data = json.loads((root / f"{split}.json").read_text())
    names = {i["id"]: i["file_name"] for i in data["images"]}
    keys = {i["id"]: i["key"] for i in data["images"]}
    assert data["annotations"], "its loader asserts that there are some"
    for annotation in data["annotations"]:
        picture = cv2.imread(str(root / split / names[annotation["image_id"]]))
        mask = cv2.imread(str(root / f"{split}_mask" / annotation["mask_file"]))
        assert picture.shape == mask.shape
        stem, _ = annotation["mask_file"].removesuffix(".png").rsplit("_", 1)
        assert f"{stem}.png" == names[annotation["image_id"]]
        assert len(stem.split("_")) == 3
        assert 0 <= annotation["category_id"] < 16
        for sentence in annotation["sentences"]:
            phrase, site = sentence["raw"].rsplit(" in ", 1)
            assert site.endswith(" pathology")
            yield keys[annotation["image_id"]], phrase, (mask.sum(axis=2) > 0).astype(np.uint8)


def coco_masks(path: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """COCO API: (key, category, mask of the annotation)."""
    api = COCO(str(path))
    for annotation in api.loadAnns(api.getAnnIds()):
        mask = api.annToMask(annotation)
        x, y, w, h = annotation["bbox"]
        assert mask[y : y + h, x : x + w].sum() == mask.sum() == annotation["area"]
        image = api.loadImgs(annotation["image_id"])[0]
        name = api.loadCats(annotation["category_id"])[0]["name"]
        yield key_of(image["file_name"]), name, mask


def fiftyone(folder: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """FiftyOne's plain layout: (key, label, mask); documents name their class, paths are relative.

    A mask fills its box, whose corners are fractions of the picture, rounded down to pixels.
    """
    assert "version" not in json.loads((folder / "metadata.json").read_text())
    for row in json.loads((folder / "samples.json").read_text())["samples"]:
        picture = cv2.imread(str(folder / row["filepath"]))
        height, width = picture.shape[:2]
        assert row["metadata"] == {"_cls": "ImageMetadata", "width": width, "height": height}
        assert row["regions"]["_cls"] == "Detections"
        for one in row["regions"]["detections"]:
            assert one["_cls"] == "Detection"
            packed = base64.b64decode(one["mask"]["$binary"]["base64"], validate=True)
            inside = np.load(io.BytesIO(zlib.decompress(packed)), allow_pickle=False)
            x, y, w, h = one["bounding_box"]
            left, top = int(width * x), int(height * y)
            assert inside.shape == (int(height * (y + h)) - top, int(width * (x + w)) - left)
            mask = np.zeros((height, width), np.uint8)
            mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
            yield row["key"], one["label"], mask


def qupath(path: Path, height: int, width: int) -> Iterator[tuple[str, np.ndarray]]:
    """GeoJSON: rings are closed, holes are cut out by even-odd filling."""
    for feature in json.loads(path.read_text())["features"]:
        geometry: dict[str, Any] = feature["geometry"]
        shapes = geometry["coordinates"]
        mask = np.zeros((height, width), np.uint8)
        for shape in shapes if geometry["type"] == "MultiPolygon" else [shapes]:
            for ring in shape:
                assert ring[0] == ring[-1]
                flat = [v for point in ring[:-1] for v in point]
                mask ^= coco.decode(coco.frPyObjects([flat], height, width))[:, :, 0]
        yield feature["properties"]["classification"]["name"], mask


def sam3(folder: Path) -> Iterator[tuple[str, str, np.ndarray | None]]:
    """COCO_FROM_JSON with include_negatives=False: a crowd alone is a query without objects."""
    data = json.loads((folder / "_annotations.coco.json").read_text())
    names = {c["id"]: c["name"] for c in data["categories"]}
    by_picture: dict[int, dict[int, list]] = {i["id"]: {} for i in data["images"]}
    for annotation in data["annotations"]:
        assert min(annotation["bbox"][2:]) > 0
        asked = by_picture[annotation["image_id"]]
        asked.setdefault(annotation["category_id"], []).append(annotation)
    for picture in data["images"]:
        height, width = cv2.imread(str(folder / picture["file_name"])).shape[:2]
        assert (picture["height"], picture["width"]) == (height, width)
        for category, found in by_picture[picture["id"]].items():
            masks = [coco.decode(a["segmentation"]) for a in found if not a["iscrowd"]]
            union = np.logical_or.reduce(masks) if masks else None
            yield key_of(picture["file_name"]), names[category], union


def saco(file: Path) -> Iterator[tuple[str, str, np.ndarray | None, bool]]:
    """SA-Co as the evaluator reads it: a pair without annotations is a negative."""
    data = json.loads(file.read_text())
    answers: dict[int, list] = {}
    for annotation in data["annotations"]:
        assert 0 <= min(annotation["bbox"]) <= max(annotation["bbox"]) <= 1
        mask = coco.decode(annotation["segmentation"])
        answers.setdefault(annotation["image_id"], []).append(mask)
    for pair in data["images"]:
        int(pair["queried_category"])
        masks = answers.get(pair["id"])
        union = np.logical_or.reduce(masks).astype(bool) if masks else None
        key = key_of(pair["file_name"])
        yield key, pair["text_input"], union, bool(pair["is_pixel_exhaustive"])


def swift(path: Path) -> Iterator[tuple[str, str, list]]:
    """ms-swift: tags take refs and boxes in their order over all turns."""
    for line in path.read_text().splitlines():
        row = json.loads(line)
        text = "\n".join(m["content"] for m in row["messages"])
        assert text.count("<image>") == len(row["images"]) == 1
        objects = row.get("objects", {"ref": [], "bbox": []})
        refs, found = iter(objects["ref"]), iter(objects["bbox"])
        for run in re.findall(r"(?:<ref-object>)?(?:<bbox>)+", text):
            places = [next(found) for _ in range(run.count("<bbox>"))]
            if run.startswith("<ref-object>"):
                yield key_of(row["images"][0]), next(refs), places
        assert next(refs, None) is None
        assert next(found, None) is None


def llamafactory(folder: Path) -> Iterator[tuple[str, str, list]]:
    """LLaMA-Factory: sharegpt by dataset_info.json; fenced JSON with numbers from 0 to 1000."""
    for info in json.loads((folder / "dataset_info.json").read_text()).values():
        assert set(info["columns"]) == {"messages", "images"}
        for row in json.loads((folder / info["file_name"]).read_text()):
            turns = row[info["columns"]["messages"]]
            assert [t["from"] for t in turns] == ["human", "gpt"] * (len(turns) // 2)
            assert sum(t["value"].count("<image>") for t in turns) == len(row["images"])
            for answer in turns[3::2]:
                text = answer["value"].removeprefix("```json\n").removesuffix("\n```")
                value = json.loads(text)
                found = [v["bbox_2d"] for v in value]
                yield key_of(row["images"][0]), value[0]["label"], found


def reasonseg(folder: Path) -> Iterator[Seen]:
    """LISA's get_mask_from_json: polygons through pixel centres, with their outline."""
    for path in sorted(folder.glob("*.jpg")):
        entry = json.loads(path.with_suffix(".json").read_text())
        assert entry["is_sentence"] is False
        mask = reasonseg_mask(entry, cv2.imread(str(path)).shape[:2])
        for text in entry["text"]:
            yield path.stem.rsplit("-", 1)[0], text, mask == 1


def reasonseg_mask(entry: dict[str, Any], size: tuple[int, ...]) -> np.ndarray:
    """1 for the target, 255 where nothing is learned; larger shapes lie below smaller ones."""
    mask = np.zeros(size, np.uint8)
    drawn = [(np.array([s["points"]], np.int32), s["label"].lower()) for s in entry["shapes"]]
    alone = [np.zeros(size, np.uint8) for _ in drawn]
    for (points, _), one in zip(drawn, alone, strict=True):
        cv2.polylines(one, points, True, 1, 1)
        cv2.fillPoly(one, points, 1)
    for i in sorted(range(len(drawn)), key=lambda i: -int(alone[i].sum())):
        points, label = drawn[i]
        value = 255 if "ignore" in label else 1
        cv2.polylines(mask, points, True, value, 1)
        cv2.fillPoly(mask, points, value)
    return mask


def segzero(folder: Path) -> Iterator[tuple[str, str, list]]:
    """Seg-Zero: rows of a saved data set; boxes and points of the stretched picture."""
    from datasets import load_from_disk

    saved = (folder / "dataset_dict.json").exists()
    for row in load_from_disk(str(folder))["train"] if saved else ():
        assert row["image"].size == (840, 840)
        places = json.loads(row["solution"])
        for place in places:
            (x1, y1, x2, y2), (x, y) = place["bbox_2d"], place["point_2d"]
            assert 0 <= x1 <= x <= x2 < 840
            assert 0 <= y1 <= y <= y2 < 840
        yield row["id"].rsplit("-", 1)[0], row["problem"], [p["bbox_2d"] for p in places]


def vgd(folder: Path) -> Iterator[Seen]:
    """X-SAM VGD: one prompt an annotation, one region of the question a category."""
    file = folder / "annotations/instances_train2017.json"
    unions: dict[tuple[str, str], np.ndarray] = {}
    for key, name, mask in coco_masks(file) if file.exists() else ():
        unions[key, name] = unions.get((key, name), False) | mask
    for (key, name), mask in unions.items():
        yield key, name, mask


def sa2va_vp(path: Path) -> Iterator[Seen]:
    """Sa2VA VP: description i to mask i; a mask under four of 16 x 16 cells drops the sample."""
    for entry in json.loads(path.read_text()):
        assert len(entry["annotation"]) == len(entry["description"]) > 0
        for annotation, text in zip(entry["annotation"], entry["description"], strict=True):
            mask = coco.decode(annotation["segmentation"]) > 0
            assert mask.shape == (entry["height"], entry["width"])
            small = cv2.resize(mask.astype(np.uint8), (16, 16), interpolation=cv2.INTER_NEAREST)
            assert small.sum() >= 4
            yield key_of(entry["file_name"]), text, mask


def glamm_regions(path: Path) -> Iterator[tuple[str, str, list]]:
    """GLaMM's Visual Genome reader: a caption and a box xywh an annotation."""
    data = json.loads(path.read_text())
    pictures = {i["id"]: i for i in data["images"]}
    for annotation in data["annotations"]:
        x, y, w, h = annotation["bbox"]
        assert min(w, h, annotation["area"]) >= 1
        name = pictures[annotation["image_id"]]["file_name"]
        yield key_of(name), annotation["caption"], [x, y, x + w, y + h]


def medplib(folder: Path) -> Iterator[Seen]:
    """MedPLIB: one mask file a turn, in the answer for segmentation."""
    for entry in json.loads((folder / "train.json").read_text()):
        turns = [t["value"] for t in entry["conversations"]]
        assert sum(t.count("<image>") for t in turns) == 1
        assert all(len(re.findall(r"<(?:mask|region)>", t)) <= 1 for t in turns)
        for question, answer in zip(turns[::2], turns[1::2], strict=True):
            file = re.search(r"<SEG> \. <mask>(.*)</mask>$", answer)
            if file:
                mask = cv2.imread(str(folder / file.group(1)), cv2.IMREAD_GRAYSCALE)
                asked = question.removeprefix("<image>\n")
                text = asked.removeprefix("Segment the ").removesuffix(".")
                yield key_of(entry["image"]), text, mask >= 1


def paligemma(path: Path) -> Iterator[tuple[str, str, list]]:
    """PaliGemma: four location tokens y1 x1 y2 x2 of 1024 in front of a name."""
    for line in path.read_text().splitlines():
        row = json.loads(line)
        boxes, names = [], set()
        for part in row["suffix"].split(" ; "):
            y1, x1, y2, x2, name = re.fullmatch(r"<loc(\d{4})>" * 4 + " (.*)", part).groups()
            boxes.append([int(v) / 1023 for v in (x1, y1, x2, y2)])
            names.add(name)
        assert {row["prefix"]} == {f"detect {n}" for n in names}
        yield key_of(row["image"]), names.pop(), boxes


def energon(folder: Path) -> Iterator[Seen]:
    """Energon: a sample is what lies between two offsets of the index, members by their ending."""
    names = json.loads((folder / ".nv-meta/split.yaml").read_text())["split_parts"]
    counts = json.loads((folder / ".nv-meta/.info.json").read_text())["shard_counts"]
    for name in names.get("train", ()):
        tar = (folder / name).read_bytes()
        offsets = np.frombuffer((folder / f"{name}.idx").read_bytes(), "<u8").tolist()
        assert len(offsets) == counts[name] + 1
        assert set(tar[offsets[-1] :]) <= {0}  # the end of a tar
        for start, end in itertools.pairwise(offsets):
            with tarfile.open(fileobj=io.BytesIO(tar[start:end]), mode="r:") as part:
                members = {m.name.partition(".")[2]: part.extractfile(m).read() for m in part}
            sample = json.loads(members["json"])
            for mention in sample["mentions"]:
                for i in mention["regions"]:
                    yield (
                        sample["key"],
                        mention["text"],
                        coco.decode(dict(sample["regions"][i]["rle"])).astype(bool),
                    )


def molmo(folder: Path) -> Iterator[tuple[str, str, list]]:
    """Molmo: labels of a picture with their points in percent; none is "there are none"."""
    from datasets import load_from_disk

    for row in load_from_disk(str(folder / "points-pointing"))["train"]:
        assert row["count"] == [len(points) for points in row["points"]]
        for label, points in zip(row["label"], row["points"], strict=True):
            if points:
                yield row["image_url"], label, [(p["x"], p["y"]) for p in points]
