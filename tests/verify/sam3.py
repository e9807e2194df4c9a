"""A promise about SAM 3: what its training is told to be absent is absent."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from miner.core.store import Store
from ner.extractor import default
from shards.export.options import Options
from shards.export.run import export, samples
from shards.known import states
from tests.verify.known import Complete
from tests.verify.promise import Promise, promise

BAR = 0.02  # share of the absent phrases that may be there after all


def asked(corpora: Path, out: Path, folder: Path) -> Iterator[Promise]:
    """Every phrase that the loader of the export asks of a picture, held against all it shows.

    Args:
        corpora: with the truth of their pictures.
        out: the run.
        folder: for the export.
    """
    truth = Complete(corpora / "expert_masks")
    by_name = {s.name: s.value for s in samples(Store(str(out)))}
    with contextlib.redirect_stdout(None):
        export(samples(Store(str(out))), "sam3", folder, Options())
    total, gone, open_ = 0, [], []
    wrong: set[str] = set()
    for picture, text, objects in _questions(folder):
        total += 1
        if objects:
            continue
        value = by_name[picture]
        concept = default().concept(text) or text
        if states(value).get(concept) != "absent":
            open_.append(concept)
        place = value["corpus"], value["image"], concept
        labels = truth.labels(*place)
        if labels is not None or truth.absent(*place):
            there = labels is not None and bool(labels.any())
            gone.append(there)
            wrong |= {concept} if there else set()
    figure = f"{sum(gone)} of {len(gone)} {', '.join(sorted(wrong))}".strip()
    yield promise(
        f"SAM 3's loader: of {total} questions, absent phrases that are there",
        f"<= {BAR:.0%}",
        figure,
        sum(gone) <= BAR * len(gone),
    )
    yield promise(
        "SAM 3's loader: absent phrases of which nobody knows", "0", str(len(open_)), not open_
    )


def _questions(folder: Path) -> Iterator[tuple[str, str, list[int]]]:
    """(name of the picture, phrase, numbers of its objects) by the loader in the export."""
    spec = importlib.util.spec_from_file_location("sam3_loader", folder / "sam3_loader.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for file in sorted(folder.glob("*/saco.json")):
        loader = module.SacoTraining(str(file))
        for i in loader.getDatapointIds():
            (picture,) = loader.loadImagesFromDatapoint(i)
            queries, _ = loader.loadQueriesAndAnnotationsFromDatapoint(i)
            for query in queries:
                name = Path(picture["file_name"]).name
                yield name, query["query_text"], query["object_ids_output"]
