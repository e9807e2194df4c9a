import importlib
import re

import pytest

from miner.core.errors import Refused
from ner.config import NerConfig
from ner.extractor import Extractor
from ner.models import RELEASE, ModelExtractor, install_line, installed_version

NAMES = ["en_core_sci_sm", "en_core_sci_md", "en_core_sci_lg", "en_ner_bionlp13cg_md"]


@pytest.mark.parametrize("name", NAMES)
def test_the_install_line_names_the_release_and_never_the_bare_package(name):
    line = install_line(name)
    assert RELEASE.startswith("https://s3-us-west-2.amazonaws.com/ai2-s2-scispacy/releases")
    (target,) = line.removeprefix("pip install ").split()
    assert target.startswith(f"{RELEASE}/v")
    assert re.search(rf"/{name}-\d+\.\d+\.\d+\.tar\.gz$", target)


def test_a_missing_model_is_refused_with_the_line():
    with pytest.raises(Refused) as refusal:
        ModelExtractor("en_core_sci_absent")
    message = str(refusal.value)
    assert install_line("en_core_sci_absent") in message
    assert "\n" not in message
    assert not re.search(r"pip install\s+en_", message)


def test_the_summary_says_what_is_missing():
    missing = Extractor(NerConfig()).summary()["missing"]
    assert RELEASE in missing["scispacy"]
    assert "ner.llm" in missing["llm"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes an importable spaCy package with an entity ruler, as `spacy package` lays it out."""
    import spacy

    def write(name, version):
        nlp = spacy.blank("en")
        ruler = nlp.add_pipe("entity_ruler")
        ruler.add_patterns(
            [
                {"label": "CELL", "pattern": "zorgocytes"},
                {"label": "CELL", "pattern": "glomeruli"},
                {"label": "CHEMICAL", "pattern": "ethanol"},
                {"label": "TISSUE", "pattern": "plimble"},
            ]
        )
        folder = tmp_path / name
        nlp.meta.update(name=name.removeprefix("en_"), version=version)
        folder.mkdir()
        nlp.to_disk(folder / "data")
        (folder / "__init__.py").write_text(
            "from pathlib import Path\nfrom spacy.util import load_model_from_path\n"
            "def load(**more):\n"
            "    return load_model_from_path(Path(__file__).parent / 'data', **more)\n"
        )
        about = tmp_path / f"{name}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        return name

    return write


def test_an_installed_model_adds_entities(package):
    config = NerConfig(model=package("en_core_sci_demo", "0.5.4"))
    text = "At the far side of all that was told to us before, no plimble is to be found, but in "
    text += "this ethanol it may well be that, to our surprise, we do find zorgocytes."
    (found,) = Extractor(config)([text])
    assert [(m.text, m.concept, m.polarity, m.sources) for m in found.mentions] == [
        ("plimble", "tissue", "negated", ("scispacy",)),
        ("zorgocytes", "cell", "uncertain", ("lexicon", "scispacy")),
    ]


def test_the_model_is_left_out_where_the_lexicon_reads_the_text(package):
    extractor = Extractor(NerConfig(model=package("en_core_sci_demo", "0.5.4")))
    extractor(["Glomeruli and tubules in the stroma."])
    assert extractor.counts["model_texts"] == 0


def test_foreign_packages_of_the_same_name_are_refused(package):
    name = package("en_core_sci_foreign", "999.9.9")
    with pytest.raises(Refused, match=r"not AI2's .*999\.9\.9.*ai2-s2-scispacy"):
        ModelExtractor(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_real_models(name):
    if installed_version(name) is None:
        pytest.skip(f"not installed; get it with: {install_line(name)}")
    extractor = Extractor(NerConfig(model=name))
    text = (
        "On this slide, as we said in the last lecture, one sees podocytes and no crescents there."
    )
    (found,) = extractor([text])
    assert {"podocytes", "crescents"} <= {mention.text for mention in found.mentions}
    assert list(ModelExtractor(name)(text))
