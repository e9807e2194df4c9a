"""Which row of a matrix of embeddings stands for which: no chains, linear where many are alike.

Rows are taken in their order. A row that resembles an earlier one that stands for itself is stood
for by that one; any other stands for itself. So every row resembles its representative, no two
representatives resemble each other, and 10^5 equal rows cost 10^5 comparisons with one.

Compared are rows that share a cell of a k-means: a representative lies in the cells of its nearest
centroids, a row looks into those of its own. Products are made of a random projection kept as
float16, which holds for any data; what it lets through is compared with all dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import faiss
import numpy as np
from scipy.sparse.csgraph import connected_components

from miner.core.errors import Refused

# Decides on pairs above the threshold: (rows, earlier rows, cosines), each (m,) -> bool (m,).
Accept = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

ONE_CELL = 20_000  # below this many rows all are compared
CELL = 500  # rows a cell, on average
MOST_CELLS = 4096
PROJECTED = 256  # dimensions of the first comparison
MARGIN_SIGMA = 4.0  # 3 of 10^5 pairs right at the threshold are further off in the projection
HALF = 2e-3  # what float16 may be off in a cosine
# Cells a representative lies in, and cells a row looks into. Of 3,966 copies among 50,000 rows 1 is
# lost where topics are loose and none where dense; with 2, 3 and 1,000 rows a cell 26 and 6 were.
HOME, LOOK = 3, 5
TRAIN = 40  # rows a centroid to train k-means on
BLOCK = 32_768  # rows taken at once
SMALLEST_BLOCK = 1024  # has at most half a million pairs, however alike its rows are
MOST_PAIRS = 2_000_000  # of a block; beyond, it is halved
PRODUCTS = 1 << 22  # made at once
TRIES = 8  # earlier rows, the most similar ones, that are put before `accept`
CHUNK = 65_536

# Embeddings, one a row: a matrix, or what gives one for a slice or an array of rows.
Vectors = Any
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows, earlier rows, cosines


def representatives(
    embeddings: np.ndarray, threshold: float, accept: Accept | None = None, standing: int = 0
) -> np.ndarray:
    """Find the row that stands for each row.

    Args:
        embeddings: float32 or float16 (n, d), may be a memory map; of any length, cosines count.
            A row of zeros resembles nothing.
        threshold: smallest cosine of a row and its representative, in (0, 1].
        accept: has a last word on pairs above the threshold; called with at most `TRIES` of a row.
        standing: so many rows, the first ones, stand for themselves whatever they resemble.

    Returns:
        int64 (n,): of each row the first row it resembles among those that stand for themselves,
        or the row itself.

    Raises:
        Refused: no matrix, a threshold out of range, or a row with NaN or infinity.
    """
    if embeddings.ndim != 2:
        raise Refused(f"embeddings: {embeddings.ndim} dimensions, not rows and columns")
    if not 0 < threshold <= 1:
        raise Refused(f"threshold: {threshold} is no cosine above 0")
    return _Search(embeddings, threshold, accept).run(standing)


class _Search:
    def __init__(self, embeddings: np.ndarray, threshold: float, accept: Accept | None):
        self.x, self.threshold, self.accept = embeddings, threshold, accept
        self.n, self.d = embeddings.shape
        self.p = min(self.d, PROJECTED)
        self.norm = np.empty(self.n, np.float32)
        self.stands = np.arange(self.n)
        # Off by so much may a pair at the threshold be, as a share of its squared distance.
        spread = np.sqrt(2 * (self.d - self.p) / (max(self.p, 1) * (self.d + 2)))
        share = self.p / max(self.d, 1)
        self.near = share * (1 - threshold) * (1 + MARGIN_SIGMA * spread) + HALF

    def run(self, standing: int = 0) -> np.ndarray:
        if self.n:
            self._project()
            self._cells()
            alive = np.flatnonzero(self.norm > 0)
            self._keep(alive[alive < standing])
            alive = alive[alive >= standing]
            for start in range(0, len(alive), BLOCK):
                self._block(alive[start : start + BLOCK])
        return self.stands

    def _project(self) -> None:
        """Fill `norm`, `low` float16 (n, p) of unit rows, and `half` their squared length."""
        turn = None
        if self.p < self.d:
            normal = np.random.default_rng(0).standard_normal((self.d, self.p))
            turn = np.linalg.qr(normal)[0].astype(np.float32)
        self.low = np.empty((self.n, self.p), np.float16)
        self.half = np.empty(self.n, np.float32)
        for start in range(0, self.n, CHUNK):
            part = np.asarray(self.x[start : start + CHUNK], np.float32)
            norm = np.sqrt(np.einsum("ij,ij->i", part, part, dtype=np.float64))
            if not np.isfinite(norm).all():
                row = start + int(np.argmin(np.isfinite(norm)))
                raise Refused(f"embeddings: row {row} has a value that is no number")
            self.norm[start : start + len(part)] = norm
            unit = part / np.maximum(norm, 1e-30)[:, None].astype(np.float32)
            low = (unit if turn is None else unit @ turn).astype(np.float16)
            self.low[start : start + len(part)] = low
            single = low.astype(np.float32)
            self.half[start : start + len(part)] = np.einsum("ij,ij->i", single, single) / 2

    def _cells(self) -> None:
        """Fill `near_cells` int32 (n, LOOK), -1 for none, and make the empty cells."""
        count = 1 if self.n < ONE_CELL else min(self.n // CELL, MOST_CELLS)
        self.near_cells = np.zeros((self.n, min(LOOK, count)), np.int32)
        if count > 1:
            rng = np.random.default_rng(0)
            rows = np.sort(rng.choice(self.n, min(self.n, TRAIN * count), replace=False))
            means = faiss.Kmeans(
                self.p, count, niter=10, seed=1, spherical=True, max_points_per_centroid=TRAIN
            )
            means.train(self.low[rows].astype(np.float32))
            similar = np.empty(self.n, np.float32)
            for start in range(0, self.n, CHUNK):
                part = self.low[start : start + CHUNK].astype(np.float32)
                product, cells = means.index.search(part, self.near_cells.shape[1])
                self.near_cells[start : start + len(part)] = cells
                length = np.sqrt(2 * self.half[start : start + len(part)])
                similar[start : start + len(part)] = product[:, 0] / np.maximum(length, 1e-30)
            self._merge_cells(np.asarray(means.centroids), similar)
        self.members: list[list[np.ndarray]] = [[] for _ in range(count)]

    def _merge_cells(self, centroids: np.ndarray, similar: np.ndarray) -> None:
        """Make one cell of cells whose rows mostly resemble each other: k-means split them.

        Nearly all of their rows will be stood for, so one large cell costs little.
        """
        count = len(centroids)
        home = self.near_cells[:, 0]
        mean = np.bincount(home, similar, count) / np.maximum(np.bincount(home, minlength=count), 1)
        across = centroids @ centroids.T * np.outer(mean, mean)
        label = connected_components(across >= self.threshold, directed=False)[1]
        self.near_cells = label[self.near_cells].astype(np.int32)
        for a in range(1, self.near_cells.shape[1]):
            again = (self.near_cells[:, :a] == self.near_cells[:, a : a + 1]).any(axis=1)
            self.near_cells[again, a] = -1

    def _block(self, rows: np.ndarray) -> None:
        """Decide on rows, given in order; all earlier ones are decided."""
        found = self._joined(self._against(rows, self._standing))
        late, early = self._judged(found)
        self._stood_for(late, early)
        rows = rows[self.stands[rows] == rows]
        pairs_found = 0
        home = by_cell(self.near_cells[rows, :HOME], rows)
        among: list[tuple[np.ndarray, np.ndarray]] = []
        for pairs in self._against(rows, lambda cell: home.get(cell, rows[:0])):
            among.append(pairs)
            pairs_found += len(pairs[0])
            if len(rows) > SMALLEST_BLOCK and pairs_found > MOST_PAIRS:
                del among
                self._block(rows[: len(rows) // 2])
                self._block(rows[len(rows) // 2 :])
                return
        late, early = self._judged(self._joined(among))
        standing = np.ones(len(rows), bool)
        place = {int(row): i for i, row in enumerate(rows)}
        for a, b in zip(late.tolist(), early.tolist(), strict=True):  # by row, then earlier row
            if standing[place[b]] and self.stands[a] == a:
                self.stands[a], standing[place[a]] = b, False
        self._keep(rows[standing])

    def _keep(self, rows: np.ndarray) -> None:
        """Let rows stand for others."""
        for cell, ids in by_cell(self.near_cells[rows, :HOME], rows).items():
            self.members[cell].append(ids)

    def _standing(self, cell: int) -> np.ndarray:
        parts = self.members[cell]
        if len(parts) > 1:
            self.members[cell] = parts = [np.concatenate(parts)]
        return parts[0] if parts else np.empty(0, np.int64)

    def _against(
        self, rows: np.ndarray, members: Callable[[int], np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows and earlier members of the cells they look into that may resemble each other."""
        for cell, asking in by_cell(self.near_cells[rows], rows).items():
            ids = members(cell)
            if not len(ids):
                continue
            right = self._augmented(ids, 1.0)
            step = max(1, PRODUCTS // len(ids))
            for start in range(0, len(asking), step):
                left = self._augmented(asking[start : start + step], -1.0)
                product = left @ right.T
                at = np.flatnonzero(product.ravel() >= -self.near)
                a, b = asking[start + at // len(ids)], ids[at % len(ids)]
                yield a[b < a], b[b < a]

    def _augmented(self, ids: np.ndarray, side: float) -> np.ndarray:
        """Rows so that a product of two sides is minus half the squared distance."""
        out = np.empty((len(ids), self.p + 2), np.float32)
        out[:, : self.p] = self.low[ids]
        ones, halves = (self.p, self.p + 1) if side < 0 else (self.p + 1, self.p)
        out[:, ones], out[:, halves] = 1.0, -self.half[ids]
        return out

    def _compared(self, a: np.ndarray, b: np.ndarray) -> Pairs:
        cosine = np.empty(len(a), np.float32)
        for start in range(0, len(a), 8192):
            s = slice(start, start + 8192)
            left, right = (np.asarray(self.x[v[s]], np.float32) for v in (a, b))
            cosine[s] = np.einsum("ij,ij->i", left, right) / (self.norm[a[s]] * self.norm[b[s]])
        # A cosine of 1 is one less some rounding.
        near = cosine >= min(self.threshold, 1 - 1e-6)
        return a[near], b[near], cosine[near]

    def _joined(self, parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> Pairs:
        """The pairs above the threshold, once, by row and then earlier row."""
        found = [a * self.n + b for a, b in parts]
        codes = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
        return self._compared(codes // max(self.n, 1), codes % max(self.n, 1))

    def _judged(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        a, b, cosine = pairs
        if self.accept is None or not len(a):
            return a, b
        order = np.lexsort((b, -cosine, a))
        begin = np.searchsorted(a[order], a[order])
        tried = np.sort(order[np.arange(len(a)) - begin < TRIES])
        a, b, cosine = a[tried], b[tried], cosine[tried]
        yes = self.accept(a, b, cosine)
        return a[yes], b[yes]

    def _stood_for(self, late: np.ndarray, early: np.ndarray) -> None:
        rows, first = np.unique(late, return_index=True)
        self.stands[rows] = early[first]


def by_cell(cells: np.ndarray, rows: np.ndarray) -> dict[int, np.ndarray]:
    """Rows of each cell, in order.

    Args:
        cells: int32 (n, m), the cells of each row, -1 for none.
        rows: int64 (n,).
    """
    flat = cells.ravel()
    order = np.argsort(flat, kind="stable")
    order = order[np.searchsorted(flat[order], 0) :]
    if not len(order):
        return {}
    found, start = np.unique(flat[order], return_index=True)
    ids = np.repeat(rows, cells.shape[1])[order]
    return dict(zip(found.tolist(), np.split(ids, start[1:]), strict=True))
