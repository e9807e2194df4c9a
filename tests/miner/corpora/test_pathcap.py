import json

import pytest

from miner.core.errors import Refused
from miner.core.store import Store
from miner.corpora.pathcap import figure_of
from miner.corpora.plan import make_plan
from tests.miner.corpora.layouts import (
    config,
    fates,
    picture,
    read_all,
    write_images,
    write_json,
    write_zip,
)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("99001608_23_2021_23_Fig6_HTML_1.jpg", ("99001608_23_2021_23_Fig6_HTML", "1")),
        ("99000512_gr4.jpg", ("99000512_gr4", None)),
        ("99000375_pone.0910622.g003_2.jpg", ("99000375_pone.0910622.g003", "2")),
        ("99000375_2.jpg", ("99000375_2", None)),
        ("", ("", None)),
    ],
)
def test_figures_of_panels(image, expected):
    assert figure_of(image) == expected


def test_panels_of_a_figure_share_unit_group_and_legend(tmp_path):
    names = ["111111_gr1_0.jpg", "222222_gr1_0.jpg", "111111_gr1_1.jpg", "111111_gr2_0.jpg"]
    captions = ["A legend.", "Another.", "A legend.", "A legend."]
    records = [{"img": f"x/{n}", "caption": c} for n, c in zip(names, captions, strict=True)]
    write_json(tmp_path / "data.json", [{**r, "year": 2020} for r in records])
    write_images(tmp_path / "images", names)
    samples, _ = read_all(config("pathcap", tmp_path), tmp_path / "out", unit_rows=2)
    assert fates(samples) == [None] * 4
    assert [s["image"] for s in samples] == names
    assert [s["group"] for s in samples] == ["111111", "222222", "111111", "111111"]
    metas = [json.loads(s["meta"]) for s in samples]
    assert [m.get("panels_with_this_caption") for m in metas] == [2, None, 2, None]
    assert metas[0] == {
        "figure": "111111_gr1", "panel": "0", "panels_with_this_caption": 2, "year": 2020,
    }  # fmt: skip


def test_pictures_from_the_zip(tmp_path):
    write_json(tmp_path / "data.json", [{"img": "1234567_a.jpg", "caption": "Glands."}])
    write_zip(tmp_path / "images.zip", {"images/1234567_a.jpg": picture(1)})
    samples, images = read_all(config("pathcap", tmp_path), tmp_path / "out")
    assert fates(samples) == [None]
    assert images["pathcap/1234567_a.jpg"]["data"] == picture(1)


def test_broken_records_become_ledger_rows(tmp_path):
    records = [
        {"img": "a.jpg", "caption": "Glands."},
        {"img": "a.jpg"},
        {"caption": "No picture."},
        {"img": "a.jpg", "caption": 5},
        "text",
        {"img": "a.jpg", "caption": "half a pair \ud83d here"},
        {"img": None, "caption": None},
    ]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(records))
    write_images(tmp_path / "images", ["a.jpg"])
    samples, _ = read_all(config("pathcap", tmp_path), tmp_path / "out")
    assert fates(samples) == [
        None,
        "no_entity:empty_caption",
        "unreadable:bad_name",
        "unreadable:caption_is_no_text",
        "unreadable:no_json_object",
        "unreadable:bad_utf8",
        "no_entity:empty_caption",
    ]


def test_a_list_cut_short_keeps_what_came_before_and_says_so(tmp_path):
    write_json(
        tmp_path / "data.json", [{"img": "a.jpg", "caption": f"Glands {i}"} for i in range(5)]
    )
    text = (tmp_path / "data.json").read_text()
    (tmp_path / "data.json").write_text(text[:-30])
    store = Store(str(tmp_path / "out"))
    plan = make_plan([config("pathcap", tmp_path)], 4, store)
    assert plan.rows == {"pathcap": 4}
    (problem,) = plan.problems
    assert problem.startswith("pathcap: data.json: the list breaks off at byte ")
    assert make_plan([config("pathcap", tmp_path)], 4, store).problems == [problem]


def test_json_that_is_no_list_is_refused(tmp_path):
    write_json(tmp_path / "data.json", {"img": "a.jpg"})
    with pytest.raises(Refused, match=r'data\.json: expected a JSON list of \{"img", "caption"\}'):
        read_all(config("pathcap", tmp_path), tmp_path / "out")
