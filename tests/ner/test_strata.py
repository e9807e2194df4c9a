import pytest

import ner
from ner.strata import strata_of


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        (
            "65-year-old woman, invasive ductal carcinoma of the breast, grade 2 (H&E, x400).",
            {
                "organ": "breast",
                "system": "breast",
                "stain": "h&e",
                "magnification": "high",
                "subtype": "invasive ductal carcinoma",
                "grade": "grade 2",
                "age": "60-69",
                "sex": "female",
            },
        ),
        ("Renal biopsy, PAS, 20x.", {
            "organ": "kidney", "system": "genitourinary", "specimen": "biopsy", "stain": "pas",
            "magnification": "medium",
        }),
        ("Gleason score 3+4, stage pT2N0.", {"grade": "gleason 7", "stage": "stage t2"}),
        ("Stage IIIA, poorly differentiated.", {"stage": "stage 3", "grade": "high grade"}),
        ("No evidence of adenocarcinoma in this resection.", {"specimen": "resection"}),
        ("He said he is sure; HE stain.", {"stain": "h&e"}),
        ("It measured 3 x 4 cm, 10 years ago.", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_what_captions_say(caption, expected):
    found = strata_of(caption, {})
    assert {s.dimension: s.value for s in found} == expected
    assert all(s.origin == "caption" for s in found)


def test_spans_slice_to_what_was_read():
    caption = "Fine needle aspirate of the thyroid at low power."
    spans = {s.dimension: caption[s.start : s.end] for s in strata_of(caption, {})}
    assert spans == {
        "organ": "thyroid",
        "system": "thyroid",
        "magnification": "low power",
        "specimen": "Fine needle aspirate",
    }


def test_side_columns_come_before_the_caption():
    meta = {"magnification": "low", "pathology": ["Pulmonary"], "scanner": "GT450"}
    found = {s.dimension: s for s in strata_of("At 40x.", meta)}
    assert found["magnification"].value == "low"
    assert found["magnification"].start is None
    assert found["system"].value == "thoracic"
    assert found["system"].origin == "pathology"
    assert found["scanner"].value == "gt450"


def test_the_organ_named_wins_over_the_subspecialty():
    found = {s.dimension: s.value for s in strata_of("Liver.", {"pathology": ["Pulmonary"]})}
    assert found == {"organ": "liver", "system": "gastrointestinal"}


@pytest.mark.parametrize(
    ("caption", "organ"),
    [
        ("Renal cortex with hepatocytes.", "kidney"),
        ("Kidney biopsy with hepatocytes.", "kidney"),
        ("Gastric mucosa with hepatocytes.", "stomach"),
        ("Pulmonary adenocarcinoma beside hepatocytes.", "lung"),
        ("Kidney with liver cells.", "kidney"),
        # Where no word names the organ, a diagnosis does, and then the structures.
        ("Thyroiditis with hepatocytes.", "thyroid"),
        ("Meningioma with hepatocytes.", "brain"),
        ("Glomeruli and podocytes.", "kidney"),
        ("Trabecular bone and fat.", "bone"),
        ("Epidermis with keratin.", "skin"),
        # A term that only sounds like an organ.
        ("Cortical bone.", "bone"),
        ("Alveolar soft part sarcoma.", None),
        ("Metastatic melanoma.", None),
        ("No liver tissue is seen, only fat.", None),
    ],
)
def test_the_site_guard_sees_what_the_strata_see(caption, organ):
    found = {s.dimension: s.value for s in strata_of(caption, {})}
    extraction = ner.extract(caption)
    sites = [fact.value for fact in extraction.facts if fact.kind == "site"]
    assert found.get("organ") == (sites[0] if sites else None) == organ
    for mention in extraction.mentions:
        if mention.concept == "hepatocyte":
            assert mention.reason == "finding"


@pytest.mark.parametrize(
    "caption",
    [
        "No lymphoma.",
        "The differential includes lymphoma.",
        "Lymphoma cannot be excluded.",
        "Lymphoma: absent.",
    ],
)
def test_what_is_denied_or_doubted_is_no_stratum(caption):
    assert strata_of(caption, {}) == []


@pytest.mark.parametrize(
    ("caption", "fact", "stratum"),
    [
        ("At 25x.", "25x", "high"),
        ("(x 400)", "400x", "high"),
        ("Original magnification \u00d7100", "100x", "high"),
        ("2.5 x objective", "2.5x", "low"),
        ("2.5x", "2.5x", "low"),
        ("10&times;", "10x", "medium"),
        ("Scanning power.", "low power", "low"),
        ("3 x 4 cm", None, None),
    ],
)
def test_magnifications(caption, fact, stratum):
    facts = ner.extract(caption).facts
    assert [f.value for f in facts if f.kind == "magnification"] == ([fact] if fact else [])
    found = {s.dimension: s.value for s in strata_of(caption, {})}
    assert found.get("magnification") == stratum


@pytest.mark.parametrize(
    ("caption", "stain"),
    [
        ("Ki-67 in 20% of nuclei.", "immunohistochemistry"),
        ("HER2, H&E.", "h&e"),
        ("CD20+ B cells.", "immunohistochemistry"),
        ("ER-, PR-, HER2- carcinoma.", None),
        ("ER-positive, HER2 (3+).", None),
        ("FISH shows HER2.", "in situ hybridization"),
        ("A school of fish.", None),
        ("Mucicarmine.", "mucicarmine"),
        ("Stained with H &amp; E.", "h&e"),
        ("Periodic\nacid Schiff.", "pas"),
    ],
)
def test_stains(caption, stain):
    assert {s.dimension: s.value for s in strata_of(caption, {})}.get("stain") == stain


@pytest.mark.parametrize(
    ("caption", "organ"),
    [
        ("A mass of the left hand.", "limb"),
        ("The foot of a 45-year-old man.", "limb"),
        ("The heart of a child.", "heart"),
        ("The heart of the matter.", None),
        ("Hand mirror.", None),
        ("On the right hand side.", None),
    ],
)
def test_words_of_everyday_speech(caption, organ):
    assert {s.dimension: s.value for s in strata_of(caption, {})}.get("organ") == organ
