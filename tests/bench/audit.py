"""Whether an audit's intervals and the release gate hold: `python -m tests.bench.audit`.

Runs are simulated whose truth is known: six concepts of unequal size, slides of unequal size whose
masks err together. Each is drawn from, judged by its truth, and estimated as `miner audit` does.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import special

from miner.audit.draw import draw
from miner.audit.estimate import estimates
from miner.audit.gate import judge
from miner.audit.judgements import Judgement, Judgements

PRECISION = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
JUDGED = (100, 200, 400)
CORRELATION = (0.0, 0.05, 0.15)
CONCEPTS, MASKS, SLIDES = 6, 3000, 120
ITEMS = [f"{i:016x}" for i in range(MASKS)]


class _Mask(NamedTuple):
    """What of `miner.audit.population.Mask` a draw and an estimate look at; quick to make."""

    item: str
    group: str
    concept: str
    stratum: str
    corpus: str = "c"
    family: str = "cell"
    kept: bool = True


def run(rng: np.random.Generator, precision: float, correlation: float) -> tuple[list[_Mask], dict]:
    """Masks of a run and which of them are right."""
    sizes = (MASKS / np.arange(1, CONCEPTS + 1) / np.sum(1 / np.arange(1, CONCEPTS + 1))).astype(
        int
    )
    concept = np.repeat(np.arange(CONCEPTS), sizes)
    slide = rng.choice(SLIDES, len(concept), p=rng.dirichlet(np.full(SLIDES, 0.7)))
    level = np.log(precision / (1 - precision)) + rng.normal(0, 0.5, CONCEPTS)
    p = 1 / (1 + np.exp(-level))
    if correlation:
        weight = 1 / correlation - 1
        at = rng.uniform(size=SLIDES)
        by_slide = special.betaincinv(p * weight, (1 - p) * weight, at[:, None])
        chance = by_slide[slide, concept]
    else:
        chance = p[concept]
    right = rng.uniform(size=len(concept)) < chance
    masks = [
        _Mask(item, f"g{s}", f"concept {c}", f"concept {c}")
        for item, c, s in zip(ITEMS, concept, slide, strict=False)
    ]
    return masks, {m.item: bool(r) for m, r in zip(masks, right, strict=True)}


def audited(masks: list[_Mask], right: dict, n: int, seed: int) -> tuple[dict, dict, Judgements]:
    """Sample, estimates and judgements of a simulated audit."""
    drawn = draw(masks, n, seed)  # type: ignore[arg-type]
    items = [
        {
            "item": d.mask.item, "corpus": d.mask.corpus, "group": d.mask.group,
            "concept": d.mask.concept, "family": d.mask.family, "kept": d.mask.kept,
            "stratum": d.stratum, "control": None,
        }
        for d in drawn.drawn
    ]  # fmt: skip
    concepts = Counter(m.concept for m in masks if m.kept)
    audit = {"audit": "a", "run": "r", "by": "concept", "strata": drawn.strata,
             "concepts": concepts, "items": items}  # fmt: skip
    said = tuple(
        Judgement(i["item"], "a", "right" if right[i["item"]] else "wrong_object") for i in items
    )
    judgements = Judgements(said, ())
    return audit, estimates(audit, judgements, None), judgements


def cells(repeats: int, seed: int) -> Iterator[tuple[tuple[float, int, float], float, float]]:
    """(precision, n, correlation), coverage of the whole, coverage of single concepts.

    Every simulated run is audited once with each number of judgements.
    """
    for precision in PRECISION:
        for correlation in CORRELATION:
            rng = np.random.default_rng([seed, int(1000 * precision), int(100 * correlation)])
            whole: dict[int, list[bool]] = defaultdict(list)
            single: dict[int, list[bool]] = defaultdict(list)
            for repeat in range(repeats):
                masks, right = run(rng, precision, correlation)
                truth = np.mean(list(right.values()))
                of: dict[str, list[bool]] = defaultdict(list)
                for mask in masks:
                    of[mask.concept].append(right[mask.item])
                known = {concept: float(np.mean(found)) for concept, found in of.items()}
                for n in JUDGED:
                    _, found, _ = audited(masks, right, n, repeat)
                    row = found["precision"]["all"]["all"]
                    whole[n].append(row["low"] <= truth <= row["high"])
                    for concept, row in found["precision"]["concept"].items():
                        single[n].append(row["low"] <= known[concept] <= row["high"])
            for n in JUDGED:
                share = float(np.mean(whole[n])), float(np.mean(single[n]))
                yield (precision, n, correlation), *share


def gate(repeats: int, seed: int, bar: float, drop: bool) -> float:
    """Of simulated runs whose precision is below the bar, close to it, how many the gate errs on.

    It errs when it releases and what it releases is below the bar; concepts that it leaves out are
    not released.
    """
    erred, below, number = 0, 0, 0
    rng = np.random.default_rng([seed, 7])
    while below < repeats:
        masks, right = run(rng, bar, 0.05)
        number += 1
        if np.mean(list(right.values())) >= bar:
            continue
        below += 1
        audit, found, judgements = audited(masks, right, 200, number)
        outcome = judge(found, audit, judgements, bar, drop)
        stay = [right[m.item] for m in masks if m.concept not in outcome.dropped]
        erred += not outcome.reasons and bool(stay) and np.mean(stay) < bar
    return erred / repeats


def main() -> None:
    """Print coverage by cell and how often the gate errs; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100, help="runs per cell")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = []
    for cell, whole, single in cells(options.repeats, options.seed):
        found.append((whole, single))
        said = "precision {} judged {} correlation {}:".format(*cell)
        print(said, f"{whole:.3f} {single:.3f}", flush=True)
    whole, single = np.array(found).T
    print(f"whole: {whole.mean():.3f} pooled, {whole.min():.3f} in the worst cell")
    print(f"single concepts: {single.mean():.3f} pooled, {single.min():.3f} in the worst cell")
    wrong = {drop: gate(options.repeats, options.seed, 0.9, drop) for drop in (False, True)}
    print(f"released below the bar: {wrong[False]:.3f}, with --drop-failing {wrong[True]:.3f}")
    # A cell is a share of `repeats`: the bar is .91 less two standard errors of such a share.
    slack = 2 * np.sqrt(0.95 * 0.05 / options.repeats)
    held = 0.93 <= whole.mean() <= 0.985 and whole.min() >= 0.91 - slack
    raise SystemExit(0 if held and max(wrong.values()) <= 0.05 else 1)


if __name__ == "__main__":
    main()
