"""What share of what captions name can be answered at all, and comes out at a stated precision."""

from __future__ import annotations

import json
import pathlib
from collections import Counter

import numpy as np

from filters.decide import least_probability
from filters.decision import Calibration, Decision, load_decision
from ner.concepts import concepts
from ner.families import family
from ner.ground import VAGUE
from ner.lexicon import Lexicon
from segmenters.equivalents import answered_as
from segmenters.routes import ROUTES, native

PRECISION, KEPT = 0.9, 0.5
ENOUGH = 10  # right labelled masks of a concept's own, without which nothing is certified
BARS = {"answered": 0.7, "certified": 0.4}


def mentions(folder: pathlib.Path) -> list[tuple[str | None, str | None]]:
    """Affirmed structures that the annotators marked.

    Returns:
        Pairs of the concept (None where we know none) and of what it is answered as in a picture of
        that caption, whose site and diagnoses count (None: by nothing).
    """
    table, lexicon = concepts(), Lexicon()
    found: list[tuple[str | None, str | None]] = []
    for line in (folder / "dev.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        facts = lexicon(row["caption"]).facts
        sites = {fact.value for fact in facts if fact.kind == "site"}
        site = sites.pop() if len(sites) == 1 else None
        diagnoses = tuple(fact.value for fact in facts if fact.kind == "diagnosis")
        for mention in row["mentions"]:
            if mention["kind"] not in ("object", "stuff") or mention["polarity"] != "affirmed":
                continue
            names = {m.concept for m in lexicon(mention["text"]).mentions}
            name = mention["concept"] if mention["concept"] in table else None
            name = name or (names.pop() if len(names) == 1 else None)
            if name in VAGUE:
                continue
            answer = answered_as(name, ROUTES.__contains__, site, diagnoses) if name else None
            found.append((name, answer))
    return found


def kept_at(one: Calibration, precision: float) -> float:
    """Share of the right labelled masks at or above what the precision needs, 0 where none is."""
    limit = max(one.threshold_for(precision), least_probability(1 - precision))
    return float(one.kept[one.threshold >= limit].max(initial=0.0))


def certified(concept: str, decision: Decision) -> bool:
    """Whether at least half of a concept's right masks are kept at the precision."""
    known = concepts()[concept]
    one = decision.calibrations[decision.level(concept, family(known, known.kind))]
    own = f"concept:{concept}" in decision.calibrations and one.right >= ENOUGH
    return own and kept_at(one, PRECISION) >= KEPT


def report(folder: pathlib.Path) -> None:
    """Print both shares, and the concepts that are lacking, the most frequent first."""
    decision = load_decision()
    pairs = mentions(folder)
    names = [name for name, _ in pairs]
    answers = [native(name) if name else None for name in names]
    given = np.array([answer is not None for answer in answers])
    sure = np.array([answer is not None and certified(answer, decision) for answer in answers])
    print(f"\n## what {len(names)} groundable mentions of real captions name")
    for what, share in (("answered", given.mean()), ("certified", sure.mean())):
        verdict = "OK" if share >= BARS[what] else "SHORT"
        print(f"{what}: {share:.2f} (bar {BARS[what]:.2f}) {verdict}")
    allowed = np.mean([answer is not None for _, answer in pairs])
    print(f"answered where the caption's site and diagnosis allow it: {allowed:.2f}")
    for what, chosen in (("answered, not certified", given & ~sure), ("not answered", ~given)):
        lacking = Counter(str(n) for n, c in zip(names, chosen, strict=True) if c)
        print(f"{what}: {', '.join(f'{n} {k}' for n, k in lacking.most_common(14))}")
    print(f"{'answered as':24}{'right':>7}{'wrong':>7}{'kept at .9':>12}")
    for name in sorted({answer for answer in answers if answer}):
        known = concepts()[name]
        one = decision.calibrations[decision.level(name, family(known, known.kind))]
        print(f"{name:24}{one.right:7}{one.wrong:7}{kept_at(one, PRECISION):12.2f}")
