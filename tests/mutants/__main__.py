"""Do the tests notice? Plants small faults, one at a time, and runs the tests that meet them.

`python -m tests.mutants [--n 200] [--seed 0] [--only miner/barrier]` draws faults over all modules
that run, evenly by module and kind, and prints which no test noticed; exits with 1 when these are
more than `ALLOWED` of all.

The tests are collected once. One pass tells which tests call which function (`CallMap`); then every
fault has a process of its own, forked from the one that collected, in which the function gets the
code with the fault and those tests run, the shortest first. For what stands outside of functions,
the modules are imported anew. The tests are those of the rooms that get faults, without the ones
that start processes (`whole`).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import inspect
import os
import pickle
import signal
import sys
import tempfile
import time
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
from _pytest.runner import runtestprotocol

from tests.mutants.faults import ROOMS, ROOT, Fault, draw, planted

ALLOWED = 0.15  # share of the faults that may go unnoticed
SLACK_S = 30  # of processor time, beside 5 times what the tests take: an endless loop is noticed
Function = tuple[str, int]  # file, relative to the checkout, and first line


class CallMap:
    """Which tests call which functions, and how long each test takes.

    Attributes:
        calls: functions that a test calls, itself or in a fixture that it uses, by its node.
        seconds: of each test, by its node.
    """

    def __init__(self) -> None:
        self.calls: dict[str, set[Function]] = {}
        self.seconds: dict[str, float] = {}
        self._of_fixtures: dict[Any, set[Function]] = defaultdict(set)
        self._into: list[set[Function]] = []
        self._names: dict[str, str | None] = {}

    def _called(self, frame: types.FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        path = frame.f_code.co_filename
        if path not in self._names:
            inside = path.startswith(f"{ROOT}/") and path[len(str(ROOT)) + 1 :].split("/")[0]
            self._names[path] = path[len(str(ROOT)) + 1 :] if inside in ROOMS else None
        name = self._names[path]
        if name is not None:
            self._into[-1].add((name, frame.f_code.co_firstlineno))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """What a fixture calls counts for all tests that use it."""
        self._into.append(self._of_fixtures[fixturedef])
        try:
            return (yield)
        finally:
            self._into.pop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Iterator[None]:
        """Watch a test."""
        own: set[Function] = set()
        self._into.append(own)
        began = time.process_time()
        sys.setprofile(self._called)
        try:
            return (yield)
        finally:
            sys.setprofile(None)
            self._into.pop()
            self.seconds[item.nodeid] = time.process_time() - began
            used = item._fixtureinfo.name2fixturedefs.values()
            fixtures = [self._of_fixtures[one] for defs in used for one in defs]
            self.calls[item.nodeid] = own.union(*fixtures)


class Planter:
    """Takes the place of pytest's loop over the collected tests.

    Args:
        faults: to plant, one after the other.
        survivors: gets those that no test noticed.
        terminal: where it says so.
    """

    def __init__(self, faults: list[Fault], survivors: list[Fault], terminal: TextIO):
        self.faults = faults
        self.survivors = survivors
        self.terminal = terminal

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Map the tests, then try every fault."""
        items = {item.nodeid: item for item in session.items}
        calls = self._map(session)
        by_function: dict[Function, list[str]] = defaultdict(list)
        by_file: dict[str, list[str]] = defaultdict(list)
        for node in sorted(calls.calls, key=lambda node: calls.seconds[node]):
            for function in calls.calls[node]:
                by_function[function].append(node)
            for file in {file for file, _ in calls.calls[node]}:
                by_file[file].append(node)
        whole = next(fault for fault in self.faults if by_file[fault.file])
        source = (ROOT / whole.file).read_text(encoding="utf-8")
        if not forked(300, _anew, whole.file, source, by_file[whole.file][:3]):
            raise pytest.UsageError(f"{whole.file}: imported anew its tests fail with no fault")
        for fault in self.faults:
            place = enclosing(fault)
            if place is None or "cache" in first_line(fault.file, place):
                nodes = by_file[fault.file] + importers(fault.file, items)
            else:
                nodes = by_function[fault.file, place]
            nodes = list(dict.fromkeys(nodes))
            limit_s = SLACK_S + 5 * sum(calls.seconds[node] for node in nodes)
            missed = forked(limit_s, self._survives, fault, place, [items[node] for node in nodes])
            self.survivors += [fault] * missed
            print(
                f"{'UNNOTICED' if missed else 'noticed  '}  {fault}", file=self.terminal, flush=True
            )
        return True

    def _map(self, session: pytest.Session) -> CallMap:
        found = CallMap()
        with tempfile.NamedTemporaryFile() as file:

            def run() -> bool:
                session.config.pluginmanager.register(found)
                for item, following in zip(session.items, [*session.items[1:], None], strict=True):
                    session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                file.write(pickle.dumps((found.calls, found.seconds)))
                file.flush()
                return not session.testsfailed

            if not forked(3600, run):
                raise pytest.UsageError("tests fail with no fault planted")
            found.calls, found.seconds = pickle.loads(Path(file.name).read_bytes())
        return found

    @staticmethod
    def _survives(fault: Fault, place: int | None, items: list[pytest.Item]) -> bool:
        """Whether all tests pass with a fault planted; in a process that ends with it."""
        source = planted((ROOT / fault.file).read_text(encoding="utf-8"), fault)
        code = compile(source, str(ROOT / fault.file), "exec")
        if place is None or not replaced(fault.file, place, code):
            return _anew(fault.file, source, [item.nodeid for item in items])
        for item, following in zip(items, [*items[1:], None], strict=True):
            reports = runtestprotocol(item, nextitem=following, log=False)
            if any(report.failed for report in reports):
                return False
        return True


