"""What each installation can do, and what it says where it can't."""

import importlib
import re
import sys

import pytest

from miner.core.errors import Refused
from miner.core.extras import EXTRAS, installed
from miner.core.store import Store
from tests import installed as only
from tests.shards.build import build
from tests.test_imports import IMPORTS, SOURCES

ROOMS = {name.split(".")[0] for name in SOURCES}

MINER = """
def miner(*words):
    sys.argv = ["miner", *words]
    try:
        cli.main()
    except SystemExit as left:
        return left.code or 0
    return 0
from miner import cli
"""

# Whatever a trainer does with an OUT; sys.argv: OUT, a folder for exports.
READ = (
    MINER
    + """
import importlib, pathlib, pkgutil, shards
out, new = sys.argv[1:]
for found in pkgutil.walk_packages(shards.__path__, "shards."):
    if found.name != "shards.features":
        importlib.import_module(found.name)
assert miner("validate", out) == 0
from miner.core.built_in import BUILT_IN
for name in BUILT_IN["exporters"]:
    # What writes a data set of Hugging Face says which extra brings that library.
    wanted = 2 if name in ("molmo", "segzero") else 0
    assert miner("export", out, "--to", name, "--out", f"{new}/{name}") == wanted, name
data = shards.GroundedCaptions(out, split="train")
assert data[0]["masks"].shape[1:] == data[0]["image"].shape[:2]
loader = shards.StreamLoader(shards.GroundedStream(out, "train"), 8, 0)
assert sum(len(batch["key"]) for batch in loader) == len(data)
print("read", len(data))
"""
)


def owners(module):
    return {only.canonical(name) for name in only.owners().get(module, ())}


def test_each_package_stands_in_the_extra_that_asks_for_it():
    base = {only.canonical(r.name) for r in only.required()}
    for extra, modules in EXTRAS.items():
        lines = map(only.Requirement, only.PROJECT["optional-dependencies"][extra])
        asked = {only.canonical(line.name) for line in lines} - base
        for module in modules:
            # jinja2 brings markupsafe, whose classes its pages are made of
            assert owners(module) & asked or module == "markupsafe", f"{module}: [{extra}]"


def test_whatever_is_imported_is_asked_for():
    asked = {only.canonical(r.name) for r in only.required()}
    extra = {module for modules in EXTRAS.values() for module in modules}
    # What comes with pydantic and with openai, and is used beside them.
    extra |= {"annotated_types", "pydantic_core", "httpx"}
    for module, names in IMPORTS.items():
        for name in {name.split(".")[0] for name in names}:
            if name not in sys.stdlib_module_names and name not in ROOMS | extra:
                assert owners(name) & asked, f"{module} imports {name}"


@pytest.mark.parametrize(("extra", "module"), [(e, m) for e in EXTRAS for m in EXTRAS[e]])
def test_a_missing_package_is_one_line_with_the_command(extra, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Refused) as refused, installed():
        importlib.import_module(f"{module}.inner")
    command = f"pip install 'histomine[{extra}]'"
    assert str(refused.value) == f"{module} is not installed; get it with: {command}"


def test_a_driver_of_a_url_that_is_missing_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    registry = importlib.import_module("fsspec.registry")
    monkeypatch.delitem(registry._registry, "s3", raising=False)  # as if no test had used it yet
    with pytest.raises(Refused, match=r"^s3fs is not installed.*histomine\[s3\]"), installed():
        Store("s3://bucket/out")


@pytest.mark.parametrize("name", ["numpy.nowhere", "miner.nowhere", "nobody_knows"])
def test_what_no_extra_brings_keeps_its_traceback(name):
    with pytest.raises(ModuleNotFoundError), installed():
        importlib.import_module(name)


def test_a_package_that_is_there_and_broken_is_not_said_to_be_missing():
    with pytest.raises(ImportError, match="libsomething"), installed():
        raise ImportError("libsomething.so: no such file", name="faiss")


@pytest.mark.whole
def test_a_plain_install_loads_validates_and_exports(tmp_path):
    build(tmp_path / "out")
    done = only.run(READ, str(tmp_path / "out"), str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "read 30"


@pytest.mark.whole
def test_a_plain_install_says_what_mining_needs(tmp_path):
    build(tmp_path / "out")
    code = MINER + (
        "print([miner('run', 'quickstart.yaml', '--no-ray'), miner('refilter', sys.argv[1])])\n"
        "import shards\n"
        "try:\n"
        "    shards.FEATURES\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    done = only.run(code, str(tmp_path / "out"))
    assert done.stdout.splitlines()[0] == "[2, 2]", done.stderr
    assert done.stdout.splitlines()[1].endswith("get it with: pip install 'histomine[hf]'")
    for line in done.stderr.splitlines():
        assert re.fullmatch(r"miner: \w+ is not .* pip install 'histomine\[mine\]'", line), line


@pytest.mark.whole
def test_what_mining_needs_is_enough_to_mine(tmp_path):
    code = MINER + (
        "import os\n"
        "os.chdir(sys.argv[1])\n"
        "assert miner('demo', 'corpora', '--captions', '6') == 0\n"
        "words = [f'--corpus={kind}=corpora/{kind}' for kind in ('quilt', 'pathgen')]\n"
        "assert miner('run', 'quickstart.yaml', '--no-ray', '--out', 'mined', *words) == 0\n"
        "assert miner('validate', 'mined') == 0\n"
    )
    done = only.run(code, str(tmp_path), extras=("mine",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "mined/report/audit.ipynb").exists()
