"""Exports appear whole, say what they lose, and refuse in one line."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import re
import resource
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from miner.cli import app
from miner.core.built_in import BUILT_IN
from miner.core.errors import Refused
from miner.core.masks import bbox, encode
from miner.core.store import Store
from shards.export.folder import Folder, Sample
from shards.export.options import MASKS, Options, read_options
from shards.export.people import square
from shards.export.phrases import token_cut
from shards.export.run import dialect, export, samples
from shards.instruct.mix import Mix
from shards.instruct.run import instructed
from tests.shards.build import mention, sample
from tests.shards.consumers import grandf, kosmos2, muse, qwen, refcoco

ALL = (
    "granDf sa2va sa2va-gcg xsam kosmos2 muse llava refcoco qwen biomedparse coco qupath sam3 lvis"
    " ms-swift llamafactory reasonseg segzero vgd sa2va-vp glamm-regions medplib paligemma"
    " molmo energon fiftyone"
).split()


def made(i: int = 0, **row: Any) -> Sample:
    value, image, extension = sample(i, **row)
    return Sample(value, image, extension, "train")


def losses(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "LOSSES.jsonl").read_text().splitlines()]


def tree(out: Path) -> dict[str, str]:
    files = sorted(p for p in out.rglob("*") if p.is_file())
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_contracts_dialects_are_there() -> None:
    assert list(BUILT_IN["exporters"]) == ALL


@pytest.mark.parametrize("name", ALL)
def test_same_bytes_twice_and_pictures_by_key(out: Path, tmp_path: Path, name: str) -> None:
    options = Options(side_px=64)
    for place in ("a", "b"):
        done = export(samples(Store(str(out)), ["val"]), name, tmp_path / place, options)
        small = name == "glamm-regions"  # three pictures are below the 32 px of its loader
        assert (done.samples, done.written) == (6, 3 if small else 6)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    named = [json.loads(x) for x in (tmp_path / "a/PICTURES.jsonl").read_text().splitlines()]
    assert named == [
        {name: s.value[name] for name in ("key", "corpus", "image")}
        for s in samples(Store(str(out)), ["val"])
    ]
    pictures = {p.stem for p in (tmp_path / "a").rglob("*.[jp][pn]g")}
    keys = {s.key for s in samples(Store(str(out)), ["val"])}
    # In a table or in tars; small ones are left out.
    if name not in ("segzero", "glamm-regions", "molmo", "energon"):
        assert all(any(p.startswith(key) for p in pictures) for key in keys)


@pytest.mark.parametrize(
    ("name", "nearest"), [("grandf", "granDf"), ("GLaMM", "granDf"), ("kosmos", "kosmos2")]
)
def test_unknown_dialect_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(Refused, match=f"did you mean {nearest}"):
        dialect(name)


def test_options_are_checked() -> None:
    assert (
        read_options(dialect("qwen"), ["max_pixels=50176", "qwen_model=qwen3"]).max_pixels == 50176
    )
    with pytest.raises(Refused, match="did you mean max_pixels"):
        read_options(dialect("qwen"), ["max_pixel=1"])
    with pytest.raises(Refused, match="--set max_boxes: "):
        read_options(dialect("qwen"), ["max_boxes=0"])
    with pytest.raises(Refused, match="SETTING=VALUE"):
        read_options(dialect("qwen"), ["max_boxes"])
    with pytest.raises(Refused, match="not YAML"):
        read_options(dialect("qwen"), ["seg_token=[SEG"])


def test_an_option_that_a_dialect_ignores_is_refused(out: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"^--set qwen_model: has no meaning for coco, which takes c"):
        read_options(dialect("coco"), ["qwen_model=qwen3"])
    with pytest.raises(Refused, match="for segzero, which takes no options"):
        read_options(dialect("segzero"), ["max_boxes=3"])
    assert read_options(dialect("coco"), ["certain=0.5"]).certain == 0.5


class Noting(Options):
    """Options that remember which of them were read."""

    _read: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        if name in Options.model_fields:
            Noting._read.add(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("name", ALL)
def test_dialects_read_the_options_that_they_take(name: str, tmp_path: Path) -> None:
    source = [made(i) for i in range(12)]
    for region in source[0].value["regions"]:
        region["count"] = None  # molmo asks whether these are all
    part = dialect(name)
    Noting._read.clear()
    for number, grounding in enumerate(("box", "seg")):
        options = Noting(grounding=grounding, side_px=64)
        export(source, name, tmp_path / f"captions-{number}", options)
        if part.dialogues:
            talks = instructed(source, Mix())
            export(talks, name, tmp_path / f"dialogues-{number}", options)
    # What keeps an exchange without boxes looks at `grounding`, which these know one of only.
    of_chats = set(MASKS) if name in ("ms-swift", "llamafactory") else set()
    assert Noting._read - of_chats == set(part.options)


@pytest.mark.parametrize("name", ALL)
def test_dialogues_go_where_their_questions_have_a_place(name: str, tmp_path: Path) -> None:
    """Answers without them are wrong captions: "I see at least 20 nuclei." describes nothing."""
    talks = list(instructed([made(i) for i in range(4)], Mix(refusals=0)))
    export(talks, name, tmp_path / "x", Options(think_open="<t>", think_close="</t>"))
    texts = [path.read_text() for path in (tmp_path / "x").rglob("*.json*")]
    asked = [turn["text"] for talk in talks for turn in talk.value["turns"][::2]]
    kept = [question for question in asked if any(question in text for text in texts)]
    assert bool(kept) == dialect(name).dialogues


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    def full():
        yield made(0)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        export(full(), "granDf", tmp_path / "out", Options())
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_the_annotations(out: Path, tmp_path: Path) -> None:
    """The command line: one line, exit code 2's error, nothing half-written beside the folder."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = max(p.stat().st_size for p in (out / "shards").glob("*.md"))
    for name in ("granDf", "refcoco", "coco"):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
            done = CliRunner().invoke(
                app, ["export", str(out), "--to", name, "--out", str(tmp_path / "x")]
            )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert isinstance(done.exception, Refused), done.output
        assert "File too large" in str(done.exception)
        assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(Refused, match="not empty"):
        Folder(tmp_path)


