import re

import pytest

import ner
from ner.concepts import concepts
from ner.tokens import words
from ner.vocabulary import read_table, vocabulary
from ner.words import fold, singular

STAINS = {"basophilic", "eosinophilic", "clear", "red", "brown", "black", "mixed"}
BIOMEDPARSE = {
    "neoplastic cells",
    "inflammatory cells",
    "connective tissue cells",
    "epithelial cells",
}


def test_the_table_is_large_enough():
    table = concepts()
    forms = {form for concept in table.values() for form in (concept.name, *concept.forms)}
    assert len(table) >= 400
    assert len(forms) >= 2500


def test_organs_are_no_structures():
    """Soft tissue is fat and muscle as well: an organ's name, and no structure to outline."""
    said = ner.extract("The soft tissue exhibits fat and fibrous stroma.")
    assert [mention.concept for mention in said.mentions] == ["fat", "stroma"]
    assert [fact.value for fact in said.facts] == ["soft tissue"]


@pytest.mark.parametrize("name", concepts())
def test_schema(name):
    concept = concepts()[name]
    sites = {row["name"] for row in read_table("context") if row["kind"] == "site"}
    sites |= {"bone", "soft tissue", "nerve", "skeletal muscle"}
    assert concept.name == name == name.lower()
    assert re.fullmatch(r"[a-z][a-z ]*", name)
    assert concept.kind in ("object", "stuff")
    assert concept.parent is None or concept.parent in concepts()
    assert concept.parent != name
    assert set(concept.part_of) <= set(concepts())
    assert set(concept.sites) <= sites
    assert set(concept.not_sites) <= sites
    assert not set(concept.sites) & set(concept.not_sites)
    assert concept.stain in STAINS
    assert set(concept.biomedparse) <= BIOMEDPARSE
    assert concept.head in ("", "empty", "loose", "bound", "tumor")
    assert concept.umls is None or re.fullmatch(r"C\d{7}", concept.umls)
    assert concept.wordings
    if concept.size_um:
        smallest, largest = concept.size_um
        assert 0 < smallest < largest <= 10_000
    for form in concept.forms:
        assert form == form.lower() == form.strip()
        assert form != name


def test_parents_make_a_tree():
    for name in concepts():
        seen = []
        at = name
        while at is not None:
            assert at not in seen, seen
            seen.append(at)
            at = concepts()[at].parent


def test_no_form_means_two_things():
    owner = {}
    for concept in concepts().values():
        for form in (concept.name, *concept.forms):
            assert owner.setdefault(form, concept.name) == concept.name, form


def test_every_form_is_found_as_what_it_is():
    lost = {
        form: concept.name
        for concept in concepts().values()
        for form in (concept.name, *concept.forms)
        if (entry := vocabulary().find(form)) is None or entry.name != concept.name
    }
    assert lost == {}


@pytest.mark.parametrize("name", ["context", "words", "cues", "abbreviations", "speech"])
def test_tables_are_whole(name):
    rows = list(read_table(name))
    assert rows
    for row in rows:
        assert None not in row
        assert all(cell is not None for cell in row.values()), row


def test_words_come_from_known_concepts():
    for row in read_table("words"):
        assert row["concept"] == "" or row["concept"] in concepts(), row


def test_abbreviations_and_mishearings_lead_somewhere():
    for row in read_table("abbreviations"):
        assert vocabulary().find(row["long"]), row
        for word in filter(None, row["context"].split(";")):
            assert vocabulary().word(word).lemma == word
    for row in read_table("speech"):
        meant = vocabulary().find(row["meant"])
        for heard in row["heard"].split(";"):
            assert vocabulary().find(heard) == meant, heard


@pytest.mark.parametrize(
    ("surface", "folded"),
    [
        ("Tumour", "tumor"),
        ("OEDEMA", "edema"),
        ("leucocytes", "leukocytes"),
        ("haemosiderin", "hemosiderin"),
        ("anaemia", "anemia"),
        ("hyalinisation", "hyalinization"),
        ("fibres", "fibers"),
        ("trabeculae", "trabeculae"),
        ("comprised", "comprised"),
        ("ﬁbrous", "fibrous"),
        ("e\u0301pithe\u0301lium", "epithelium"),
    ],
)
def test_fold(surface, folded):
    assert fold(surface) == folded


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("nuclei", "nucleus"),
        ("lumina", "lumen"),
        ("mitoses", "mitosis"),
        ("septae", "septum"),
        ("septa", "septum"),
        ("bodies", "body"),
        ("stromata", "stroma"),
        ("abscesses", "abscess"),
        ("cornea", "cornea"),
    ],
)
def test_plurals(plural, expected):
    known = {"nucleus", "lumen", "mitosis", "septum", "body", "stroma", "abscess", "corneum"}
    assert (singular(plural, known) or plural) == expected


@pytest.mark.parametrize("form", ["goblet cell", "basement membrane", "lamina propria"])
def test_variants_are_one_form(form):
    hyphened = "-".join(words(form))
    entry = vocabulary().find(form)
    assert vocabulary().find(hyphened) == entry
    assert vocabulary().find(form.title() + "s") == entry


@pytest.mark.parametrize(
    ("phrase", "concept"),
    [
        ("Pseudo-glandular cells", "epithelial cell"),
        ("Sub-endothelial cells", "endothelial cell"),
        ("Gland-like cells", "cell"),
    ],
)
def test_the_last_word_of_a_compound_adjective_tells_what_it_is_of(phrase, concept):
    (found,) = ner.extract(f"{phrase} are seen.").mentions
    assert (found.text, found.concept) == (phrase, concept)
