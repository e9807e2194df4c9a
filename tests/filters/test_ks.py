"""KS statistics against scipy, and conformal p-values against their definition."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from filters import ks
from filters.distributions import Table
from filters.features import FEATURES, Pixels, is_grey
from filters.objects import components, measure
from filters.references import HELDOUT, Reference, References

RNG = np.random.default_rng(0)


def picture(seed: int = 0, side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A pink picture with a purple disc, and the disc."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:side, :side]
    disc = (yy - side / 2) ** 2 + (xx - side / 2) ** 2 < (side / 4) ** 2
    image = np.where(disc[..., None], (110, 70, 150), (230, 170, 200))
    noisy = image + rng.normal(0, 8, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), disc


def everywhere(image: np.ndarray, mpp: float | None = 0.5) -> np.ndarray:
    """All features of a picture: float32 (10, H, W)."""
    pixels = Pixels(image, mpp)
    return pixels.at(np.arange(pixels.size)).reshape(len(FEATURES), *image.shape[:2])


def reference_of(features: np.ndarray, mask: np.ndarray) -> Reference:
    quantiles = np.quantile(features[:, mask], np.linspace(0, 1, 33), axis=1).T
    heldout = {name: np.array([0.1, 0.2, 0.3]) for name in HELDOUT}
    return Reference(quantiles, {}, heldout, ("test",), "group")


def references() -> References:
    image, disc = picture(1)
    features = everywhere(image)
    pooled = np.quantile(features.reshape(10, -1), np.linspace(0, 1, 33), axis=1).T
    return References(
        {"nucleus": reference_of(features, disc), "stroma": reference_of(features, ~disc)},
        pooled,
        np.linspace(0.1, 0.4, 20),
    )


def test_two_samples_as_scipy():
    for _ in range(20):
        a, b = RNG.normal(size=57), RNG.normal(0.3, size=91)
        b[:10] = a[:10]  # ties
        expected = stats.ks_2samp(a, b).statistic
        assert ks.two_sample(np.sort(a), np.sort(b)) == pytest.approx(expected, abs=1e-12)


def test_statistic_against_a_distribution_as_scipy():
    x = np.sort(RNG.uniform(size=200))
    quantiles = np.linspace(0, 1, 33)  # of the uniform distribution
    assert ks.statistic(x, quantiles) == pytest.approx(stats.kstest(x, "uniform").statistic)


def test_many_references_at_once_as_one_by_one():
    quantiles = np.sort(RNG.normal(size=(7, 3, 33)), axis=2)
    quantiles[0, 0, 4:12] = quantiles[0, 0, 4]  # a jump
    quantiles[1:4, 1] = 0.0  # nothing but one value
    sample = RNG.normal(0.3, size=(3, 90))
    sample[0, :20] = quantiles[0, 0, 4]
    sample[1, :9] = 0.0
    sample.sort(axis=1)
    expected = [
        [ks.statistic(row, q) for row, q in zip(sample, one, strict=True)] for one in quantiles
    ]
    assert Table(quantiles).d(sample) == pytest.approx(np.array(expected), abs=1e-12)


def test_conformal_p_counts_what_is_at_least_as_extreme():
    heldout = np.array([0.1, 0.2, 0.2, 0.4])
    assert ks.conformal(0.05, heldout) == 1.0
    assert ks.conformal(0.2, heldout) == 4 / 5
    assert ks.conformal(0.5, heldout) == 1 / 5
    assert ks.conformal(0.5, []) == 1.0


def test_conformal_p_is_valid_under_exchangeability():
    d = RNG.random((4000, 60))
    p = np.array([ks.conformal(row[0], np.sort(row[1:])) for row in d])
    for alpha in (0.05, 0.1, 0.5):
        assert (p <= alpha).mean() == pytest.approx(alpha, abs=0.02)


def test_a_fitting_region_scores_better_than_a_wrong_one():
    image, disc = picture(2)
    features = Pixels(image, 0.5)
    right = ks.measure(features, disc, None, "nucleus", 0.5, references()).scores
    wrong = ks.measure(features, disc, None, "stroma", 0.5, references()).scores
    assert right["ks_d"] < 0.2 < wrong["ks_d"]
    assert right["ks_p"] > wrong["ks_p"]
    assert right["ks_margin"] > 0 > wrong["ks_margin"]


def test_a_rival_is_of_the_same_kind_and_stains_otherwise():
    known = ("nucleus", "lymphocyte", "red blood cell", "gland", "stroma", "fat")
    assert ks.rivals("nucleus", known) == ("red blood cell", "gland")
    assert ks.rivals("stroma", known) == ("fat",)
    assert ks.rivals("no such concept", known) == ()


def test_a_region_of_a_rival_is_told_by_the_difference():
    image, disc = picture(2)
    known = references()
    both = {"nucleus": known.concepts["nucleus"], "red blood cell": known.concepts["stroma"]}
    known = dataclasses.replace(known, concepts=both)
    pixels = Pixels(image, 0.5)
    right = ks.measure(pixels, disc, None, "nucleus", 0.5, known).scores
    wrong = ks.measure(pixels, disc, None, "red blood cell", 0.5, known).scores
    assert right["ks_rival"] == pytest.approx(-wrong["ks_rival"])
    assert right["ks_rival"] > 0.3
    assert right["ks_p_rival"] > wrong["ks_p_rival"] == 0.25
    alone = ks.measure(pixels, disc, None, "nucleus", 0.5, references()).scores
    assert "ks_p_rival" not in alone


def test_objects_count_where_both_have_them():
    near, far = np.full(14, 0.1), np.full(14, 0.5)
    near[10:] = np.nan
    assert ks.nearer_rival(near, far[None]) == pytest.approx(-0.4)
    assert ks.nearer_rival(far, np.stack([far, near])) == pytest.approx(0.4)


def test_a_shifted_mask_loses_effect_and_rim():
    image, disc = picture(2)
    features = Pixels(image, 0.5)
    right = ks.measure(features, disc, None, "nucleus", 0.5, references()).scores
    moved = ks.measure(features, np.roll(disc, 30, 1), None, "nucleus", 0.5, references()).scores
    assert moved["ks_effect"] < right["ks_effect"]
    assert moved["ks_rim"] < right["ks_rim"] - 0.3


def test_undefined_scores_have_reasons():
    image, disc = picture()
    features = Pixels(image, None)
    unknown = ks.measure(features, disc, None, "keratin", None, references())
    assert "ks_d" not in unknown.scores
    assert any("no reference for keratin" in note for note in unknown.notes)
    single = np.zeros_like(disc)
    single[5, 5] = True
    assert ks.measure(features, single, None, "nucleus", None, references()).scores == {}
    everything = ks.measure(features, np.ones_like(disc), None, "nucleus", None, references())
    assert "ks_effect" not in everything.scores
    assert "ks: no complement" in everything.notes
    few = ks.measure(features, disc, measure(components(disc)), "nucleus", 0.5, references())
    assert any("too few whole objects" in note for note in few.notes)


def test_normalised_features_survive_a_paler_stain():
    image, disc = picture(3)
    density = -np.log((image.astype(float) + 1) / 256)
    pale = np.clip(256 * np.exp(-0.6 * density) - 1, 0, 255).astype(np.uint8)
    a, b = everywhere(image), everywhere(pale)
    raw = FEATURES.index("hematoxylin")
    own = FEATURES.index("density_norm")
    change = [abs(np.median(a[i][disc]) - np.median(b[i][disc])) for i in (raw, own)]
    assert change[1] < 0.1 < change[0]


def test_support():
    image, _ = picture(4)
    known = references()
    assert ks.support(Pixels(image, 0.5), known) > 0.1
    green = image[..., [1, 0, 1]]
    assert ks.support(Pixels(green, 0.5), known) == pytest.approx(1 / 21)
    grey = np.repeat(image[..., :1], 3, axis=2)
    assert is_grey(grey)
    assert not is_grey(image)
    assert np.isfinite(everywhere(grey, None)).all()


def test_flat_pictures_have_finite_features():
    for value in (0, 255):
        flat = np.full((32, 32, 3), value, np.uint8)
        assert np.isfinite(everywhere(flat)).all()


def test_object_statistics_need_several_whole_objects():
    labels = np.zeros((100, 100), np.int32)
    for i, (y, x) in enumerate([(20, 20), (20, 60), (60, 20), (60, 60), (40, 40), (80, 80)], 1):
        labels[y : y + 8, x : x + 8] = i
    sample = ks.object_sample(measure(labels), 0.5)
    assert sorted(sample) == sorted(ks.OBJECT_FEATURES)
    assert "log_diameter_um" not in ks.object_sample(measure(labels), None)
    wide = Reference(np.zeros((10, 3)), {"elongation": np.array([1.0, 1.5, 2.0])}, {}, (), "")
    assert ks.object_d(sample, wide) == pytest.approx(1.0)
    assert ks.object_d({}, wide) is None
    assert ks.object_d(sample, dataclasses.replace(wide, objects={})) is None
