"""Panels of synthetic compounds of phantoms, and the captions' parts."""

import cv2
import numpy as np
import pytest

from miner.corpora.panels import panels
from miner.demo import render
from ner.panels import letters_at, parts

ORGANS = ("colon", "breast", "kidney", "liver")


@pytest.fixture(scope="module")
def tiles():
    """Phantoms of several organs, uint8 (256, 256, 3)."""
    rng = np.random.default_rng(3)
    return [render.tile(rng, 256, 0.5, organ).image for organ in ORGANS for _ in range(3)]


def compound(rng, tiles, letters=True):
    """A figure of two to six panels, and their boxes in reading order."""
    rows, columns = [(1, 2), (2, 1), (2, 2), (2, 3), (1, 3), (3, 2)][rng.integers(6)]
    gutter, margin = int(rng.integers(3, 22)), int(rng.integers(0, 16))
    colour = [255, 255, 250, 0][rng.integers(4)]
    height, width = (int(v) for v in rng.integers(150, 257, 2))
    shape = (
        rows * height + (rows - 1) * gutter + 2 * margin,
        columns * width + (columns - 1) * gutter + 2 * margin,
    )
    figure = np.full((*shape, 3), colour, np.uint8)
    boxes = []
    for i in range(rows * columns):
        y = margin + (i // columns) * (height + gutter)
        x = margin + (i % columns) * (width + gutter)
        figure[y : y + height, x : x + width] = tiles[rng.integers(len(tiles))][:height, :width]
        boxes.append((x, y, x + width, y + height))
        if letters:
            ink = (0, 0, 0) if rng.random() < 0.5 else (255, 255, 255)
            place = (x + 6, y + 24)
            cv2.putText(figure, chr(ord("A") + i), place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, ink, 2)
    if rng.random() < 0.5:  # as publishers compress them
        data = cv2.imencode(".jpg", figure[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        figure = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    return figure, boxes


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b)]
    return both / (sum(areas) - both)


def test_panels_are_found_with_their_letters(tiles):
    rng = np.random.default_rng(0)
    right = total = 0
    for _ in range(60):
        figure, boxes = compound(rng, tiles)
        found = {p.letter: p.box for p in panels(figure)}
        for i, box in enumerate(boxes):
            mine = found.get(chr(ord("A") + i))
            right += mine is not None and iou(mine, box) >= 0.9
        total += len(boxes)
    assert right >= 0.95 * total, (right, total)


def test_one_picture_is_no_compound(tiles):
    assert sum(bool(panels(tile)) for tile in tiles) == 0
    assert panels(np.full((300, 300, 3), 255, np.uint8)) == []


TEXTS = {"A": "glands with mucin", "B": "fibrous stroma", "C": "sheets of lymphocytes"}


def styles(letters):
    """Captions of some panels in the ways that journals have, by name."""
    a, b, *c = letters
    third = c[0] if c else None

    def joined(form, glue):
        return glue.join(form.format(l=x, s=x.lower(), t=TEXTS[x]) for x in letters)

    yield f"Findings of the biopsy. {joined('({l}) {t}.', ' ')}"
    yield f"{joined('({s}) {t};', ' ')} H&E."
    yield f"Histology: {joined('[{l}] {t}', ', ')}"
    yield f"Microscopy shows {joined('{t} ({l})', ', ')}."
    yield f"{joined('{l}: {t}.', ' ')}"
    yield f"{joined('{l}, {t}.', ' ')} Scale bar, 50 um."
    yield f"{joined('{l}) {t}.', ' ')}"
    yield f"Sections show {TEXTS[a]} (panel {a}) and {TEXTS[b]} (panel {b})." + (
        f" {TEXTS[third]} ({third})." if third else ""
    )


def test_captions_are_cut_at_their_letters():
    right = total = 0
    for letters in (("A", "B"), ("A", "B", "C")):
        for caption in styles(letters):
            found = parts(caption)
            for letter in letters:
                total += 1
                right += letters_at(found, caption.index(TEXTS[letter])) == {letter}
    assert right >= 0.9 * total, (right, total)


@pytest.mark.parametrize(
    "caption",
    [
        "Glands and stroma.",
        "Hepatitis (B) with fibrosis.",  # no A
        "Vitamin A and vitamin D in the kidney.",
        "(A) Glands.",  # one panel is none
        "Group (A) and group (C).",  # a gap
    ],
)
def test_captions_of_one_picture(caption):
    assert parts(caption) == []


def test_letters_of_several_panels_and_of_none():
    caption = "Colon. (A, C) Glands. (B) Stroma. (D-F) Mucin."
    found = parts(caption)
    where = {word: letters_at(found, caption.index(word)) for word in ("Colon", "Glands", "Mucin")}
    assert where == {"Colon": set(), "Glands": {"A", "C"}, "Mucin": {"D", "E", "F"}}
