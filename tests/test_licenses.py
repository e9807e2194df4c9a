"""Licences of everything that an installation brings: no copyleft that nobody decided on."""

from __future__ import annotations

import importlib.metadata as metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
COPYLEFT = re.compile(r"GPL|GNU|SSPL|BUSL|Commons Clause|non-?commercial", re.IGNORECASE)
# Decided on, with the reason; NOTICE says the same.
KNOWN = {
    "openslide-bin": "a shared library of its own under the LGPL",
    "openslide-python": "imports that library; LGPL",
    "nmslib-metabrainz": "comes with scispacy; only ner.linker imports it",
}
# Say nothing of their licence in their metadata.
SILENT = {"nmslib-metabrainz"}


def installed(extras: frozenset[str]) -> Iterator[str]:
    """Names of the packages that `histomine[extras]` brings, those of their own extras too."""
    seen: dict[str, frozenset[str]] = {}
    left = [("histomine", extras)]
    while left:
        name, wanted = left.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in seen and wanted <= seen[key]:
            continue
        seen[key] = seen.get(key, frozenset()) | wanted
        for text in metadata.requires(name) or ():
            need = Requirement(text)
            if need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in {"", *wanted}
            ):
                left.append((need.name, frozenset(need.extras)))
    return iter(sorted(seen.keys() - {"histomine"}))


def licence(name: str) -> str:
    """What a package's metadata says."""
    about = metadata.metadata(name)
    said = [about.get("License-Expression") or ""]
    said += [c for c in about.get_all("Classifier") or () if c.startswith("License ::")]
    said += [(about.get("License") or "")[:200]]
    return "; ".join(filter(None, said))


@pytest.mark.parametrize("extras", ["", "report", "mine,hf,s3,onnx"])
def test_no_copyleft_that_nobody_decided_on(extras):
    found = {name: licence(name) for name in installed(frozenset(filter(None, extras.split(","))))}
    assert len(found) > 10
    surprises = {n: said for n, said in found.items() if COPYLEFT.search(said) and n not in KNOWN}
    assert not surprises
    assert {n for n, said in found.items() if not said} <= SILENT
    if "mine" not in extras:
        assert not found.keys() & KNOWN.keys()


@pytest.mark.whole
def test_without_nmslib_all_works_but_the_linker():
    code = (
        "import sys\n"
        "sys.modules['nmslib'] = None\n"
        "from ner.abbreviations import defined\n"
        "assert defined('A ductal carcinoma in situ (DCIS).')['DCIS'].endswith('in situ')\n"
        "import spacy\n"
        "from ner import models\n"
        "models.installed_version = lambda name: '0.5.4'\n"
        "spacy.load = lambda name: spacy.blank('en')\n"
        "assert list(models.ModelExtractor('en_core_sci_sm')('Glands.')) == []\n"
        "models.ModelExtractor('en_core_sci_sm', linker=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    said = done.stderr.splitlines()[-1]
    assert said.endswith("get it with: pip install nmslib-metabrainz"), done.stderr
    assert said.startswith("miner.core.errors.Refused: ner.linker: nmslib is not installed")


def test_the_notice_names_what_was_decided_on_and_what_is_second_hand():
    notice = (ROOT / "NOTICE").read_text()
    assert all(name in notice for name in KNOWN)
    assert "EBHI-Seg is known to us second-hand only" in notice