def test_command_line(out: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    place = str(tmp_path / "g")
    done = run(app, ["export", str(out), "--to", "kosmos2", "--out", place, "--split", "val"])
    assert done.exit_code == 0, done.output
    assert "raised to it" in done.output
    assert "kosmos2, 6 of 6 samples written; 13 losses listed" in done.output
    assert len(list((tmp_path / "g/val").glob("*.json"))) == 6
    whole = run(app, ["export", str(out), "--to", "coco", "--out", str(tmp_path / "c")])
    assert whole.output.endswith("coco, 36 of 36 samples written; nothing lost\n")
    assert "is unknown, not absent" in whole.output
    again = run(app, ["export", str(out), "--to", "kosmos2", "--out", place])
    assert isinstance(again.exception, Refused)
    assert run(app, ["validate", str(out)]).exit_code == 0


def test_export_of_a_damaged_run_leaves_nothing(copy: Path, tmp_path: Path) -> None:
    (copy / "shards/train-000002.tar").unlink()
    with pytest.raises(Refused, match=r"train-000002.tar: missing"):
        export(samples(Store(str(copy))), "coco", tmp_path / "x", Options())
    assert not (tmp_path / "x").exists()


def test_long_captions_are_cut_and_said_so(tmp_path: Path) -> None:
    caption = "The glands are here. " + "very long words " * 200 + "stroma"
    mentions = [
        mention(caption, "glands", "gland", "object"),
        mention(caption, "stroma", "stroma", "stuff"),
    ]
    export([made(1, caption=caption, mentions=mentions)], "granDf", tmp_path / "x", Options())
    path = tmp_path / "x/GranDf/annotations/train/GranDf_HA_GCG_train.json"
    assert [phrase for _, phrase, _ in grandf(path)] == ["glands"]
    assert len(json.loads(path.read_text())[0]["caption"]) < 2000
    assert {(x["phrase"], x["done"]) for x in losses(tmp_path / "x")} == {
        ("stroma", "dropped"),
        (None, "changed"),
    }


def test_token_cut_counts_at_worst() -> None:
    assert token_cut("adenocarcinoma", 7) == 14
    assert token_cut("a adenocarcinoma", 7) == 2
    assert token_cut("漢" * 10, 9) == 3


def test_special_tokens_of_a_caption_are_not_passed_on(tmp_path: Path) -> None:
    caption = "An <image> of glands [SEG]."
    mentions = [mention(caption, "glands", "gland", "object")]
    for name in ("granDf", "muse", "llava", "qwen", "kosmos2"):
        done = export(
            [made(1, caption=caption, mentions=mentions)], name, tmp_path / name, Options()
        )
        assert (done.samples, done.written) == (1, 0)
        assert any(x["phrase"] is None and x["done"] == "dropped" for x in losses(tmp_path / name))


def test_dialogues_keep_their_turns(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "text": "What is this?"},
        {"role": "assistant", "text": "Glands {and} stroma."},
    ]
    said = {"groundable": True, "polarity": "affirmed", "sources": [], "reason": None, "turn": 1}
    mentions = [
        {"start": 0, "end": 6, "text": "Glands", "concept": "gland", "kind": "object", **said},
        {"start": 13, "end": 19, "text": "stroma", "concept": "stroma", "kind": "stuff", **said},
    ]
    talk = made(1, caption="", turns=turns, mentions=mentions)
    export([talk], "muse", tmp_path / "muse", Options())
    found = list(muse(tmp_path / "muse/muse_train.json"))
    assert [phrase for _, phrase, _ in found] == ["Glands", "stroma"]
    entry = json.loads((tmp_path / "muse/muse_train.json").read_text())[0]
    assert entry["questions"] == ["What is this?"]
    export([talk], "granDf", tmp_path / "g", Options())
    path = tmp_path / "g/GranDf/annotations/train/GranDf_HA_GCG_train.json"
    assert [phrase for _, phrase, _ in grandf(path)] == ["Glands", "stroma"]
    export([talk], "qwen", tmp_path / "q", Options(grounding="seg", seg_token="<SEG>"))
    entry = json.loads((tmp_path / "q/train.json").read_text())[0]
    spoken = entry["conversations"][1]["value"]
    assert spoken == "<p> Glands </p> <SEG> {and} <p> stroma </p> <SEG>."
    assert entry["masks"] == [r["rle"] for r in talk.value["regions"]]


