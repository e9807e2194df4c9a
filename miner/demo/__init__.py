"""Phantom corpora: synthetic histology with captions and truth, in the publishers' layouts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from miner.core.errors import Refused

SHARES = {"pathcap": 0.3, "pathgen": 0.18}  # of the captions; the rest is quilt's


def write_demo(directory: str | os.PathLike[str], captions: int = 300, seed: int = 0) -> None:
    """Write phantom corpora: equal arguments give equal bytes.

    Args:
        directory: a folder that is not there yet, or empty. It gets `quilt/`, `pathcap/`,
            `pathgen/`, `expert_masks/` and `gold.jsonl`, all at once when everything is written.
        captions: rows of the three corpora together.
        seed: seed of everything that is drawn.

    Raises:
        Refused: the folder holds something, or there are fewer than 3 captions.
    """
    import numpy as np

    from miner.demo import corpora
    from miner.demo.album import Source
    from miner.demo.truth import Truth

    target = Path(directory)
    if captions < 3:
        raise Refused(f"--captions {captions}: at least 3, one per corpus")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Refused(f"{target}: there is something already; name a new folder or remove it")
    rows = {corpus: max(round(share * captions), 1) for corpus, share in SHARES.items()}
    work = target.with_name(f"{target.name}.tmp-{os.getpid()}")
    work.mkdir(parents=True)
    try:
        truth = Truth(work)
        shared: list[Source] = []
        streams = np.random.default_rng(seed).spawn(3)
        corpora.write_quilt(streams[0], work, captions - sum(rows.values()), truth, shared)
        corpora.write_pathcap(streams[1], work, rows["pathcap"], truth, shared)
        corpora.write_pathgen(streams[2], work, rows["pathgen"], truth)
        truth.write()
        if target.exists():
            target.rmdir()
        work.replace(target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
