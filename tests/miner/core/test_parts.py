import sys
from importlib.metadata import distributions

import pytest

from miner.core.built_in import BUILT_IN
from miner.core.errors import Refused
from miner.core.parts import find, kinds
from miner.load_config import check_config

MODULE = """
from miner.corpora.part import CorpusPart
from miner.corpora.pairs import Pairs, PairsConfig
from typing import Literal

class NotesConfig(PairsConfig):
    '''Pictures with notes.'''
    kind: Literal["notes"]
    wanted: int = 3

PART = CorpusPart(kind="notes", Settings=NotesConfig, build=lambda c, t: Pairs(c))
"""


def install(folder, entries, module=MODULE, name="their-parts"):
    """A distribution in a folder that is searched, as pip would leave it."""
    package = name.replace("-", "_")
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{kind} = {package}:PART" for kind in entries]
    (info / "entry_points.txt").write_text("[histomine.corpora]\n" + "\n".join(lines) + "\n")
    (folder / f"{package}.py").write_text(module)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder for distributions; what is imported from it is forgotten behind the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and name.startswith(("their", "other")):
            del sys.modules[name]


@pytest.mark.parametrize("group", BUILT_IN)
def test_what_ships_is_found_under_its_kind(group):
    for kind in BUILT_IN[group]:
        part = find(group, kind)
        assert part.kind == kind
        assert part.Settings.__doc__


def test_another_package_is_chosen_by_its_kind_and_checked_like_ours(site):
    install(site, ["notes"])
    assert kinds("corpora") == [*BUILT_IN["corpora"], "notes"]
    config = check_config({"corpora": [{"kind": "notes", "path": "x", "wanted": 5}]}, "c.yaml")
    assert config.corpora[0].wanted == 5
    assert config.model_dump(mode="json")["corpora"][0]["wanted"] == 5
    with pytest.raises(
        Refused, match=r"^c.yaml: corpora.0.notes.wantd: unknown setting; did you mean wanted\?"
    ):
        check_config({"corpora": [{"kind": "notes", "path": "x", "wantd": 5}]}, "c.yaml")


def test_nothing_of_another_package_is_imported_before_its_kind_is_asked_for(site):
    install(site, ["notes"], "raise RuntimeError")
    assert check_config({"corpora": [{"kind": "pairs", "path": "x"}]}, "c").corpora[0].path == "x"


@pytest.mark.parametrize(
    ("entries", "module", "asked", "said"),
    [
        (
            ["notes"],
            MODULE,
            "note",
            r"no kind .note.; did you mean notes\? known: quilt, ",
        ),
        (["notes"], MODULE, "xyz", "no kind 'xyz'; known: quilt, pathcap, "),
        (["quilt"], MODULE, "quilt", "^their-parts: .*takes the name of a part that ships"),
        (["notes"], "import not_there", "notes", "^their-parts: .*does not import: ModuleNotFound"),
        (["notes"], "raise OSError('a\\nb')", "notes", "^their-parts: .*: OSError: a b$"),
        (["notes"], "PART = 1", "notes", "^their-parts: .*is no miner.core.parts.Part of kind"),
        (["news"], MODULE, "news", "^their-parts: .*is no miner.core.parts.Part of kind 'news'"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_the_distribution(
    site, entries, module, asked, said
):
    install(site, entries, module)
    with pytest.raises(Refused, match=said) as caught:
        find("corpora", asked)
    assert "\n" not in str(caught.value)


def test_two_packages_with_one_name_are_told_apart(site):
    install(site, ["notes"])
    install(site, ["notes"], name="other-parts")
    assert len([d for d in distributions() if d.name.endswith("-parts")]) == 2
    with pytest.raises(Refused, match=r"their-parts.*other-parts|other-parts.*their-parts"):
        find("corpora", "notes")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"path": "x"}, "corpora.0: a section with a kind; known: quilt"),
        ("quilt", "corpora.0: a section with a kind; known: quilt"),
        ({"kind": "quilt"}, "corpora.0.quilt.path: Field required"),
        (
            {"kind": "quilt", "path": "x", "max_pixels": 0},
            "corpora.0.quilt.max_pixels: .*, got 0",
        ),
    ],
)
def test_a_section_without_what_its_kind_needs_is_refused(section, said):
    with pytest.raises(Refused, match=rf"^c.yaml: {said}"):
        check_config({"corpora": [section]}, "c.yaml")