def module_name(file: str) -> str:
    """Of a file of the checkout, as it is imported."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def importers(file: str, nodes: Iterable[str]) -> list[str]:
    """Tests in modules that import a module."""
    name = module_name(file)
    parent, _, last = name.rpartition(".")
    wanted = (f"from {name} import", f"from {parent} import {last}")

    @functools.cache
    def imports(test: str) -> bool:
        text = (ROOT / test).read_text(encoding="utf-8")
        return any(one in text for one in wanted)

    return [node for node in nodes if imports(node.partition("::")[0])]


def first_line(file: str, line: int) -> str:
    """A line of a file: of a function its first decorator, where it has one."""
    return (ROOT / file).read_text(encoding="utf-8").splitlines()[line - 1]


def enclosing(fault: Fault) -> int | None:
    """First line, decorators included, of the outermost function around a fault; else None."""
    code = compile((ROOT / fault.file).read_text(encoding="utf-8"), fault.file, "exec")
    for one in functions(code):
        if one.co_firstlineno <= fault.start[0] <= last_line(one):
            return one.co_firstlineno
    return None


def functions(code: types.CodeType) -> Iterator[types.CodeType]:
    """Code of the functions of a module and its classes, without those inside of functions."""
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            if not const.co_flags & inspect.CO_OPTIMIZED:  # the body of a class
                yield from functions(const)
            elif not const.co_name.startswith("<"):
                yield const


def same(a: types.CodeType, b: types.CodeType) -> bool:
    """Whether two functions do the same; where they stand does not matter."""
    plain = [[c for c in one.co_consts if not isinstance(c, types.CodeType)] for one in (a, b)]
    inner = [[c for c in one.co_consts if isinstance(c, types.CodeType)] for one in (a, b)]
    return (
        (a.co_code, a.co_names, repr(plain[0])) == (b.co_code, b.co_names, repr(plain[1]))
        and len(inner[0]) == len(inner[1])
        and all(map(same, *inner))
    )


def last_line(code: types.CodeType) -> int:
    """Of a function and all inside it."""
    lines = [line for _, _, line in code.co_lines() if line is not None]
    inner = [last_line(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    return max(lines + inner)


def replaced(file: str, line: int, module: types.CodeType) -> bool:
    """Give a function its code in a compiled module; whether that is there and another one."""
    (new,) = (one for one in functions(module) if one.co_firstlineno == line)
    path, found = str(ROOT / file), False
    gc.unfreeze()  # tests/conftest.py hides all from the collector
    for one in gc.get_objects():
        if isinstance(one, types.FunctionType):
            code = one.__code__
            if code.co_filename == path and code.co_firstlineno == line:
                if same(code, new) or len(code.co_freevars) != len(new.co_freevars):
                    return False
                one.__code__, found = new, True
    return found


def _anew(file: str, source: str, nodes: list[str]) -> bool:
    """Whether tests pass when all of ours is imported anew, one file with other source."""
    for module in [n for n in sys.modules if n.split(".")[0] in (*ROOMS, "tests")]:
        del sys.modules[module]
    sys.meta_path.insert(0, _Finder(module_name(file), ROOT / file, source))
    words = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    return pytest.main([*words, "-m", "", *nodes]) == 0


class _Finder:
    """Finds one module, with other source than the file's."""

    def __init__(self, name: str, path: Path, source: str):
        self._name, self._path, self._source = name, path, source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module's spec, None for any other."""
        if name != self._name:
            return None
        from importlib.util import spec_from_file_location

        spec = spec_from_file_location(name, self._path)
        assert spec is not None and spec.loader is not None  # noqa: PT018
        source = self._source
        spec.loader.get_code = lambda _: compile(source, str(self._path), "exec")  # type: ignore[attr-defined]
        return spec


def forked(limit_s: float, work: Callable[..., bool], *args: Any) -> bool:
    """Whether a function returns true in a process of its own, within some processor time."""
    child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, 0)
            signal.setitimer(signal.ITIMER_PROF, limit_s)
            os._exit(0 if work(*args) else 1)
        finally:
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextlib.contextmanager
def quiet() -> Iterator[TextIO]:
    """Send what tests print nowhere; gives where it went before."""
    kept = [os.dup(1), os.dup(2)]
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    with os.fdopen(os.dup(kept[0]), "w") as terminal:
        yield terminal
    os.dup2(kept[0], 1)
    os.dup2(kept[1], 2)


def main() -> int:
    """Draw, plant, print."""
    words = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    words.add_argument("--n", type=int, default=200, help="faults")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--only", default="", help="begin of the names of files")
    given = words.parse_args()
    drawn, survivors = draw(given.n, given.seed, given.only), []  # type: ignore[var-annotated]
    os.chdir(ROOT)
    with quiet() as terminal:
        options = ["-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        rooms = sorted({f"tests/{fault.file.split('/')[0]}" for fault in drawn})
        plugins = [Planter(drawn, survivors, terminal)]
        code = pytest.main([*options, "-m", "not slow and not whole", *rooms], plugins=plugins)
    if code:
        print("tests fail with no fault planted: make unit")
        return 2
    kinds, lost = Counter(f.kind for f in drawn), Counter(f.kind for f in survivors)
    noticed = len(drawn) - len(survivors)
    print(f"\nseed {given.seed}: {noticed} of {len(drawn)} faults noticed; by kind:")
    for kind, count in sorted(kinds.items()):
        print(f"{kind:>18}: {count - lost[kind]} of {count}")
    for fault in survivors:
        print(f"UNNOTICED  {fault}")
    return int(len(survivors) > ALLOWED * len(drawn))


if __name__ == "__main__":
    sys.exit(main())
