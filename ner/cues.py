"""Which polarity cues of a text take effect, and on which side.

Cues overlap ("are negative", "negative for") and have two directions ("necrosis absent", "absent
necrosis"). Of those that overlap the longest wins that has something to deny on its side, and of
two equally long ones the later, since what follows a predicate tells what it is about. A cue that
is all that is said of a thing ("Necrosis: no.", "granulomas (absent)") is a `value` of it, whatever
its direction. A pseudo-cue ("not only") does nothing and hides what is inside it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ner.phrases import Reading
from ner.tokens import BINDING, COMMAS, HYPHENS, SOFT
from ner.vocabulary import (
    AND,
    BREAK,
    CUE,
    DETERMINER,
    FACT,
    NOUN,
    OR,
    OTHER,
    PREPOSITION,
    Cue,
    Word,
)

END = frozenset(".;!?\n")
# Between a thing and what is said of it; a dash only with blanks around it.
_SAYS = re.compile(r"\s?[:=?|]\s?[-\u2013\u2014(]?\s?|\s?[(\[]\s?|\s[-\u2013\u2014]\s|\s?\u2014\s?")
# Where what is said of a thing ends: at the slash of "0/10 HPF", behind the sign of "0 %", not at
# the dot of "No. 2".
_ENDS = re.compile(r"(?:\s?%)?\s?(?:[;,)\]|/!]|\.(?!\s?\d))|\n|\s[-\u2013\u2014]\s|\u2014|\s?$")
AUXILIARIES = frozenset(
    {"is", "are", "was", "were", "has", "have", "had", "may", "can", "could", "cannot", "remain"}
)
# Stand between a subject and its predicate: "necrosis and mitoses were all absent".
FLOATING = frozenset({"all", "both", "each"})
_REACH = 8  # words between a cue and its object or subject, adjectives and adverbs included


class Candidate(NamedTuple):
    """A cue that stands in words first:last of a text; `own` of them are its own."""

    first: int
    last: int
    own: int
    cue: Cue


class CueEffect(NamedTuple):
    """A cue that takes effect: words first:last, and on which side it does what.

    Attributes:
        first: its first word.
        last: end-exclusive last word.
        side: forward, backward, value, or noun: of the noun that ends before it alone.
        effect: negated, excluded, uncertain or affirmed.
    """

    first: int
    last: int
    side: str
    effect: str


class Nouns:
    """Where the nouns and the fields ("Necrosis: ...") of a text stand.

    Args:
        reading: the text.

    Attributes:
        reading: the text.
        first: end-exclusive last word of each noun phrase by its first word.
        fields: end-exclusive last word of each label ("Necrosis", before a colon) by its first.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.first = reading.nouns
        self._last: dict[int, int] | None = None
        self.fields: dict[int, int] = {}
        if ":" in reading.text or "=" in reading.text:
            for i, gap in enumerate(reading.gaps):
                if ":" in gap or "=" in gap:
                    self.fields[_label(reading, self.last, i + 1)] = i + 1

    @property
    def last(self) -> dict[int, int]:
        """First word of each noun phrase by its end-exclusive last word."""
        if self._last is None:
            # A phrase stands behind its last noun in the reading, and takes its place here.
            self._last = {last: first for first, last in self.first.items()}
        return self._last

    def object(self, i: int) -> int:
        """Whether a noun follows directly at word i: 2 for one, 1 for a word unknown, 0 for no."""
        words = self.reading.words
        for j in range(i, min(len(words), i + _REACH)):
            gap = self.reading.gaps[j - 1]
            if gap != " " and gap not in HYPHENS and not (j == i and ":" in gap):
                return 0
            if j in self.fields:
                return 0
            if j in self.first:
                return 2
            word = words[j]
            if word.entry is not None or word.adverb or word.flags & DETERMINER:
                continue
            if not word.flags:
                return 1
            if word.lemma != "of":
                return 0
        return 0

    def subject(self, i: int) -> int:
        """Whether a noun ends directly before word i: 2 for one, 1 behind a comma, 0 for no.

        Auxiliary verbs and adverbs stand in between; what a verb or a preposition governs
        ("shows absent mucin") is no subject.
        """
        words = self.reading.words
        found, j, stop = 2, i - 1, max(0, i - _REACH)
        while j >= stop:
            gap = self.reading.gaps[j]
            if not END.isdisjoint(gap) and gap != ".":
                return 0
            if "," in gap:
                j = self.before_aside(j)
            if gap != " " and gap not in HYPHENS:
                found = 1
            if j + 1 in self.last:
                return found
            word = words[j]
            if not (word.lemma in AUXILIARIES or word.adverb or word.lemma in FLOATING):
                return 0 if word.flags or word.entry is not None else found
            j -= 1
        return 0

    def before_aside(self, i: int) -> int:
        """The word before an aside that ends with word i before a comma; i where none does.

        "Granulomas, however, are not seen", "necrosis, in this field, is absent".
        """
        words, gaps, j = self.reading.words, self.reading.gaps, i
        while j > 0 and gaps[j - 1] in SOFT:
            j -= 1
        if not j or gaps[j - 1] not in COMMAS:
            return i
        opens = words[j].adverb or words[j].flags & (PREPOSITION | BREAK)
        return j - 1 if opens or all(k + 1 not in self.last for k in range(j, i + 1)) else i

    def predicated(self, i: int) -> bool:
        """Whether the noun that follows at word i has a predicate of its own ("... present")."""
        words = self.reading.words
        for j in range(i, min(len(words), i + _REACH)):
            last = self.first.get(j)
            if last is not None:
                if last == len(words):
                    return False
                gap = self.reading.gaps[last - 1]
                if gap != " ":
                    return _SAYS.fullmatch(gap) is not None
                return any(
                    one.cue.backward or one.cue.value
                    for one in _walk(self.reading, last, len(words))
                )
        return False


