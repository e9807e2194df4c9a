"""The lock that CI installs from: all that is asked for, in allowed versions, with sums."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.specifiers import SpecifierSet

from tests.installed import ROOT, canonical, required

LOCK = (ROOT / ".ci/requirements.lock").read_text(encoding="utf-8")
PINNED = re.compile(
    r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)( ; [^\\]+)?((?: \\\n    --hash=\S+)+)$", re.M
)


def pinned() -> dict[str, str]:
    """Versions by name."""
    return {canonical(name): version for name, version, *_ in PINNED.findall(LOCK)}


def test_every_line_is_a_version_with_sums():
    said = [line for line in LOCK.splitlines() if not line.startswith("#")]
    understood = "".join(found.group(0) + "\n" for found in PINNED.finditer(LOCK)).splitlines()
    assert said == understood
    assert "://" not in LOCK  # wherever the files come from


def test_the_lock_has_what_is_asked_for_but_torch_and_its_gpus():
    have = pinned()
    asked = {canonical(r.name): r for r in required(("dev",))}
    assert asked.keys() - have.keys() == {"torch"}
    for name, requirement in asked.items():
        assert name == "torch" or requirement.specifier.contains(have[name]), name
    assert not [name for name in have if name.startswith(("nvidia-", "cuda-"))]


def test_the_lock_keeps_to_the_constraints():
    have = pinned()
    for line in Path(ROOT / "constraints.txt").read_text().split():
        name, bounds = re.fullmatch(r"([a-z]+)(.+)", line).groups()
        assert name == "torch" or SpecifierSet(bounds).contains(have[name]), line
