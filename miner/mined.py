"""What a run mined, for notebooks and scripts: `miner.open(OUT)`."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from miner.core.errors import Refused
from miner.core.extras import installed
from miner.core.layout import FINISHED, SAMPLING, check_out
from miner.core.rooms import check_rooms
from miner.core.store import Store

if TYPE_CHECKING:
    from miner.audit.population import By
    from miner.audit.session import Session
    from miner.barrier.refilter import Changes
    from shards import GroundedCaptions


class Mined:
    """A finished OUT. Tables are Arrow's; `.to_pandas()` makes frames of them.

    Args:
        out: a folder or fsspec URL.

    Raises:
        Refused: no run was started there, or it has not finished.
    """

    def __init__(self, out: str | os.PathLike[str]):
        check_rooms()
        with installed():
            self.store = Store(out)
        check_out(self.store)
        if not self.store.exists(FINISHED):
            raise Refused(f"{self.store.url}: its run has not finished; miner run goes on with it")

    def __repr__(self) -> str:
        return f"miner.open({self.store.url!r})"

    def samples(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The ledger: one row per caption row of the corpora, with status and reason.

        Args:
            columns: some of those in docs/output.md, None for all.
        """
        return self._ledger("samples", columns)

    def candidates(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The ledger: one row per candidate mask, with its scores and why it was kept or not.

        Args:
            columns: some of those in docs/output.md, None for all.
        """
        return self._ledger("candidates", columns)

    def _ledger(self, name: str, columns: Sequence[str] | None) -> pa.Table:
        from miner.report.ledger import ledger_table

        return ledger_table(self.store, name, None if columns is None else list(columns))

    def captions(self, split: str | None = None, **how: Any) -> GroundedCaptions:
        """The written samples as a torch dataset.

        Args:
            split: name of the split, None for all.
            how: see `shards.GroundedCaptions`.
        """
        from shards import GroundedCaptions

        return GroundedCaptions(self.store.url, split, **how)

    @functools.cached_property
    def _written(self) -> GroundedCaptions:
        return self.captions()

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {key: at for at, key in enumerate(self._written.index["key"].to_pylist())}

    def _item(self, key: str) -> dict[str, Any]:
        if key not in self._places:
            raise Refused(f"{key}: no written sample of that key in {self.store.url}")
        return self._written[self._places[key]]

    def regions(self, key: str) -> list[dict[str, Any]]:
        """Regions of a written sample, as in the shard, each with its `mask`, bool (H, W).

        Raises:
            Refused: no written sample has that key.
        """
        item = self._item(key)
        masks = item["masks"].numpy().astype(bool)
        pairs = zip(item["sample"]["regions"], masks, strict=True)
        return [{**region, "mask": mask} for region, mask in pairs]

    def drawn(self, key: str, fill: float = 0.0) -> np.ndarray:
        """Picture of a written sample with its regions outlined: uint8 (H, W, 3), RGB.

        Args:
            key: of the sample.
            fill: how much of its colour is laid over each region, 0 to 1.

        Raises:
            Refused: no written sample has that key.
        """
        from miner.report.outlines import draw

        item = self._item(key)
        return draw(item["image"].numpy(), list(item["masks"].numpy()), fill=fill)

    def funnel(self) -> list[tuple[str, int]]:
        """Steps from caption rows to written rows, and how many are left at each."""
        from miner.report.gather import row_counts, row_funnel

        return [(name, left) for name, left, _ in row_funnel(row_counts(self.store))]

    def masks(self) -> pa.Table:
        """What was asked for, once for each concept of a picture and segmenter; the report's rows.

        Returns:
            See `miner.report.masks.masks_table`.
        """
        from miner.report.masks import masks_table

        return masks_table(self.store)

    def counts(self) -> dict[str, int]:
        """Masks asked, drawn, accepted, written, and of controls: the figures of the report."""
        from miner.report.masks import mask_counts

        return mask_counts(self.masks())

    def concepts(self) -> list[dict[str, Any]]:
        """Per concept the same, the median score and why masks were not accepted.

        Returns:
            See `miner.report.masks.concept_rows`.
        """
        from miner.report.masks import concept_rows

        return concept_rows(self.masks())

    def sampling(self) -> dict[str, Any] | None:
        """Strata before and after caps, None where nothing was capped."""
        return self.store.read_json(SAMPLING) if self.store.exists(SAMPLING) else None

    def evaluate(self, masks: str | os.PathLike[str]) -> dict[str, Any]:
        """Compare the regions with expert masks, like `miner evaluate`.

        Args:
            masks: folder `<corpus>/<image>/<entity>.png` of label maps, 0 background.

        Returns:
            See `miner.evaluate.compare.evaluate`.
        """
        with installed():
            from miner.evaluate.compare import evaluate

            return evaluate(self.store, Path(masks))

    def audit(self, auditor: str, n: int = 60, by: By = "concept") -> Session:
        """A blind sample of masks to judge, drawn where there is none of these verdicts.

        Args:
            auditor: who judges.
            n: masks to draw.
            by: what the sample is spread over: concept, corpus or stratum.
        """
        with installed():
            from miner.audit.session import Session

            return Session(self.store, auditor, n, by)

    def refilter(self, *changes: str) -> Changes:
        """Give the run new verdicts from its stored scores, like `miner refilter`.

        Args:
            changes: settings, such as `filters.precision=0.8`.

        Returns:
            What changed; ledger, shards and report are written anew.

        Raises:
            Refused: an unknown setting, or one that changes scores.
        """
        with installed():
            from miner.barrier.refilter import refilter
            from miner.report import write_report

            found = refilter(self.store.url, changes, write_report)
        for name in ("_written", "_places"):
            self.__dict__.pop(name, None)
        return found