def is_unknown(word: Word) -> bool:
    """Whether a word is of no table and no class: mostly a noun of everyday speech."""
    return not (word.flags or word.entry is not None or word.adverb)


def _label(reading: Reading, last: dict[int, int], end: int) -> int:
    """First word of the label that ends before word `end`: "Necrosis in nests and glands: ..."."""
    begin = last.get(end, end - 1)
    while begin > 0:
        gap = reading.gaps[begin - 1]
        before = begin
        if gap == " ":
            flags = reading.words[before - 1].flags
            while before and flags & (AND | OR | PREPOSITION | DETERMINER):
                before -= 1
                if not before or reading.gaps[before - 1] not in (" ", ", "):
                    break
                flags = reading.words[before - 1].flags
        if (before < begin or gap == ", ") and before in last:
            begin = last[before]
        else:
            break
    return begin


def find(reading: Reading, nouns: Nouns) -> tuple[list[CueEffect], set[int]]:
    """Return the cues of a text that take effect, and the words that close a scope."""
    words, gaps, count = reading.words, reading.gaps, len(reading.words)
    said: list[CueEffect] = []
    closers: set[int] = set()
    group: list[Candidate] = []  # cues that overlap, in words up to `reach`
    reach = 0
    for first, end, whole in reading.cues:
        if group and first >= reach:
            _choose(group, nouns, said, closers)
            group = []
        after = words[end] if end < count else None
        if (
            whole is not None
            and (whole.simple or end - first == 1)
            and first >= reach
            and (after is None or not (after.adverb or after.lemma in whole.follow))
        ):
            if whole.ends:
                closers.add(first)
            elif (
                whole.simple
                and not whole.hides
                and (not first or gaps[first - 1] == " ")
                and not (whole.value and (after is None or gaps[end - 1] != " "))
            ):
                said.append(_ahead(reading, first, end, whole))
            elif not whole.hides:
                group, reach = [Candidate(first, end, end - first, whole)], end
            continue
        for i in range(first, end):
            if words[i].cue is not None:
                group += _walk(reading, i, end)
        if group:
            reach = max(reach, *(one.last for one in group))
    if group:
        _choose(group, nouns, said, closers)
    if len(said) > 1 and sum(one.effect in _DENIES for one in said) > 1:
        said = _doubled(sorted(said), reading)
    return said, closers


def _inside(reading: Reading, last: int) -> bool:
    """Whether a cue that ends at `last` reaches into something else: "free" into "free nuclei"."""
    return any(
        item.first < last < item.last and (item.entry.kind > NOUN or item.last - item.first > 1)
        for item in reading.items
        if item.entry.kind != CUE
    )


def _walk(reading: Reading, first: int, end: int) -> list[Candidate]:
    """Return the cues that start at a word; adverbs may stand between their words.

    A shorter one is left out where a longer one has all of its sides.

    Args:
        reading: the text.
        first: the word.
        end: end-exclusive last word of the table hit it is in.
    """
    words, gaps, here = reading.words, reading.gaps, reading.words[first].cue
    found: list[Candidate] = []
    i, count = first + 1, 1
    while here is not None:
        cue = here.entry
        if cue is not None and not (i > end and _inside(reading, i)):
            if found and (cue.hides or (cue.forward and not found[-1].cue.backward)):
                found.pop()
            found.append(Candidate(first, i, count, cue))
        after, following = None, here.next
        if following:
            for j in range(i, min(len(words), i + 3)):
                if gaps[j - 1] not in BINDING:
                    break
                after = following.get(words[j].lemma)
                if after is not None or not words[j].adverb:
                    break
        if after is None:
            break
        here, i, count = after, j + 1, count + 1
    return found


def _choose(group: list[Candidate], nouns: Nouns, said: list[CueEffect], closers: set[int]) -> None:
    """Add what overlapping cues say: the longest that has something to deny, and so on."""
    alone = len(group) == 1
    if not alone:
        group = sorted(group, key=lambda one: (-one.own, -one.last))
    while group:
        for best in group:
            cue = best.cue
            side = "" if cue.hides or cue.ends else _side(best, nouns, alone)
            if side is not None:
                break
        else:
            return
        if cue.ends:
            closers.add(best.first)
        elif side == "forward":
            said.append(_ahead(nouns.reading, best.first, best.last, cue))
        elif side:
            effect = (cue.value if side == "value" else "") or cue.backward or cue.forward
            said.append(CueEffect(best.first, best.last, side, effect))
        group = [one for one in group if one.last <= best.first or one.first >= best.last]


