"""Questions, dialogues and choices as published: every record a row, texts in turns."""

import csv
import json
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from miner.core.errors import Refused
from miner.core.store import Store
from miner.corpora.detect import detect
from miner.corpora.plan import load_unit, make_plan
from ner.config import NerConfig
from ner.stage import ExtractMentions
from segmenters import registry
from segmenters.config import SegmentConfig
from segmenters.protocol import Candidate, Segmenter
from segmenters.stage import Segment
from tests.miner.corpora.layouts import config, fates, picture, read_all, write_images, write_json


def said(sample):
    return [(turn["role"], turn["text"]) for turn in sample["turns"]]


def test_conversations_of_llava(tmp_path):
    """Quilt-Instruct's and PathGen-Instruct's form; several dialogues about one picture."""
    write_images(tmp_path / "images", ["a.jpg", "b.jpg"])
    asked = [
        {"from": "human", "value": "<image>\nIs there necrosis?"},
        {"from": "gpt", "value": "No, only glands."},
    ]
    records = [
        {"id": "1", "image": "a.jpg", "conversations": asked},
        {"id": "2", "image": "b.jpg", "conversations": [*asked, *asked]},
        {"id": "3", "image": "a.jpg", "conversations": asked[::-1]},
        {"id": "4", "conversations": asked},
        {"id": "5", "image": ["a.jpg", "b.jpg"], "conversations": asked},
        {"id": "6", "image": "a.jpg", "conversations": []},
        {"id": "7", "image": "a.jpg", "conversations": [{"from": "nurse", "value": "Hm."}]},
        {"id": "8", "image": "a.jpg", "conversations": [{"from": "gpt", "value": 7}]},
        {"id": "9", "image": "gone.jpg", "conversations": asked},
    ]
    write_json(tmp_path / "quilt_instruct_107k.json", records)
    assert detect(str(tmp_path)).kind == "conversations"
    samples, images = read_all(config("conversations", tmp_path), tmp_path / "out")
    assert fates(samples) == [
        None,
        None,
        None,
        "unreadable:no_image",
        "unreadable:several_images",
        "unreadable:no_dialogue",
        "unreadable:unknown_role",
        "unreadable:turn_is_no_text",
        "unreadable:missing_image",
    ]
    assert said(samples[0]) == [("human", "Is there necrosis?"), ("gpt", "No, only glands.")]
    assert (samples[0]["caption"], len(samples[1]["turns"])) == ("", 4)
    assert samples[2]["notes"] == ["starts_with_answer"]
    assert len([i for i in images.values() if i["data"]]) == 2


def test_messages_with_parts_and_thoughts(tmp_path):
    write_images(tmp_path, ["a.jpg"])
    content = [{"type": "image"}, {"type": "text", "text": "What is seen?"}]
    answer = "<think>Rows of glands.</think>Glands."
    messages = [
        {"role": "system", "content": "You are a pathologist."},
        {"role": "user", "content": content},
        {"role": "assistant", "content": answer},
    ]
    lines = json.dumps({"messages": messages, "images": ["a.jpg"]})
    (tmp_path / "reasoning.jsonl").write_text(lines)
    (sample,), _ = read_all(config("conversations", tmp_path), tmp_path / "out")
    assert said(sample) == [
        ("system", "You are a pathologist."), ("human", "What is seen?"), ("gpt", answer),
    ]  # fmt: skip


def write_pathvqa(folder, records):
    (folder / "qas" / "train").mkdir(parents=True)
    with open(folder / "qas" / "train" / "train_qa.pkl", "wb") as file:
        pickle.dump(records, file)
    write_images(folder / "images" / "train", ["train_0001.jpg", "train_0002.jpg"])


def test_pathvqa_as_published(tmp_path):
    write_pathvqa(
        tmp_path,
        [
            {"image": "train_0001", "question": "is necrosis present?", "answer": "yes"},
            {"image": "train_0001", "question": "what is present?", "answer": "glands"},
            {"image": "train_0002", "question": "what is present?", "answer": None},
            {"image": "train_0009", "question": "what is present?", "answer": "fat"},
            {"question": "what is present?", "answer": "fat"},
        ],
    )
    assert detect(str(tmp_path)).kind == "vqa"
    samples, images = read_all(config("vqa", tmp_path), tmp_path / "out")
    assert fates(samples) == [
        None, None, "unreadable:no_answer", "unreadable:missing_image", "unreadable:no_image",
    ]  # fmt: skip
    assert said(samples[0]) == [("human", "is necrosis present?"), ("gpt", "yes")]
    assert samples[0]["image_id"] == samples[1]["image_id"] == "vqa/train_0001.jpg"
    assert images["vqa/train_0001.jpg"]["data"] is not None


class Trap:
    def __reduce__(self):
        return os.system, ("touch trapped",)


