from miner.barrier.states import ignored, negatives, states
from ner.families import related


def mention(concept, polarity="affirmed", reason=None):
    return {"concept": concept, "polarity": polarity, "reason": reason, "start": 3, "end": 9}


def candidate(concept, roles, score, reason=None, presence=0.0, keep=False, failed=None):
    area = 0 if score is None else 20
    return {
        "concept": concept, "roles": roles, "score": score, "reason": reason, "keep": keep,
        "presence": presence, "failed": failed, "segmenter": "stain", "area_px": area,
    }  # fmt: skip


def found(mentions, candidates, grounded=(), absent_below=0.5, facts=()):
    rows = states(mentions, candidates, set(grounded), absent_below, facts)
    return {row["concept"]: (row["state"], row["why"]) for row in rows}


def absent(mentions, candidates):
    return negatives(mentions, states(mentions, candidates, set(), 0.5))


def test_a_denied_concept_is_a_negative_unless_the_picture_contradicts():
    mentions = [mention("necrosis", "negated"), mention("gland", "negated")]
    candidates = [candidate("necrosis", ["negated"], 0.1), candidate("gland", ["negated"], 0.8)]
    assert absent(mentions, candidates) == [
        {"concept": "necrosis", "why": "negated", "start": 3, "end": 9}
    ]
    assert found(mentions, candidates) == {
        "necrosis": ("absent", "negated"),
        "gland": ("unknown", "found"),
    }


def test_a_decoy_counts_when_nothing_convincing_was_found_and_no_caption_names_it():
    mentions = [mention("keratin", "uncertain")]
    candidates = [
        candidate("fat", ["decoy"], None, "empty"),
        candidate("mucin", ["decoy"], 0.9),
        candidate("keratin", ["decoy"], 0.1),
    ]
    assert absent(mentions, candidates) == [
        {"concept": "fat", "why": "decoy", "start": None, "end": None}
    ]
    assert found(mentions, candidates)["keratin"] == ("unknown", "uncertain")


def test_a_decoy_is_absent_where_it_is_known_to_be_found_or_cannot_be():
    def site(organ, start=None, end=None):
        return {"kind": "site", "value": organ, "start": start, "end": end}

    missed = [candidate("hepatocyte", ["decoy"], None, "empty", presence=None)]
    seen = [candidate("hepatocyte", ["decoy"], None, "empty", presence=0.1)]
    unmeasured, absent = ("unknown", "unmeasured"), ("absent", "decoy")
    assert found([], missed)["hepatocyte"] == unmeasured
    assert found([], seen)["hepatocyte"] == absent
    assert found([], missed, facts=[site("kidney")])["hepatocyte"] == absent
    assert found([], seen, facts=[site("liver")])["hepatocyte"] == ("unknown", "at_home")
    # "glomeruli", words 3 to 9, are all that tells of a kidney.
    told = [site("kidney", 3, 9)]
    assert found([mention("glomerulus")], missed, facts=told)["hepatocyte"] == unmeasured


def test_what_is_denied_is_absent_where_nothing_was_found():
    mentions = [mention("mucin", "negated")]
    for score, reason, expected in (
        (None, "empty", ("absent", "negated")),
        (0.1, None, ("unknown", "found")),  # nobody knows how often such a mask is right
    ):
        answers = [candidate("mucin", ["negated"], score, reason, presence=None)]
        assert found(mentions, answers)["mucin"] == expected


def test_what_cannot_be_in_that_organ_is_a_finding_and_not_known_to_be_absent():
    mentions = [mention("hepatocyte", reason="finding")]
    assert [n["why"] for n in absent(mentions, [])] == ["site"]
    assert found(mentions, []) == {"hepatocyte": ("unknown", "finding")}


def test_absence_needs_an_answer():
    mentions = [mention("necrosis", "negated"), mention("gland", "negated")]
    candidates = [
        candidate("necrosis", ["negated"], None, "unsupported", None),
        candidate("gland", ["negated"], None, "empty"),
        candidate("fat", ["decoy"], None, "failed:RuntimeError", None),
    ]
    assert [n["concept"] for n in absent(mentions, candidates)] == ["gland"]
    known = found(mentions, candidates)
    assert known["necrosis"] == ("unknown", "unsupported")
    assert known["fat"] == ("unknown", "failed:RuntimeError")


def test_a_segmenter_that_misses_it_often_confirms_nothing():
    mentions = [mention("mucin", "negated")]
    often_missed = [candidate("mucin", ["negated"], None, "empty", presence=0.6)]
    assert found(mentions, often_missed) == {"mucin": ("unknown", "missed")}
    (row,) = states(mentions, often_missed, set(), 0.5)
    assert row["p"] == 0.6


def test_nothing_is_absent_that_is_kin_to_something_there_or_affirmed_elsewhere():
    assert related("epithelial nucleus", "nucleus", _table())
    mentions = [mention("nucleus"), mention("fat", "negated")]
    candidates = [
        candidate("nucleus", ["positive"], 0.9, keep=True),
        candidate("epithelial nucleus", ["decoy"], None, "empty"),
        candidate("fat", ["negated", "positive"], None, "empty"),
        candidate("keratin", ["negated"], None, "empty"),
    ]
    assert found(mentions, candidates, ["nucleus"]) == {
        "nucleus": ("present", "region"),
        "fat": ("unknown", "affirmed_elsewhere"),
        "epithelial nucleus": ("unknown", "kin"),
        "keratin": ("unknown", "denied_elsewhere"),
    }


def test_what_is_affirmed_without_a_mask_stays_unknown_and_says_why():
    mentions = [mention("gland"), mention("nerve"), mention("fat", reason="scale")]
    candidates = [candidate("gland", ["positive"], 0.3, "low_score", failed="low_score")]
    assert found(mentions, candidates) == {
        "gland": ("unknown", "low_score"),
        "nerve": ("unknown", "not_asked"),
        "fat": ("unknown", "scale"),
    }
    rows = ignored(mentions, candidates, states(mentions, candidates, set(), 0.5))
    assert [r["concept"] for r in rows] == ["gland"]


def _table():
    from ner.concepts import concepts

    return concepts()
