"""Whether a phrase is affirmed, negated or uncertain: cues with scope.

In the manner of NegEx and ConText, but on noun phrases; `ner.cues` tells which cues take effect and
on which side. A forward cue ("no", "lack of") reaches to the first of: the end of the sentence, a
word that opens another clause ("but", "which"), a finite verb or a preposition of place after the
first phrase ("no mucin in the cytoplasm"), a comma that does not continue a list, the label of
another field ("Mitoses: ..."). A backward cue ("is absent", "cannot be excluded") reaches back over
its subject, a list of nouns or what stands behind the last comma ("stroma with lymphocytes,
necrosis absent"), a value ("Necrosis: none") over its label.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

from ner.cues import (
    AUXILIARIES,
    END,
    FLOATING,
    CueEffect,
    Nouns,
    find,
    is_unknown,
    of_stain,
)
from ner.phrases import Phrase, Reading
from ner.signs import has_signs, signs
from ner.tokens import COMMAS, HYPHENS, SOFT
from ner.vocabulary import AND, BREAK, CHUNK, DETERMINER, FACT, NOUN, OR, PREPOSITION, SITE, VERB

_REACH = 40  # words; no cue reaches farther, so that run-on text is read in linear time
# Between statements without a full stop: a dash with blanks around it, a bullet, a bar.
_APART = re.compile(r"[\u2014\u2022\u00b7*|]|\s[-\u2013]\s")
AFFIRMED, NEGATED, UNCERTAIN = "affirmed", "negated", "uncertain"


def polarities(reading: Reading) -> tuple[list[str], list[str]]:
    """Return the polarity of each phrase and of each fact of a reading, in order.

    What is said of a picture as a whole is harder to deny than a structure in it: of facts, stain,
    magnification and specimen are negated only by a cue right before them ("no H&E"), a site as
    well ("unlike the kidney"), a diagnosis by all cues.
    """
    phrases, facts = reading.phrases, reading.facts
    result, stated = [AFFIRMED] * len(phrases), [AFFIRMED] * len(facts)
    if not phrases and not facts:
        return result, stated
    if "or" in reading.text or "OR" in reading.text:
        _alternatives(reading, phrases, result)
        if len(facts) > 1:
            _of_diagnoses(_alternatives, reading, stated)
    signed = has_signs(reading.text)
    if reading.cues or signed:
        nouns = Nouns(reading)
        said, closers = find(reading, nouns)
        if signed:
            said += signs(reading, nouns)
        if said:
            _apply(reading, said, nouns, closers, result, stated)
    if "?" in reading.text:
        _questions(reading, phrases, result)
        _of_diagnoses(_questions, reading, stated)
    return result, stated


_effect = operator.attrgetter("effect")


def _apply(
    reading: Reading,
    said: list[CueEffect],
    nouns: Nouns,
    closers: set[int],
    result: list[str],
    stated: list[str],
) -> None:
    """Write what cues say into the polarities of phrases (`result`) and facts (`stated`)."""
    phrases = {phrase.last: i for i, phrase in enumerate(reading.phrases)}
    facts: dict[int, list[int]] = {}
    for i, fact in enumerate(reading.facts):
        facts.setdefault(fact.last, []).append(i)
    if len(said) > 1:
        # Against the alphabet: what denies overrules doubt, what a label says overrules both.
        said.sort(key=_effect, reverse=True)
    for one in said:
        if one.side == "forward":
            begin, end = one.last, _forward(reading, one, nouns, closers)
        elif one.side == "noun":
            begin, end = nouns.last[one.first], one.first
        elif of_stain(reading, one):
            continue
        else:
            begin, end = _backward(reading, one, nouns)
        effect = NEGATED if one.effect == "excluded" else one.effect
        for last in range(begin + 1, end + 1):
            if last in phrases:
                result[phrases[last]] = effect
            for i in facts.get(last, ()) if facts else ():
                if _concerns(reading, reading.facts[i], one, nouns):
                    stated[i] = effect


def _of_diagnoses(
    rule: Callable[[Reading, list[Phrase], list[str]], None], reading: Reading, stated: list[str]
) -> None:
    """Apply a rule for phrases to the facts that state diagnoses."""
    chosen = [i for i, fact in enumerate(reading.facts) if fact.entry.fact == "diagnosis"]
    said = [stated[i] for i in chosen]
    rule(reading, [reading.facts[i] for i in chosen], said)
    for i, polarity in zip(chosen, said, strict=True):
        stated[i] = polarity


def _concerns(reading: Reading, fact: Phrase, said: CueEffect, nouns: Nouns) -> bool:
    """Whether what is said within reach of a fact is said of it."""
    kind = fact.entry.fact
    if kind == "diagnosis":
        return True
    if said.side != "forward" or fact.entry.kind not in (SITE, FACT):
        return False
    if kind != "site" and said.effect not in ("negated", "excluded"):
        return False
    if fact.last in nouns.first and reading.gaps[fact.last - 1] == " ":
        return False  # "no lung adenocarcinoma"
    return not any(
        reading.words[i].flags & (PREPOSITION | VERB) and reading.words[i].lemma != "of"
        for i in range(said.last, fact.first)
    )


# Last words of cues that a noun follows; after others ("possibly") a verb may.
_BEFORE_NOUNS = frozenset(
    {"as", "for", "from", "like", "no", "of", "than", "to", "with", "without"}
)


# First words of cues that a list without "and" may follow.
_LISTING = frozenset({"d", "dd", "ddx", "differential"})


def _forward(reading: Reading, cue: CueEffect, nouns: Nouns, closers: set[int]) -> int:
    """End-exclusive last word that a cue reaches after it."""
    words, gaps = reading.words, reading.gaps
    # "does not reach into the dermis" negates a verb, and nothing about the dermis.
    verbal = words[cue.last - 1].lemma in ("not", "t")
    nominal = words[cue.last - 1].lemma in _BEFORE_NOUNS
    passed = False  # whether the noun phrase after the cue has been passed
    aside = False  # whether a preposition stands before it
    i = cue.last
    stop = min(len(words), i + _REACH)
    fields, after = nouns.fields, nouns.first
    # "Absent: glands, mucin, fat.", "DD abscess, granuloma."
    listed = i < stop and (":" in gaps[i - 1] or words[cue.first].lemma in _LISTING)
    while i < stop:
        gap = gaps[i - 1]
        if gap != " " and gap not in HYPHENS:
            if not END.isdisjoint(gap) and gap != "." and words[i - 1].lemma != "vs":
                break
            if passed and (
                (")" in gap and "(" not in gap)
                or ("," in gap and not (listed or _continues(reading, i, nouns.first)))
                or _APART.search(gap)
            ):
                break
        if i in fields:
            break
        last = after.get(i)
        if last is not None:
            i, passed = last, True
            continue
        word = words[i]
        flags = word.flags
        if flags & BREAK or i in closers:
            break
        if passed:
            if (
                flags & VERB
                or (flags & PREPOSITION and word.lemma not in ("of", "or"))
                or (flags & AND and _new_clause(reading, i + 1, nouns.first))
            ):
                break
        elif flags & PREPOSITION:
            if verbal and word.lemma != "of":
                break
            aside = True
        elif nominal and not aside and is_unknown(word):
            # "Like beads on a string", but not in an aside ("may be, to our surprise, ...").
            passed = True
        i += 1
    return i


def _continues(reading: Reading, i: int, nouns: Mapping[int, int]) -> bool:
    """Whether the comma before word i continues a list that an "or" or "and" closes."""
    words = reading.words
    end = min(len(words), i + _REACH)
    while i < end:
        flags = words[i].flags
        last = nouns.get(i)
        if flags & (OR | AND):
            return not _new_clause(reading, i + 1, nouns) if flags & AND else True
        if last is not None:
            i = last
        elif flags & (VERB | BREAK | PREPOSITION | DETERMINER) and words[i].lemma != "of":
            return False
        else:
            i += 1
        if i < len(words):
            gap = reading.gaps[i - 1]
            if not END.isdisjoint(gap):
                return False
    return False


def _new_clause(reading: Reading, i: int, nouns: Mapping[int, int]) -> bool:
    """Whether what follows "and" is a statement of its own."""
    words = reading.words
    if i >= len(words):
        return True
    if words[i].flags & (DETERMINER | VERB | PREPOSITION | BREAK):
        return True
    for j in range(i, min(i + 6, len(words))):
        after = nouns.get(j)
        if after is not None:
            return (
                after < len(words)
                and bool(words[after].flags & VERB)
                and reading.gaps[after - 1] == " "
            )
    return False


def _backward(reading: Reading, cue: CueEffect, nouns: Nouns) -> tuple[int, int]:
    """Words of the subject before a cue: the glands in "glands in the stroma are absent".

    The subject of a value is its label: "Mitoses: 3, necrosis: none".
    """
    words = reading.words
    value = cue.side == "value"
    verb = value or _is_predicate(reading, cue)
    free: tuple[int, int] | None = None  # words that no preposition governs
    end, near = cue.first, False  # whether a phrase stands in words i + 1:end
    named = False  # whether a noun that is in no table does
    i = cue.first - 1
    while i >= max(0, cue.first - _REACH):
        if not (value and i == cue.first - 1):
            gap = reading.gaps[i]
            if (not END.isdisjoint(gap) and gap != ".") or ":" in gap or "=" in gap:
                break
            if "," in gap:
                if (free or near or named) and not _lists(reading, i, nouns.last):
                    break
                before = i if free or near or named else nouns.before_aside(i)
                if before < i:
                    i, end = before, before + 1
            if value and gap != " " and gap not in HYPHENS:
                if gap not in COMMAS or i + 1 not in nouns.last:
                    break
        first = nouns.last.get(i + 1)
        if first is not None:
            i, near = first - 1, True
            if value and nouns.fields.get(first) == cue.first:
                break
            continue
        flags = words[i].flags
        if flags & BREAK or (flags & VERB and near):
            break
        if flags & PREPOSITION and near and words[i].lemma != "of":
            if not verb:
                break
            free, end, near = free or (i + 1, end), i, False
        named = named or is_unknown(words[i])
        i -= 1
    return (i + 1, end) if near or free is None else free


def _is_predicate(reading: Reading, cue: CueEffect) -> bool:
    """Whether a cue is or follows an auxiliary: "... are absent", "... was not clearly seen"."""
    words = reading.words
    first = cue.first
    while first and reading.gaps[first - 1] == " ":
        before = words[first - 1]
        if not (before.adverb or before.lemma in FLOATING):
            break
        first -= 1
    return words[cue.first].lemma in AUXILIARIES or (
        first > 0 and words[first - 1].lemma in AUXILIARIES
    )


def _lists(reading: Reading, i: int, nouns: Mapping[int, int]) -> bool:
    """Whether the comma behind word i stands in a list of subjects, not between statements.

    "Necrosis, mitoses and granulomas are absent" is a list; "stroma with lymphocytes, necrosis
    absent", "nests of tumor cells, necrosis absent" and "no mucin, necrosis absent" are not.

    Args:
        reading: the text.
        i: the word before the comma.
        nouns: first word of each noun phrase by its end-exclusive last word.
    """
    words, gaps = reading.words, reading.gaps
    after = i + 2 if words[i + 1].flags & AND else i + 1
    if after < len(words) and words[after].flags & (DETERMINER | PREPOSITION | BREAK):
        return False  # "and in this case ...", "the ..."
    if i + 1 not in nouns and (entry := words[i].entry) is not None and entry.kind < NOUN:
        return False  # "crypts elongated, ..."
    joined = after > i + 1 or _is_joined(reading, i + 1)
    count = 0  # nouns
    while i >= 0:
        word, first = words[i], nouns.get(i + 1)
        if first is not None:
            i, count = first, count + 1
        elif word.flags & BREAK or word.lemma == "that":
            return True  # "but necrosis, ..."
        elif is_unknown(word):
            count += 1
        elif word.flags & PREPOSITION:
            # "In this field necrosis, mitoses and granulomas are absent."
            if not joined or (word.lemma != "of" and count < 2):
                return False
        elif word.flags & (VERB | AND | OR) or word.cue is not None:
            return False
        i -= 1
        if i < 0 or gaps[i] not in SOFT:
            break
    return True


def _is_joined(reading: Reading, i: int) -> bool:
    """Whether "and" or "or" stands between word i and the next comma or stop."""
    for j in range(i, min(len(reading.words), i + _REACH)):
        if reading.words[j].flags & (AND | OR):
            return True
        if reading.gaps[j] not in SOFT:
            break
    return False


def _alternatives(reading: Reading, phrases: list[Phrase], result: list[str]) -> None:
    """Phrases joined by "or" are alternatives: each is uncertain."""
    for index in range(len(phrases) - 1):
        left, right = phrases[index], phrases[index + 1]
        if right.first - left.last == 1 and reading.words[left.last].flags & OR:
            result[index] = result[index + 1] = UNCERTAIN


# A question asks whether something is there; "what is this tissue?" takes it for granted.
_ASKS = frozenset(
    {"is", "are", "was", "were", "do", "does", "did", "can", "could", "any", "has", "have"}
)
_GIVEN = frozenset({"the", "this", "these", "that", "those"})


def _questions(reading: Reading, phrases: list[Phrase], result: list[str]) -> None:
    """What a yes-or-no question asks for is uncertain; so are nouns alone with a question mark."""
    first, asked = 0, False
    index = 0
    for i, word in enumerate(reading.words):
        if i == first:
            asked = word.lemma in _ASKS
        gap = reading.gaps[i]
        if END.isdisjoint(gap) and i + 1 < len(reading.words):
            continue
        while index < len(phrases) and phrases[index].last <= i + 1:
            phrase = phrases[index]
            before = reading.words[phrase.first - 1].lemma if phrase.first > first else ""
            if "?" in gap and before not in _GIVEN and result[index] == AFFIRMED:
                if asked or _is_bare(reading, phrase.first, i):
                    result[index] = UNCERTAIN
            index += 1
        first = i + 1


def _is_bare(reading: Reading, first: int, last: int) -> bool:
    """Whether words first:last + 1, which a question mark ends, are nouns alone: "granuloma?".

    An answer behind the mark ("Mitoses? Yes.") is what counts.
    """
    words, gaps = reading.words, reading.gaps
    if last - first > _REACH or not gaps[last].startswith("?"):
        return False
    if any(gaps[i] not in SOFT for i in range(first, last)):
        return False
    if last + 1 < len(words) and (cue := words[last + 1].cue) is not None and cue.entry is not None:
        return False
    start = first
    while start > last - _REACH and start and gaps[start - 1] in SOFT:
        start -= 1
    return all(
        word.lemma in ("a", "an", "any", "of")
        or word.flags & (AND | OR)
        or (word.entry is not None and word.entry.kind < CHUNK)
        for word in words[start : last + 1]
    )