def test_a_pickle_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pathvqa(tmp_path / "set", [Trap()])
    with pytest.raises(Refused, match=r"it names posix\.system"):
        read_all(config("vqa", tmp_path / "set"), tmp_path / "out")
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("extra", [{}, {"answer_type": "closed", "context": "A biopsy."}])
def test_parquet_with_the_pictures_in_it(tmp_path, extra):
    """PathVQA's and Quilt-VQA's parquet forms."""
    rows = [
        {
            "image": {"bytes": picture(i // 2), "path": f"{i // 2}.jpg"},
            "question": "Is there mucin?",
            "answer": "No",
            **extra,
        }
        for i in range(4)
    ]
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data" / "train-00000.parquet")
    assert detect(str(tmp_path)).kind == "vqa"
    samples, images = read_all(config("vqa", tmp_path), tmp_path / "out")
    assert fates(samples) == [None] * 4
    assert len(images) == 2
    assert said(samples[0]) == [("human", "Is there mucin?"), ("gpt", "No")]
    assert set(extra) <= set(json.loads(samples[0]["meta"]))


def test_pmc_vqa(tmp_path):
    write_images(tmp_path / "images", ["PMC1_f1.jpg"])
    columns = [
        "Figure_path", "Caption", "Question", "Choice A", "Choice B", "Choice C", "Choice D",
        "Answer",
    ]  # fmt: skip
    with open(tmp_path / "train.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        options = [" A:glands ", " B:necrosis ", " C:fat ", " D:mucin "]
        writer.writerow(["PMC1_f1.jpg", "A figure.", "What is seen?", *options, "B"])
        writer.writerow(["PMC1_f1.jpg", "A figure.", "What is seen?", *options[:2], "", "", "D"])
        writer.writerow(["PMC1_f1.jpg", "A figure.", "What is seen?", "", "", "", "", "A"])
    assert detect(str(tmp_path)).kind == "vqa"
    samples, _ = read_all(config("vqa", tmp_path), tmp_path / "out")
    assert said(samples[0]) == [
        ("human", "What is seen?\nA: glands\nB: necrosis\nC: fat\nD: mucin"),
        ("gpt", "B"),
    ]
    assert [s["notes"] for s in samples] == [[], ["answer_is_no_option"], ["no_options"]]
    assert json.loads(samples[0]["meta"])["Caption"] == "A figure."


def test_options_as_a_list(tmp_path):
    """PathMMU's form."""
    write_images(tmp_path, ["x.jpg"])
    record = {
        "img": "x.jpg", "question": "What is it?", "options": ["A) Gland", "B) Nerve"],
        "answer": "A) Gland",
    }  # fmt: skip
    write_json(tmp_path / "data.json", [record])
    (sample,), _ = read_all(config("vqa", tmp_path), tmp_path / "out")
    assert said(sample) == [("human", "What is it?\nA: Gland\nB: Nerve"), ("gpt", "A) Gland")]


def test_a_long_dialogue_is_left_out_and_texts_are_cleaned(tmp_path):
    write_images(tmp_path, ["a.jpg"])
    turns = [{"from": "human", "value": "Is\0 it?"}, {"from": "gpt", "value": "x" * 80}]
    records = [{"image": "a.jpg", "conversations": turns}]
    write_json(tmp_path / "d.json", records)
    samples, _ = read_all(config("conversations", tmp_path), tmp_path / "out")
    assert samples[0]["turns"][0]["text"] == "Is  it?"
    short = config("conversations", tmp_path, max_caption_chars=50)
    samples, _ = read_all(short, tmp_path / "short")
    assert fates(samples) == ["excluded:caption_too_long"]


def test_a_folder_of_neither_is_refused(tmp_path):
    write_json(tmp_path / "d.json", [{"image": "a.jpg", "caption": "Glands."}])
    with pytest.raises(Refused, match=r"expected a table with a picture and `conversations`"):
        read_all(config("vqa", tmp_path), tmp_path / "out")


class Counting(Segmenter):
    """Everything is a mask; counts what it is asked."""

    name = "counting"
    encoded = 0

    def supports(self, concept):
        return True

    def encode(self, image, mpp):
        type(self).encoded += 1
        return image.shape[:2]

    def segment(self, encoded, prompts):
        labels = np.zeros(encoded, np.int32)
        labels[3:9, 3:9] = 1
        return [Candidate(p.concept, p.wordings[0], labels > 0, labels, 0.9) for p in prompts]


def test_a_picture_is_segmented_once_however_many_texts_ask_about_it(tmp_path, monkeypatch):
    write_images(tmp_path / "images", ["a.jpg", "b.jpg"])
    pairs = [("glands", "Yes"), ("necrosis", "No"), ("mucin", "Yes."), ("lymphocytes", "yes")]
    records = [
        {
            "image": "ab"[i % 2] + ".jpg",
            "conversations": [
                {"from": "human", "value": f"<image>\nAre there {asked}?"},
                {"from": "gpt", "value": answer},
            ],
        }
        for i, (asked, answer) in enumerate(pairs * 3)
    ]
    write_json(tmp_path / "d.json", records)
    monkeypatch.setattr(registry, "build", lambda config, threads: [Counting()])
    monkeypatch.setattr(Counting, "encoded", 0)
    corpus, store = config("conversations", tmp_path), Store(str(tmp_path / "out"))
    stages = ExtractMentions(NerConfig()), Segment(SegmentConfig(decoys=0))
    asked = []
    for ref in make_plan([corpus], 4, store).refs():
        unit = load_unit(ref, [corpus], store)
        for stage in stages:
            unit = stage(unit)
        asked += [(c["concept"], tuple(c["roles"])) for c in unit.candidates.to_pylist()]
        answers = [m for row in unit.samples["mentions"].to_pylist() for m in row if m["turn"]]
        assert all(m["text"].lower() in ("yes", "no") for m in answers)
    assert Counting.encoded == 2
    assert sorted(asked) == [
        ("gland", ("positive",)),
        ("lymphocyte", ("positive",)),
        ("mucin", ("positive",)),
    ]
