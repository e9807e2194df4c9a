"""Pictures that are the same: who stays, no chains, linear where all are alike, every order."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.dedupe import duplicates, representatives, search
from filters.dedupe.levels import FEW
from filters.dedupe.near import candidates
from filters.dedupe.pixels import SAME, located
from filters.dedupe.thumbnail import (
    ORIENTATIONS,
    pixel_hash,
    thumbnail,
    turned,
    turned_back,
)
from miner.core.errors import Refused


def unit(vectors):
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def planted(n=300, copies=60, dim=32, seed=0):
    """n different vectors and `copies` near-duplicates of the first ones."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(n, dim))
    near = base[:copies] + 0.01 * rng.normal(size=(copies, dim))
    return unit(np.concatenate([base, near]))


def greedy(vectors, threshold):
    """What `representatives` says, row by row."""
    stands = np.arange(len(vectors))
    alike = vectors @ vectors.T >= threshold
    for i in range(len(vectors)):
        kept = stands[:i] == np.arange(i)
        first = np.flatnonzero(alike[i, :i] & kept)
        stands[i] = first[0] if len(first) else i
    return stands


@pytest.mark.parametrize("dim", [2, 32, 300])
@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_the_first_row_that_stands_and_resembles_represents(dim, threshold):
    rng = np.random.default_rng(dim)
    vectors = unit(rng.normal(size=(40, dim)).repeat(8, 0) + 0.2 * rng.normal(size=(320, dim)))
    vectors = vectors[rng.permutation(320)]
    assert (representatives(vectors, threshold) == greedy(vectors, threshold)).all()
    assert (representatives(7 * vectors, threshold) == greedy(vectors, threshold)).all()


@pytest.mark.parametrize("dim", [32, 300])
def test_cells_blocks_and_projection_find_what_all_comparisons_find(monkeypatch, dim):
    vectors = planted(n=2000, copies=200, dim=dim)
    vectors = vectors[np.random.default_rng(1).permutation(len(vectors))]
    expected = greedy(vectors, 0.95)
    monkeypatch.setattr(search, "ONE_CELL", 0)
    monkeypatch.setattr(search, "CELL", 200)
    monkeypatch.setattr(search, "BLOCK", 700)
    monkeypatch.setattr(search, "PROJECTED", 64)
    monkeypatch.setattr(search, "SMALLEST_BLOCK", 200)
    monkeypatch.setattr(search, "MOST_PAIRS", 20)
    assert (representatives(vectors, 0.95) == expected).all()
    assert (representatives(vectors.astype(np.float16), 0.95) == expected).all()


