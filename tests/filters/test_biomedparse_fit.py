"""Beta distributions of the colours of PanNuke's classes, as BiomedParse's table has them.

Its table was fitted on PanNuke: per class and picture the mean red, green and blue of what is
outlined. Its first feature, the mean of its own probabilities, no outline tells.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from filters.biomedparse_ks import load_table, mask_features
from miner.corpora.expert.labelled import read_masks
from ner.concepts import concepts
from tests.miner.corpora.expert_sets import discs

COLOURS = slice(1, 4)
TARGETS = ("neoplastic cells", "inflammatory cells", "connective tissue cells", "epithelial cells")
CLASSES = {"neoplastic cells": "tumor cell", "connective tissue cells": "stromal cell"}
CLASSES |= {"inflammatory cells": "inflammatory cell", "epithelial cells": "epithelial cell"}
# Alpha and beta of red, green and blue, of the order of those published.
DRAWN = np.array([[[46, 90], [20, 80], [40, 50]], [[6, 20], [10, 60], [8, 12]]], float)


def fitted(folder, tiles=None):
    """Alpha and beta of each target's colours in the tiles of a set, float64 (3, 2)."""
    features = {target: [] for target in TARGETS}
    for tile in read_masks([folder], tiles):
        for target in TARGETS:
            truth = tile.truth.get(CLASSES[target])
            if truth is not None:
                found = mask_features(tile.image, (truth.labels > 0).astype(float))
                features[target].append(found[COLOURS])
    return {
        target: np.array([stats.beta.fit(c, floc=0, fscale=1)[:2] for c in np.transpose(rows)])
        for target, rows in features.items()
        if rows
    }


def moments(parameters):
    """Means and standard deviations of Beta distributions, float64 (n, 2) each way."""
    mean, variance = stats.beta.stats(parameters[:, 0], parameters[:, 1])
    return mean, np.sqrt(variance)


def write_colours(folder, tiles):
    """A fold in which the means of two classes are drawn from `DRAWN`."""
    rng = np.random.default_rng(0)
    pictures = np.full((tiles, 32, 32, 3), 240.0)
    masks = np.zeros((tiles, 32, 32, 6))
    for i in range(tiles):
        for channel, place in enumerate([(8, 8), (22, 22)]):
            disc = discs(32, 32, [place])
            masks[i, ..., channel] = disc
            mean = 256 * rng.beta(DRAWN[channel, :, 0], DRAWN[channel, :, 1])
            noise = rng.normal(0, 3, (int(disc.sum()), 3))
            pictures[i][disc > 0] = np.clip(np.round(mean + noise - noise.mean(axis=0)), 0, 255)
    folder.mkdir()
    np.save(folder / "images.npy", pictures)
    np.save(folder / "masks.npy", masks)
    np.save(folder / "types.npy", np.array(["Breast"] * tiles))


def test_the_targets_are_those_of_the_table_of_concepts():
    for target, name in CLASSES.items():
        assert target in concepts()[name].biomedparse


def test_colours_that_were_drawn_are_found_again(tmp_path):
    write_colours(tmp_path / "fold1", 150)
    found = fitted(tmp_path)
    assert set(found) == {"neoplastic cells", "inflammatory cells"}
    for target, drawn in zip(("neoplastic cells", "inflammatory cells"), DRAWN, strict=True):
        for ours, theirs in zip(moments(found[target]), moments(drawn), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0.2, atol=0.005)


def test_pannuke_has_the_colours_that_biomedparse_published(shared: Path):
    """All classes of the table, which is of an earlier revision: not to a hair."""
    folder = os.environ.get("HISTOMINE_PANNUKE")
    if not folder:
        pytest.skip("needs PanNuke: set HISTOMINE_PANNUKE to the folder of its folds")
    table = load_table(shared / "biomedparse" / "target_dist.json")
    found = fitted(Path(folder), 2000)
    assert set(found) >= set(table)
    for target, parameters in table.items():
        (mean, spread), (theirs, published) = (
            moments(p) for p in (found[target], parameters[COLOURS])
        )
        np.testing.assert_allclose(mean, theirs, atol=0.05, err_msg=target)
        np.testing.assert_allclose(spread, published, rtol=0.4, err_msg=target)
