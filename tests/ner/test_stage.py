import pyarrow as pa

from miner.core.unit import IMAGES, SAMPLES, Unit
from ner.config import NerConfig
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
