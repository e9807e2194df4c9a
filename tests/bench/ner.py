"""Captions a second of the caption stage, beside a bare PhraseMatcher on the same terms.

`python -m tests.bench.ner` prints one table; runs are interleaved, so that the ratios hold on a
busy machine. With the peers' scripts beside the checkout:

    python ../shared/peers/bench_ner.py --ours tests.bench.ner:make
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence

from ner.concepts import Concept, concepts
from ner.lexicon import Lexicon
from ner.vocabulary import Vocabulary

PATTERNS = [
    "H&E section of the {site} shows {a} and {b} with {c}. No evidence of {d} is seen at 20x.",
    "{a} next to {b}; possible {c} cannot be excluded, and there is no {d} in this field.",
    "So what we see here, um, is {a}, and around it {b}. It has lost its {c}, okay, and maybe {d}.",
    "Low power view: {a}, {b} and {c} are scattered in a dense, irregular {d}.",
    "The image shows {a} surrounded by {b}, suggestive of {c} rather than {d}.",
]
SITES = ["breast", "colon", "kidney", "liver", "lung", "prostate", "skin", "thyroid"]


def captions(count: int, seed: int = 0) -> list[str]:
    """Return captions of about 25 words made of the table's own forms."""
    rng = random.Random(seed)
    forms = [form for concept in concepts().values() for form in (concept.name, *concept.forms)]
    return [
        rng.choice(PATTERNS).format(
            site=rng.choice(SITES), **{slot: rng.choice(forms) for slot in "abcd"}
        )
        for _ in range(count)
    ]


def make(terms: Sequence[str] | None = None) -> Callable[[list[str]], list[object]]:
    """Return a function of captions to mentions, for the peers' script.

    Args:
        terms: surface forms to find instead of the package's table.
    """
    words = Vocabulary({term: Concept(term, "object") for term in terms}) if terms else None
    lexicon = Lexicon(words)
    return lambda texts: [lexicon(text).mentions for text in texts]


def phrase_matcher() -> Callable[[list[str]], list[object]]:
    """Return the bare PhraseMatcher over all forms of the table."""
    import spacy
    from spacy.matcher import PhraseMatcher
    from spacy.util import filter_spans

    nlp = spacy.blank("en")
    matcher = PhraseMatcher(nlp.vocab, attr="LOWER")
    forms = [form for concept in concepts().values() for form in (concept.name, *concept.forms)]
    matcher.add("TERM", list(nlp.tokenizer.pipe(forms)))
    return lambda texts: [filter_spans(matcher(doc, as_spans=True)) for doc in nlp.pipe(texts)]


def rates(seconds: float, rounds: int) -> dict[str, list[float]]:
    """Captions a second of processor time of both contestants, round by round."""
    texts = captions(4000)
    batches = [texts[i : i + 256] for i in range(0, len(texts), 256)]
    contestants = {"PhraseMatcher": phrase_matcher(), "table, phrases, polarity": make()}
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for find in contestants.values():
        find(texts)
    for _ in range(rounds):
        for name, find in contestants.items():
            done, begin = 0, time.process_time()
            while (spent := time.process_time() - begin) < seconds:
                batch = batches[done % len(batches)]
                find(batch)
                done += 1
            found[name].append(done * 256 / spent)
    return found


def main() -> None:
    """Print captions a second of both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="clocked time of a run")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    begin = time.perf_counter()
    make()(captions(1))
    print(f"first caption after {time.perf_counter() - begin:.2f} s")
    found = rates(arguments.seconds, arguments.rounds)
    bare = found["PhraseMatcher"]
    print("| contestant | captions/s of one core | ratio |\n|---|---|---|")
    for name, measured in found.items():
        ratio = statistics.median(a / b for a, b in zip(measured, bare, strict=True))
        print(f"| {name} | {statistics.median(measured):,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
