from ner.concepts import concepts
from ner.families import family, related


def test_every_concept_has_a_family():
    found = {family(c, c.kind) for c in concepts().values()}
    assert found == {"cell", "structure", "clear", "tissue"}
    assert family(None, "object") == "structure"
    assert family(None, "stuff") == "tissue"


def test_kinship():
    table = concepts()
    assert related("lymphocyte", "nucleus", table)
    assert related("gland", "lumen", table)
    assert related("nucleus", "nucleus", table)
    assert not related("lumen", "nucleus", table)
