"""Pictures that are the same: by content hash, then by cosine similarity of their embeddings.

Rows that share one picture are no duplicates of each other: what is compared are pictures. The
answer depends on the set of pictures only, never on their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

EXACT_BELOW = 20_000  # below this many vectors an exhaustive search is as fast as an index
PROBES = 8  # cells searched per vector; 4 found every planted pair among 10^6 x 256


def duplicates(
    image_ids: Sequence[str],
    hashes: Sequence[str],
    ranks: Sequence[tuple[float, ...]],
    vectors: np.ndarray | None,
    threshold: float,
) -> dict[str, tuple[str, str]]:
    """Find the pictures to drop.

    Args:
        image_ids: unique names.
        hashes: content hashes, same length.
        ranks: smaller is better; of a group of duplicates the smallest (rank, image_id) stays.
        vectors: float32 (n, d), unit length; None compares hashes only.
        threshold: smallest cosine similarity of two duplicates.

    Returns:
        Dropped image_id -> (image_id that stays, "exact" or "semantic").
    """
    order = sorted(range(len(image_ids)), key=lambda i: image_ids[i])
    first: dict[str, int] = {}
    same = [(first.setdefault(hashes[i], i), i) for i in order]
    near = [] if vectors is None else _near_pairs(vectors[order], threshold, order)
    labels = _components(same + near, len(image_ids))

    best: dict[int, int] = {}
    for i in sorted(order, key=lambda i: (ranks[i], image_ids[i])):
        best.setdefault(int(labels[i]), i)
    dropped = {}
    for i in order:
        keep = best[int(labels[i])]
        if keep != i:
            how = "exact" if hashes[i] == hashes[keep] else "semantic"
            dropped[image_ids[i]] = (image_ids[keep], how)
    return dropped


def _near_pairs(
    vectors: np.ndarray, threshold: float, order: Sequence[int]
) -> list[tuple[int, int]]:
    """Pairs (as positions in the caller's order) with cosine similarity >= threshold."""
    n, dim = vectors.shape
    if n < 2:
        return []
    index: faiss.Index
    if n < EXACT_BELOW:
        index = faiss.IndexFlatIP(dim)
    else:
        cells = int(4 * np.sqrt(n))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = 0
        index.train(vectors)
        index.nprobe = PROBES
    index.add(vectors)
    # faiss keeps scores strictly above the radius.
    limits, _, found = index.range_search(vectors, float(np.nextafter(np.float32(threshold), -1)))
    sources = np.repeat(np.arange(n), np.diff(limits).astype(int))
    keep = sources < found
    return [(order[a], order[b]) for a, b in zip(sources[keep], found[keep], strict=True)]


def _components(pairs: Sequence[tuple[int, int]], n: int) -> np.ndarray:
    """Connected component of each of n nodes, int (n,)."""
    a, b = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(n, n))
    return connected_components(graph, directed=False)[1]
