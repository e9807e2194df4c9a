"""Faults of a decoder, for processes with this folder on PYTHONPATH.

What stands behind the end of a picture says what happens when a stage decodes it:
`poison:segfault`, `hang`, `memory` or `raise`; and `poison:read-segfault`, ... when it is checked.
"""

import functools
import importlib.abc
import importlib.util
import os
import signal
import sys
import time


def segfault():
    os.kill(os.getpid(), signal.SIGSEGV)


def hang():
    time.sleep(10_000)


def memory():
    raise MemoryError("a bitmap of 10 GB")


def raise_():
    raise RuntimeError("the decoder gives up")


ACTS = {b"segfault": segfault, b"hang": hang, b"memory": memory, b"raise": raise_}
WRAPPED = {"miner.core.pixels": ("decode", b""), "miner.corpora.images": ("check", b"read-")}


class Poison(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name not in WRAPPED:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        self.loaders = getattr(self, "loaders", {}) | {name: spec.loader}
        spec.loader = self
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        self.loaders[name].exec_module(module)
        function, prefix = WRAPPED[name]
        real = getattr(module, function)
        if function == "check":  # it would say of whatever decoding raises that it is the picture
            module.decode = module.decode.__wrapped__

        @functools.wraps(real)
        def wrapped(data, *args):
            _, mark, act = data.rpartition(b"poison:")
            if mark and act.startswith(prefix) and act.removeprefix(prefix) in ACTS:
                ACTS[act.removeprefix(prefix)]()
            return real(data, *args)

        setattr(module, function, wrapped)


sys.meta_path.insert(0, Poison())
