"""Files of others are data: no checkpoint, table or text is loaded in a way that may run it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.test_imports import SOURCES

# Loads a program on purpose, and only one whose sha256 the configuration has.
PROGRAMS = "segmenters.exported"
SAFE = {
    "torch.load": ("weights_only", True),
    "from_pretrained": ("trust_remote_code", False),
}
NEVER = {
    "eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "marshal.loads", "joblib.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "pandas.read_pickle", "pd.read_pickle", "torch.hub.load",
}  # fmt: skip
# Classes of transformers that could bring code of their own; others and torch.nn's have none.
BRINGS_CODE = ("Auto", "cls")


def called(node: ast.Call) -> str:
    return ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""


def faults(source: str, program: bool = False) -> Iterator[str]:
    """Calls of a module that could run what they load."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = called(node)
        given = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
        *owner, last = name.split(".")
        wanted = SAFE.get(name) or (
            SAFE.get(last) if owner and owner[-1].startswith(BRINGS_CODE) else None
        )
        if wanted and given.get(wanted[0]) is not wanted[1]:
            yield f"{name} without {wanted[0]}={wanted[1]}"
        if name in NEVER or given.get("shell") is True or given.get("allow_pickle") is True:
            yield name
        if name == "torch.jit.load" and not program:
            yield name


@pytest.mark.parametrize("module", SOURCES)
def test_nothing_that_is_loaded_can_run(module):
    source = SOURCES[module].read_text(encoding="utf-8")
    assert list(faults(source, module == PROGRAMS)) == []


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=checked)",
        "AutoModel.from_pretrained(folder)",
        "transformers.AutoTokenizer.from_pretrained(x, trust_remote_code=True)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(line, shell=True)",
        "pickle.loads(data)",
        "yaml.load(text)",
        "torch.jit.load(path)",
    ],
)
def test_a_way_that_could_run_code_is_noticed(line):
    assert len(list(faults(line))) == 1
