"""Hypothesis strategies for grounded samples with awkward texts and masks."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st

from miner.core.masks import bbox, encode
from shards.build import grounded_sample
from shards.export.folder import Sample
from tests.shards.build import candidate

ALPHABET = "ab cdE.,\"'{}%İßΣσ√é漢😀\t\n\r\u2028-<>[]()"
CONCEPTS = ("gland", "stroma", "tumor cell")
HEIGHT, WIDTH = 11, 13


@st.composite
def masks(draw: Any) -> np.ndarray:
    """Bool (H, W) with at least one pixel; full, single-pixel and noisy ones among them."""
    share = draw(st.sampled_from([0.02, 0.3, 0.5, 0.8, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    mask = rng.random((HEIGHT, WIDTH)) < share
    mask[draw(st.integers(0, HEIGHT - 1)), draw(st.integers(0, WIDTH - 1))] = True
    return mask


@st.composite
def samples(draw: Any, number: int = 0) -> Sample:
    """A sample whose mentions may nest, overlap, touch and repeat."""
    words = st.sampled_from(["gland", "Gland", "stroma", "tumor cell", "the", "no", '"', " ", "  "])
    free = st.text(st.sampled_from(ALPHABET), max_size=6)
    caption = "".join(draw(st.lists(words | free, max_size=9)))
    mentions = []
    for _ in range(draw(st.integers(0, 5)) if caption else 0):
        start = draw(st.integers(0, len(caption) - 1))
        end = draw(st.integers(start + 1, min(len(caption), start + 12)))
        mentions.append(
            {
                "start": start,
                "end": end,
                "text": caption[start:end],
                "concept": draw(st.sampled_from(CONCEPTS)),
                "kind": "object",
                "polarity": draw(st.sampled_from(["affirmed", "affirmed", "negated"])),
                "sources": ["lexicon"],
                "groundable": True,
                "reason": None,
                "turn": None,
            }
        )
    rows = []
    for concept in CONCEPTS:
        mask = draw(masks())
        halves = [mask & (np.arange(WIDTH) < 6), mask & (np.arange(WIDTH) >= 6)]
        rows.append(candidate(concept, "object", [h for h in halves if h.any()]))
        assert rows[-1]["counts"] == encode(mask)
        assert rows[-1]["bbox"] == list(bbox(mask))
    row = {
        "sample_id": f"quilt-{number:08d}-abcdef",
        "corpus": "quilt",
        "row": number,
        "image": "a.png",
        "caption": caption,
        "turns": None,
        "mentions": mentions,
        "facts": [],
    }
    image_row = {"width": WIDTH, "height": HEIGHT, "mpp": None, "mpp_source": "none"}
    pixels = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    image = cv2.imencode(".png", pixels)[1].tobytes()
    return Sample(grounded_sample(row, image_row, rows, "train", []), image, "png", "train")