def test_nothing_is_chained():
    """b resembles a, c resembles b and not a: c stays."""
    angles = np.radians([0, 10, 20, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert representatives(vectors, np.cos(np.radians(11))).tolist() == [0, 0, 2, 3]


@pytest.mark.parametrize("kind", ["equal", "zero", "nearly equal"])
def test_rows_that_are_all_alike_are_linear(kind):
    rng = np.random.default_rng(0)
    seconds = []
    for n in (25_000, 100_000):
        vectors = np.zeros((n, 32), np.float32)
        if kind != "zero":
            vectors[:, 3] = 2
        if kind == "nearly equal":
            vectors += 0.01 * rng.normal(size=vectors.shape).astype(np.float32)
        begin = time.process_time()
        stands = representatives(vectors, 0.9)
        seconds.append(time.process_time() - begin)
        expected = np.arange(n) if kind == "zero" else np.zeros(n)
        assert (stands == expected).all()
    assert seconds[1] < 8 * max(seconds[0], 0.2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_no_number_is_named(bad):
    vectors = planted()
    vectors[17, 3] = bad
    with pytest.raises(Refused, match="row 17 "):
        representatives(vectors, 0.9)


def test_what_is_no_matrix_or_no_cosine_is_refused():
    with pytest.raises(Refused, match="1 dimensions"):
        representatives(np.ones(3, np.float32), 0.9)
    with pytest.raises(Refused, match=r"threshold: 0\.0"):
        representatives(np.ones((3, 2), np.float32), 0.0)


@pytest.mark.parametrize("n", [0, 1])
def test_few(n):
    vectors = unit(np.ones((n, 4)))
    assert representatives(vectors, 1.0).tolist() == list(range(n))
    assert duplicates(["a"][:n], ["x"][:n], [(0.0,)][:n], vectors, 0.9) == {}


def test_equal_bytes_are_exact_and_the_best_rank_stays():
    dropped = duplicates(["a", "b", "c"], ["x", "x", "y"], [(1.0,), (0.0,), (0.0,)], None, 0.9)
    assert dropped == {"a": ("b", "exact", 1.0)}


def test_equal_pixels_in_other_bytes_are_exact():
    ranks = [(0.0,)] * 3
    dropped = duplicates(list("abc"), list("xyz"), ranks, None, 0.9, pixel_hashes=["p", "q", "p"])
    assert dropped == {"c": ("a", "exact", 1.0)}


def test_planted_vectors_are_found_and_nothing_else():
    vectors = planted()
    ids = [f"c/{i:04d}" for i in range(360)]
    dropped = duplicates(ids, ids, [(0.0,)] * 360, vectors, 0.95)
    assert {k: v[:2] for k, v in dropped.items()} == {
        ids[300 + i]: (ids[i], "semantic") for i in range(60)
    }
    assert all(0.95 <= d.similarity <= 1 for d in dropped.values())


def test_an_exact_copy_of_what_is_dropped_is_dropped_for_the_same_one():
    vectors = unit([[1, 0], [1, 0.01], [1, 0.01], [0, 1]])
    dropped = duplicates(list("abcd"), ["x", "y", "y", "z"], [(0.0,)] * 4, vectors, 0.9)
    assert {k: v[:2] for k, v in dropped.items()} == {
        "b": ("a", "semantic"),
        "c": ("a", "semantic"),
    }


def test_one_that_swallows_too_many_stops_the_step():
    n = 2 * FEW
    vectors = planted(n=n, copies=0)
    vectors[: FEW + 2] = vectors[0]
    ids = [f"c/{i:04d}" for i in range(n)]
    with pytest.raises(Refused, match=rf"largest_share: {FEW + 1} of {n} .* copies of c/0000"):
        duplicates(ids, ids, [(0.0,)] * n, vectors, 0.9, largest_share=0.05)
    assert len(duplicates(ids, ids, [(0.0,)] * n, vectors, 0.9, largest_share=0.9)) == FEW + 1
    same = ["x"] * (FEW + 2) + ids[FEW + 2 :]  # equal bytes are certain, however many
    assert len(duplicates(ids, same, [(0.0,)] * n, vectors, 0.9, largest_share=0.05)) == FEW + 1


def field(seed, side=256):
    """Something like tissue: pink ground, dark discs of several sizes, paler patches."""
    rng = np.random.default_rng(seed)
    image = np.full((side, side, 3), (226, 168, 200), np.float32)
    patches = cv2.resize(rng.normal(size=(7, 7)).astype(np.float32), (side, side))
    image += 25 * patches[:, :, None]
    for _ in range(90):
        y, x = rng.integers(0, side, 2).tolist()
        colour = tuple(float(c) for c in np.array((88, 60, 132)) + rng.normal(0, 15))
        cv2.circle(image, (x, y), int(rng.integers(3, 9)), colour, -1)
    image += rng.normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def jpeg(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def marked(image):
    image = image.copy()
    cv2.putText(image, "Fig. 3 H&E", (10, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2)
    cv2.arrowedLine(image, (200, 220), (140, 150), (255, 255, 255), 3)
    return image


COPIES = {
    "JPEG 30": lambda image: jpeg(image, 30),
    "half size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=3),
    "a corner of 80 %": lambda image: image[51:, :205],
    "the middle 80 %": lambda image: image[26:230, 26:230],
    "a crop of 90 %": lambda image: image[4:234, 13:243],
    "moved by 3 %": lambda image: np.roll(image, (8, -8), (0, 1)),
    "a quarter turn": lambda image: np.rot90(image),
    "half a turn": lambda image: np.rot90(image, 2),
    "mirrored": lambda image: image[:, ::-1],
    "upside down, encoded again": lambda image: jpeg(np.ascontiguousarray(image[::-1]), 50),
    "redder": lambda image: np.clip(image * np.array([1.1, 0.95, 0.9]), 0, 255).astype(np.uint8),
    "text and an arrow": marked,
}


def compared(images, **options):
    ids = [f"c/{i:04d}" for i in range(len(images))]
    images = [np.ascontiguousarray(image) for image in images]
    return duplicates(
        ids,
        ids,
        options.pop("ranks", [(0.0,)] * len(ids)),
        None,
        0.84,
        pixel_hashes=[pixel_hash(image) for image in images],
        thumbs=np.stack([thumbnail(image) for image in images]),
        **options,
    )


def test_copies_of_every_kind_are_near_and_other_fields_are_not():
    fields = [field(seed) for seed in range(12)]
    for name, change in COPIES.items():
        dropped = compared([*fields, *(change(image) for image in fields)])
        expected = {f"c/{12 + i:04d}": (f"c/{i:04d}", "near") for i in range(12)}
        assert {k: v[:2] for k, v in dropped.items()} == expected, name
        assert all(SAME <= d.similarity <= 1 for d in dropped.values())


def test_the_whole_is_a_copy_of_its_better_grounded_crop():
    image = field(3)
    dropped = compared([image, image[:210, 40:250]], ranks=[(1.0,), (0.0,)])
    assert dropped["c/0000"][:2] == ("c/0001", "near")


def test_all_of_many_copies_go_for_one():
    """More than a picture is looked up with: they are compared with what their copies go for."""
    image = field(3)
    copies = [np.ascontiguousarray(np.rot90(image, turn)) for turn in range(4)]
    images = [jpeg(copy, quality) for quality in range(40, 96, 6) for copy in copies]
    ranks = [(float(i != 25),) for i in range(len(images))]
    dropped = compared([*images, field(4)], ranks=[*ranks, (1.0,)])
    assert {k: v[:2] for k, v in dropped.items()} == {
        f"c/{i:04d}": ("c/0025", "near") for i in range(len(images)) if i != 25
    }


def test_flat_pictures_resemble_nothing_but_their_equals():
    flat = [np.full((64, 64, 3), value, np.uint8) for value in (240, 240, 238)]
    dropped = compared([*flat, field(1)])
    assert {k: v[:2] for k, v in dropped.items()} == {"c/0001": ("c/0000", "exact")}


def test_a_cosine_needs_some_resemblance_beside_it():
    """Different fields with equal embeddings stay; a moved field with a high cosine goes."""
    fields = [field(seed) for seed in range(3)]
    images = [*fields, np.roll(fields[2], 20, axis=1)]
    ids = list("abcd")
    thumbs = np.stack([thumbnail(image) for image in images])
    vectors = np.ones((4, 8), np.float32)
    assert len(duplicates(ids, ids, [(0.0,)] * 4, vectors, 0.9)) == 3
    dropped = duplicates(ids, ids, [(0.0,)] * 4, vectors, 0.9, thumbs=thumbs)
    assert set(dropped) == {"d"}
    assert dropped["d"].keeper == "c"


def test_turns_are_undone():
    square = np.arange(25).reshape(5, 5)
    seen = {turned(square, o).tobytes() for o in range(ORIENTATIONS)}
    assert len(seen) == ORIENTATIONS
    for o in range(ORIENTATIONS):
        assert (turned_back(turned(square, o), o) == square).all()


def test_the_check_of_pixels_is_symmetric_enough():
    a, b = thumbnail(field(1)), thumbnail(field(2))
    assert located(a, a) == pytest.approx(1, abs=1e-5)
    assert located(a, b) < 0.4
    assert located(b, a) < 0.4


MIXED = [field(seed) for seed in range(6)]
MIXED += [jpeg(MIXED[0], 40), MIXED[1][::-1], MIXED[0][20:240, 20:240], MIXED[2], MIXED[0]]
MIXED = [np.ascontiguousarray(image) for image in MIXED]
MIXED_THUMBS = np.stack([thumbnail(image) for image in MIXED])
MIXED_HASHES = [pixel_hash(image) for image in MIXED]
MIXED_RANKS = [(float(i * 7 % 3),) for i in range(len(MIXED))]


def mixed(order):
    pick = [list(order)] * 3
    ids, hashes, ranks = (
        [values[i] for i in rows]
        for values, rows in zip(
            ([f"c/{i:02d}" for i in range(len(MIXED))], MIXED_HASHES, MIXED_RANKS),
            pick,
            strict=True,
        )
    )
    thumbs = MIXED_THUMBS[list(order)]
    return duplicates(ids, hashes, ranks, None, 0.84, pixel_hashes=hashes, thumbs=thumbs)


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(len(MIXED))))
def test_order_does_not_matter(order):
    dropped = mixed(order)
    assert dropped == mixed(range(len(MIXED)))
    assert len(dropped) == 5


def test_candidates_that_were_looked_for_before_give_the_same_duplicates():
    images = [field(seed) for seed in range(6)]
    kinds = ("JPEG 30", "a corner of 80 %", "a quarter turn", "mirrored", "redder", "half a turn")
    copies = [COPIES[kind](image) for kind, image in zip(kinds, images, strict=True)]
    shown = [np.ascontiguousarray(image) for image in (*images, *copies)]
    thumbs = np.stack([thumbnail(image) for image in [*shown, images[0]]])
    ids = [f"i{i:02d}" for i in range(len(thumbs))]
    hashes = [*ids[:-1], ids[0]]  # the last is equal to the first, and ranks before it
    ranks = [*((1.0,) for _ in shown), (0.0,)]
    first = list(range(len(shown)))
    near = {
        c: located(thumbs[c.whole], thumbs[c.part], c.window, c.orientation)
        for c in candidates(thumbs[first])
    }
    plain = duplicates(ids, hashes, ranks, None, 0.84, thumbs=thumbs)
    assert duplicates(ids, hashes, ranks, None, 0.84, thumbs=thumbs, near=near) == plain
    assert len(plain) == 1 + len(shown) - len(images)
    without = duplicates(ids, hashes, ranks, None, 0.84, thumbs=thumbs, near={})
    assert set(without) < set(plain)
