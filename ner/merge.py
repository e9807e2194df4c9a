"""Several extractors' mentions of one text become one list, by vote.

The lexicon's spans are kept where there are any; another source's span that overlaps one votes on
it, and one that overlaps none is a mention of its own where the rule takes it. Every vote stays in
`votes`, so that disagreement can be seen later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ner.mentions import Mention

# Sources in the order in which their spans are trusted.
ORDER = ("lexicon", "llm", "scispacy")
# Of polarities with equally many votes the most cautious wins.
_CAUTION = ("negated", "uncertain", "affirmed")


def merge(found: Mapping[str, Sequence[Mention]], rule: str) -> tuple[Mention, ...]:
    """Return the mentions of all sources, in order, one per span and without overlaps.

    Args:
        found: mentions by source; a source that gave no answer is left out, one that found nothing
            is there with nothing.
        rule: `union` takes what any source found and calls it affirmed only where all that found it
            do; `majority` takes what more than half of the sources found, with the polarity most of
            them gave; `lexicon` keeps the lexicon's mentions and polarity, but for what the lexicon
            calls uncertain and the LLM affirms, and adds what the LLM alone affirms.
    """
    sources = [source for source in ORDER if source in found]
    kept: list[Mention] = []
    votes: list[dict[str, str]] = []
    for source in sources:
        for mention in found[source]:
            index = _overlapped(kept, mention)
            if index is None:
                kept.append(mention)
                votes.append({source: mention.polarity})
            else:
                votes[index].setdefault(source, mention.polarity)
    merged = []
    for mention, vote in zip(kept, votes, strict=True):
        polarity = _decide(vote, len(sources), rule)
        if polarity is not None:
            merged.append(
                mention._replace(
                    polarity=polarity,
                    sources=tuple(sorted(vote)),
                    votes=tuple(sorted(f"{source}:{said}" for source, said in vote.items())),
                )
            )
    return tuple(sorted(merged, key=lambda mention: mention.start))


def _overlapped(kept: Sequence[Mention], mention: Mention) -> int | None:
    """Index of the kept mention that shares most characters with this one, or None."""
    best, index = 0, None
    for i, other in enumerate(kept):
        shared = min(other.end, mention.end) - max(other.start, mention.start)
        if shared > best:
            best, index = shared, i
    return index


def _decide(vote: Mapping[str, str], sources: int, rule: str) -> str | None:
    """Polarity of a mention by its votes, None when the rule does not take it."""
    if rule == "lexicon":
        lexicon, llm = vote.get("lexicon"), vote.get("llm")
        if lexicon == "uncertain" and llm == "affirmed":
            return llm
        return lexicon or (llm if llm == "affirmed" else None)
    if rule == "majority":
        if 2 * len(vote) <= sources:
            return None
        counts = Counter(vote.values())
        return max(_CAUTION, key=lambda polarity: (counts[polarity], -_CAUTION.index(polarity)))
    return min(vote.values(), key=_CAUTION.index)
