from miner.barrier.negatives import negatives


def mention(concept, polarity="affirmed", reason=None):
    return {"concept": concept, "polarity": polarity, "reason": reason, "start": 3, "end": 9}


def candidate(concept, roles, score, reason=None):
    return {"concept": concept, "roles": roles, "score": score, "reason": reason}


def test_a_denied_concept_is_a_negative_unless_the_picture_contradicts():
    mentions = [mention("necrosis", "negated"), mention("gland", "negated")]
    candidates = [candidate("necrosis", ["negated"], 0.1), candidate("gland", ["negated"], 0.8)]
    found = negatives(mentions, candidates, absent_below=0.5)
    assert found == [{"concept": "necrosis", "why": "negated", "start": 3, "end": 9}]


def test_a_decoy_counts_when_nothing_convincing_was_found_and_no_caption_names_it():
    candidates = [
        candidate("fat", ["decoy"], None, "empty"),
        candidate("mucin", ["decoy"], 0.9),
        candidate("keratin", ["decoy"], 0.1),
    ]
    found = negatives([mention("keratin", "uncertain")], candidates, absent_below=0.5)
    assert found == [{"concept": "fat", "why": "decoy", "start": None, "end": None}]


def test_what_cannot_be_in_that_organ_is_a_finding():
    found = negatives([mention("hepatocyte", reason="finding")], [], absent_below=0.5)
    assert [n["why"] for n in found] == ["site"]


def test_absence_needs_an_answer():
    mentions = [mention("necrosis", "negated"), mention("gland", "negated")]
    candidates = [
        candidate("necrosis", ["negated"], None, "unsupported"),
        candidate("gland", ["negated"], None, "empty"),
        candidate("fat", ["decoy"], None, "failed:RuntimeError"),
    ]
    found = negatives(mentions, candidates, absent_below=0.5)
    assert [n["concept"] for n in found] == ["gland"]