def test_refcoco_limits_what_xsam_multiplies(tmp_path: Path) -> None:
    words = [f"gland{i}" for i in range(5000)]
    caption = " ".join(words)
    mentions, at = [], 0
    for word in words:
        one = mention(caption[at:], word, "gland", "object")
        mentions.append({**one, "start": at, "end": at + len(word)})
        at += len(word) + 1
    export([made(1, caption=caption, mentions=mentions)], "refcoco", tmp_path / "x", Options())
    assert len(list(refcoco(tmp_path / "x"))) == 4096
    assert sum("combinations" in x["why"] for x in losses(tmp_path / "x")) == 904


def test_the_shares_of_tasks_are_told(out: Path, tmp_path: Path) -> None:
    words = ["export", str(out), "--to", "llava", "--out", str(tmp_path / "x")]
    assert "exchange" not in CliRunner().invoke(app, words).output
    words[-1] = str(tmp_path / "talk")
    told = CliRunner().invoke(app, [*words, "--instruct", "default"]).output
    asked = 0
    for file in (tmp_path / "talk").glob("*.json"):
        asked += sum(len(talk["conversations"]) // 2 for talk in json.loads(file.read_text()))
    (line,) = (line for line in told.splitlines() if line.startswith(f"{asked} exchanges: "))
    shares = [float(share) for share in re.findall(r"([\d.]+)% \w+", line)]
    assert abs(sum(shares) - 100) < 1
    assert len(shares) > 5


@pytest.mark.parametrize("name", ["llava", "qwen", "ms-swift", "llamafactory", "paligemma"])
@pytest.mark.parametrize(("side", "boxed"), [(16, True), (20, False)])
def test_a_box_of_more_than_half_of_the_picture_answers_nothing(
    name: str, side: int, boxed: bool, tmp_path: Path
) -> None:
    value = made(1).value
    mask = np.zeros((value["height"], value["width"]), bool)
    mask[: value["height"] * side // 24, : value["width"] * side // 24] = True
    stroma = {**value["regions"][1], "bbox": list(bbox(mask)), "instances": []}
    stroma["rle"] = {"size": list(mask.shape), "counts": encode(mask)}
    talk = dataclasses.replace(made(1), value={**value, "regions": [value["regions"][0], stroma]})
    export([talk], name, tmp_path / "x", Options())
    lost = [x["phrase"] for x in losses(tmp_path / "x") if "more than 50% of the" in x["why"]]
    assert lost == ([] if boxed else ["stroma"])


def test_many_objects_are_not_one_box(tmp_path: Path) -> None:
    """Three glands: a box round them all would be no gland's."""
    few = Options(max_boxes=2)
    for name in ("kosmos2", "qwen", "llava", "ms-swift", "llamafactory"):
        export([made(1)], name, tmp_path / name, few)
        why = "more than 2 objects: the phrase stays without boxes"
        (lost,) = [x for x in losses(tmp_path / name) if x["why"] == why]
        assert (lost["phrase"], lost["done"]) == ("glands", "dropped")
    ((_, phrase, found),) = kosmos2(tmp_path / "kosmos2/train")
    assert (phrase, len(found)) == ("stroma", 1)
    ((_, phrase, found),) = qwen(tmp_path / "qwen/train.json")
    assert (phrase, len(found)) == ("stroma", 1)


def test_sa2va_gcg_starts_a_new_file_when_columns_are_many(tmp_path: Path) -> None:
    source = []
    for i in range(6):
        caption = f"gland{i} and stroma{i}"
        mentions = [
            mention(caption, f"gland{i}", "gland", "object"),
            mention(caption, f"stroma{i}", "stroma", "stuff"),
        ]
        source.append(made(i, caption=caption, mentions=mentions))
    export(source, "sa2va-gcg", tmp_path / "x", Options(part_phrases=5))
    assert len(list((tmp_path / "x/annotations").iterdir())) == 3


@pytest.mark.parametrize(("height", "width"), [(320, 448), (672, 672), (97, 31), (700, 1000)])
def test_masks_of_biomedparse_lie_where_the_picture_lies(height: int, width: int) -> None:
    mask = np.random.default_rng(0).random((height, width)) < 0.5
    side = max(height, width)
    squared = square(mask.astype(np.uint8) * 255, 1024, cv2.INTER_NEAREST_EXACT)
    # PIL's nearest takes the middle of what a pixel was spread to; the loader's bicubic is PIL's.
    back = np.asarray(Image.fromarray(squared).resize((side, side), Image.Resampling.NEAREST))
    top, left = (side - height) // 2, (side - width) // 2
    assert np.array_equal(back[top : top + height, left : left + width] > 0, mask)
