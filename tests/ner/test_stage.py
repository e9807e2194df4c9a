import io
import json
import re

import pyarrow as pa
from rich.console import Console

from miner.core.unit import IMAGES, SAMPLES, Unit
from ner.coloured import show
from ner.config import NerConfig
from ner.extractor import FoundInText
from ner.jsonl import write_rows
from ner.mentions import Mention
from ner.stage import ExtractMentions


def unit(rows):
    blank = dict.fromkeys(SAMPLES.names)
    samples = pa.Table.from_pylist([blank | row for row in rows], SAMPLES)
    return Unit(samples, IMAGES.empty_table())


def extract(*rows):
    return ExtractMentions(NerConfig())(unit(rows)).samples.to_pylist()


def test_mentions_slice_to_the_caption():
    (row,) = extract({"caption": "Nuclei of tumour cells, without necrosis."})
    assert [(m["text"], m["concept"], m["polarity"]) for m in row["mentions"]] == [
        ("Nuclei", "nucleus", "affirmed"),
        ("tumour cells", "tumor cell", "affirmed"),
        ("necrosis", "necrosis", "negated"),
    ]
    for mention in row["mentions"]:
        assert row["caption"][mention["start"] : mention["end"]] == mention["text"]
    assert row["status"] is None


def test_rows_with_nothing_to_ground_say_why():
    rows = extract(
        {"caption": "There is no necrosis."},
        {"caption": "Possible necrosis."},
        {"caption": "A slide."},
        {"caption": None},
        {"caption": "Nuclei.", "status": "unreadable", "reason": "image"},
    )
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("no_entity", "only_negated"),
        ("no_entity", "only_uncertain"),
        ("no_entity", "no_mention"),
        ("no_entity", "no_mention"),
        ("unreadable", "image"),
    ]
    assert rows[0]["mentions"][0]["concept"] == "necrosis"


def test_mentions_of_a_dialogue_name_their_turn():
    turns = [
        {"role": "user", "text": "Is there necrosis?"},
        {"role": "assistant", "text": "No, but there are lymphocytes."},
    ]
    (row,) = extract({"caption": "", "turns": turns})
    assert [(m["turn"], m["text"], m["polarity"]) for m in row["mentions"]] == [
        (0, "necrosis", "uncertain"),
        (1, "lymphocytes", "affirmed"),
        (1, "No", "negated"),
    ]


def test_what_cannot_be_grounded_is_dimmed_and_denied_things_are_not():
    mentions = [
        Mention(0, 6, "Nuclei", "nucleus", "object", groundable=False, reason="site"),
        Mention(11, 17, "glands", "gland", "object", "negated", groundable=False, reason="negated"),
    ]
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    show("Nuclei, no glands.", mentions, [], console)
    line = console.export_text(styles=True).splitlines()[0]
    dim = re.findall(r"\x1b\[([\d;]*)m([^\x1b]+)", line)
    assert {
        text.strip(): "2" in codes.split(";") for codes, text in dim if text.strip(" ,.no")
    } == {
        "Nuclei": True,
        "glands": False,
    }


def test_mentions_of_a_file_are_written_row_by_row(tmp_path):
    found = FoundInText((), (), ("llm:timeout",))
    out = tmp_path / "out.jsonl"
    rows = [{"id": 1, "caption": "Glands."}, {"caption": "Stroma."}]
    assert write_rows(rows, lambda captions: [found for _ in captions], str(out)) == 2
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {**row, "mentions": [], "facts": [], "notes": ["llm:timeout"]} for row in rows
    ]
