"""`miner segment` and the overlay."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from miner.cli import app
from miner.core.errors import Refused
from segmenters.ask import to_prompt
from segmenters.overlay import COLOURS, describe, draw
from segmenters.protocol import Candidate


@pytest.fixture
def tile(tmp_path):
    """Dark discs on pink."""
    y, x = np.mgrid[:200, :200]
    image = np.full((200, 200, 3), (230, 170, 200), np.uint8)
    for cy, cx in ((50, 50), (120, 140), (160, 60)):
        image[(y - cy) ** 2 + (x - cx) ** 2 < 100] = (70, 40, 120)
    path = tmp_path / "tile.png"
    Image.fromarray(image).save(path)
    return path


# The rule-based segmenter alone, since these tests are about the command.
STAIN = ["--set", "segment.segmenters=[{kind: stain}]"]


def listing(folder):
    """Files with their content and times."""
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def corpus(tmp_path):
    """A corpus as published, and nothing of it may be written."""
    folder = tmp_path / "corpus"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.txt").write_text("Nuclei.")
    return folder


@pytest.mark.parametrize("relative", [True, False])
def test_a_corpus_is_left_as_it_is(tile, corpus, tmp_path, monkeypatch, relative):
    """Also one that forbids writing."""
    picture = tile.rename(corpus / "images" / "a.png")
    before = listing(corpus)
    for folder in (corpus / "images", corpus):
        folder.chmod(0o555)
    monkeypatch.chdir(tmp_path)
    shown = picture.relative_to(tmp_path) if relative else picture
    done = CliRunner().invoke(app, ["segment", str(shown), "nuclei", *STAIN])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.overlay.png").is_file()
    assert listing(corpus) == before


def test_among_its_pictures_a_place_is_asked_for(tile, corpus, monkeypatch, tmp_path):
    picture = tile.rename(corpus / "images" / "a.png")
    before = listing(corpus)
    monkeypatch.chdir(corpus / "images")
    arguments = ["segment", str(picture), "nuclei", *STAIN]
    with pytest.raises(Refused, match="--out: name a place"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    with pytest.raises(Refused, match="is the picture itself"):
        CliRunner().invoke(app, [*arguments, "--out", str(picture)], catch_exceptions=False)
    assert listing(corpus) == before
    elsewhere = tmp_path / "seen.png"
    assert CliRunner().invoke(app, [*arguments, "--out", str(elsewhere)]).exit_code == 0
    assert elsewhere.is_file()
    assert listing(corpus) == before


def test_command_writes_an_overlay(tile, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    arguments = ["segment", str(tile), "nuclei", "unicorns", "--mpp", "0.5", *STAIN]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "nucleus: 3 objects" in done.stdout
    assert "unicorns: unsupported (stain)" in done.stdout
    overlay = np.asarray(Image.open("tile.overlay.png"))
    assert overlay.shape[1] == 400
    green = (overlay == COLOURS[0]).all(axis=-1)
    assert green[80:120, 80:120].any()  # an outline around the first disc, at twice the size


def test_unreadable_pictures_are_refused(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    for path in (tmp_path / "none.png", broken):
        with pytest.raises(Refused, match=path.name):
            CliRunner().invoke(app, ["segment", str(path), "nuclei"], catch_exceptions=False)


def test_phrases_are_matched_to_concepts():
    assert to_prompt(" Nuclei ").concept == "nucleus"
    tumor = to_prompt("tumour cells", "breast")
    assert (tumor.concept, tumor.site, tumor.wordings[0]) == (
        "tumor cell",
        "breast",
        "tumour cells",
    )
    other = to_prompt("something odd")
    assert (other.concept, other.kind, other.wordings) == (
        "something odd",
        "stuff",
        ("something odd",),
    )


def test_small_pictures_are_enlarged_and_stuff_lies_below_objects():
    image = np.full((10, 20, 3), 200, np.uint8)
    stuff = np.ones((10, 20), bool)
    labels = np.zeros((10, 20), np.int32)
    labels[3:7, 5:9] = 1
    rows = [
        ("s", Candidate("nucleus", "n", labels > 0, labels, 0.5)),
        ("s", Candidate("stroma", "s", stuff, None, 0.5)),
        ("s", Candidate("fat", "f", None, reason="empty")),
    ]
    page = np.asarray(draw(image, rows))
    assert page.shape[1] == 360
    assert (page[3 * 18, 6 * 18] == COLOURS[0]).all()
    assert describe(*rows[2]) == "fat: empty (s)"
    assert describe(*rows[0]) == "nucleus: 1 objects, 8.0% of the picture, 0.50 (s)"