# Ask where a clause opens with them in their base form, and deny elsewhere.
_REQUESTS = frozenset({"exclude", "rule"})


def _ahead(reading: Reading, first: int, last: int, cue: Cue) -> CueEffect:
    """What a cue says of what follows it: "rule out granuloma" asks, "it rules out" denies."""
    effect, word = cue.forward, reading.words[first]
    if effect == "excluded" and word.lemma in _REQUESTS and not word.plural:
        if not first or reading.gaps[first - 1] not in SOFT:
            effect = "uncertain"
    return CueEffect(first, last, "forward", effect)


def _side(one: Candidate, nouns: Nouns, alone: bool) -> str | None:
    """On which side a cue takes effect; None where it has nothing to deny.

    Args:
        one: the cue.
        nouns: nouns of its text.
        alone: whether no other cue overlaps it: its scope will tell whether there is anything.
    """
    cue = one.cue
    reading = nouns.reading
    before = reading.gaps[one.first - 1] if one.first else ""
    if (
        before not in ("", " ")
        and _SAYS.fullmatch(before)
        and (one.first in nouns.last or ":" in before)
    ):
        follows = nouns.object(one.last)
        if cue.forward and (
            (follows == 2 and not (cue.backward and nouns.predicated(one.last)))
            or (follows == 1 and not cue.backward)
        ):
            return "forward"
        if cue.backward or (cue.value and not cue.forward) or _ends(reading, one):
            return "value"
    if cue.value and before == " " and cue.value != "affirmed" and one.first in nouns.last:
        if _ends(reading, one):  # "Necrosis none, mitoses present."
            return "value"
    if cue.forward and cue.backward:
        subject = nouns.subject(one.first)
        follows = nouns.object(one.last) if subject else 1
        if not follows:
            return "backward"
        if subject < 2 or (follows == 2 and not nouns.predicated(one.last)):
            return "forward"
        return "backward"
    if cue.forward:
        return "forward" if alone or nouns.object(one.last) or _any_noun(nouns, one.last) else None
    if cue.backward:
        return "backward" if alone or nouns.subject(one.first) else None
    return None


def _ends(reading: Reading, one: Candidate) -> bool:
    """Whether a clause ends behind a cue."""
    return _ENDS.match(reading.text, reading.ends[one.last - 1]) is not None


def _any_noun(nouns: Nouns, i: int) -> bool:
    """Whether a noun follows in the sentence."""
    words = nouns.reading.words
    for j in range(i, min(len(words), i + _REACH)):
        gap = nouns.reading.gaps[j - 1]
        if (not END.isdisjoint(gap) and gap != ".") or words[j].flags & BREAK:
            return False
        if j in nouns.first:
            return True
    return False


_DENIES = ("negated", "excluded")


def _doubled(said: list[CueEffect], reading: Reading) -> list[CueEffect]:
    """What is denied twice: "no loss of nuclei" has nuclei, "not fully ruled out" leaves doubt."""
    kept: list[CueEffect] = []
    for one in said:
        before = kept[-1] if kept else None
        if (
            before is not None
            and before.side == "forward"
            and before.effect in _DENIES
            and one.effect in _DENIES
            and _touch(reading, before.last, one.first)
        ):
            kept.pop()
            if one.effect == "excluded":
                kept.append(one._replace(effect="uncertain"))
        else:
            kept.append(one)
    return kept


def _touch(reading: Reading, first: int, last: int) -> bool:
    """Whether nothing but adverbs, adjectives and determiners stands in words first:last."""
    words = reading.words
    return all(reading.gaps[i] == " " for i in range(first - 1, last)) and all(
        words[i].adverb
        or words[i].flags & DETERMINER
        or ((entry := words[i].entry) is not None and entry.kind < NOUN)
        for i in range(first, last)
    )


def of_stain(reading: Reading, said: CueEffect) -> bool:
    """Whether "negative" tells of a stain: "CD20: tumor cells are negative."."""
    words = reading.words
    if all(words[i].lemma not in ("negative", "neg") for i in range(said.first, said.last)):
        return False
    begin, end = _sentence(reading, said.first)
    return any(
        begin <= item.first < end
        and (item.entry.kind == OTHER or (item.entry.kind == FACT and item.entry.fact == "stain"))
        for item in reading.items
    )


def _sentence(reading: Reading, i: int) -> tuple[int, int]:
    """First and end-exclusive last word of the sentence that word i stands in."""
    begin = end = i
    while begin and (END.isdisjoint(gap := reading.gaps[begin - 1]) or gap == "."):
        begin -= 1
    last = len(reading.words) - 1
    while end < last and (END.isdisjoint(gap := reading.gaps[end]) or gap == "."):
        end += 1
    return begin, end + 1
