import unicodedata

import pytest

from miner.core.names import base, hidden, plain, spellings, stem, zip_name

NFC = "é/ü.jpg"
NFD = unicodedata.normalize("NFD", NFC)


def test_equal_names_are_equal_however_they_are_spelled():
    assert plain(NFD) == plain(NFC) == plain("é\\ü.jpg") == NFC
    assert NFD in spellings(NFC)
    assert NFC in spellings(NFD)
    assert spellings("a.jpg") == ("a.jpg",)
    assert base("a\\b/c.jpg") == base("c.jpg") == "c.jpg"


@pytest.mark.parametrize(
    "name", ["._a.jpg", "x/._a.jpg", ".DS_Store", ".ipynb_checkpoints/a.jpg", "__MACOSX/x/a.jpg",
             "./x/.hidden/a.jpg", "x\\._a.jpg"]
)  # fmt: skip
def test_what_systems_leave_behind_is_hidden(name):
    assert hidden(name)


@pytest.mark.parametrize("name", ["a.jpg", "./a.jpg", "../a.jpg", "a..jpg", "_a.jpg", "a/b.c/d"])
def test_other_names_are_not(name):
    assert not hidden(name)


def test_names_in_zips():
    assert zip_name("é".encode(), 0) == zip_name("é".encode(), 0x800) == "é"
    assert zip_name("é".encode("cp437"), 0) == "é"


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("a.jpg", "a"),
        ("x/-a.b.PNG", "-a.b"),
        ("TCGA-A1.2f3e_100_200", "TCGA-A1.2f3e_100_200"),
        ("w.x_1_2.jpg", "w.x_1_2"),
        ("uuid", "uuid"),
        ("a.jpg_1_2", "a.jpg_1_2"),
    ],
)
def test_only_the_suffix_of_a_picture_is_cut_off(name, left):
    assert stem(name) == left
