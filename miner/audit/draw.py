"""Which masks are judged: stratified, seeded, with known inclusion probabilities."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from miner.audit.population import Mask

REJECTED_SHARE = 0.2  # of the sample, for what the filters threw away
LEAST = 2  # of a stratum; one judgement has no spread
OTHER = "other"  # the stratum of what is too rare for one of its own
# Judgements that a guess of a stratum's precision is worth before any are made there.
PRIOR_WEIGHT = 4.0
PRIOR_PRECISION = 0.9


@dataclasses.dataclass(frozen=True, slots=True)
class Drawn:
    """A mask of the sample.

    Attributes:
        mask: of the run.
        stratum: it was drawn from: "kept/…" or "rejected/…".
        probability: with which it is in the sample, 0 to 1.
    """

    mask: Mask
    stratum: str
    probability: float


@dataclasses.dataclass(frozen=True)
class Draw:
    """A sample and the strata that it was drawn from.

    Attributes:
        drawn: the sample, in an order that tells nothing.
        strata: masks of the run by stratum.
    """

    drawn: list[Drawn]
    strata: dict[str, int]


def draw(
    masks: Sequence[Mask],
    n: int,
    seed: int,
    earlier: Mapping[str, tuple[float, int]] | None = None,
    rejected_share: float = REJECTED_SHARE,
) -> Draw:
    """Draw without replacement.

    Kept and rejected masks are strata of their own; the rarest of either are one stratum together
    where `n` is too small for each of them. Without an earlier audit a stratum gets a share in
    proportion to the root of its size, so that rare concepts are judged too; with one, Neyman's
    allocation: size times the spread that was found (J. Neyman, JRSS 1934).

    Args:
        masks: of the run (`population`).
        n: masks to draw; all when there are no more.
        seed: of the draw.
        earlier: by stratum the precision that an audit found and of how many judgements.
        rejected_share: share of `n` for rejected masks.
    """
    kept = [m for m in masks if m.kept]
    rejected = [m for m in masks if not m.kept]
    for_rejected = min(max(round(n * rejected_share), n - len(kept)), len(rejected))
    drawn: list[Drawn] = []
    sizes: dict[str, int] = {}
    for side, some, count in (
        ("kept", kept, n - for_rejected),
        ("rejected", rejected, for_rejected),
    ):
        strata = _strata(side, some, count)
        found = {name: len(members) for name, members in strata.items()}
        sizes |= found
        for name, wanted in _allocate(found, count, earlier or {}, earlier is not None).items():
            chosen = sorted(strata[name], key=lambda m: _chance(seed, m.item))[:wanted]
            drawn += [Drawn(mask, name, wanted / found[name]) for mask in chosen]
    return Draw(sorted(drawn, key=lambda d: _chance(seed + 1, d.mask.item)), sizes)


def _strata(side: str, masks: Sequence[Mask], n: int) -> dict[str, list[Mask]]:
    """Masks by stratum, at most as many strata as half of `n` can serve."""
    common = Counter(m.stratum for m in masks).most_common()
    own = sorted(common, key=lambda pair: (-pair[1], pair[0]))
    if len(own) > (room := max(n // (2 * LEAST), 1)):
        own = own[: room - 1]
    names = {name for name, _ in own}
    found: dict[str, list[Mask]] = defaultdict(list)
    for mask in masks:
        found[f"{side}/{mask.stratum if mask.stratum in names else OTHER}"].append(mask)
    return dict(sorted(found.items()))


def _allocate(
    sizes: Mapping[str, int], n: int, earlier: Mapping[str, tuple[float, int]], neyman: bool
) -> dict[str, int]:
    """How many of each stratum: at least `LEAST`, at most all, `n` together where possible."""
    if not sizes:
        return {}
    size = np.array(list(sizes.values()), float)
    wanted = np.sqrt(size)
    if neyman:
        known = [earlier.get(name, (PRIOR_PRECISION, 0)) for name in sizes]
        p = np.array(
            [(r * m + PRIOR_PRECISION * PRIOR_WEIGHT) / (m + PRIOR_WEIGHT) for r, m in known]
        )
        wanted = size * np.sqrt(p * (1 - p))
    given = np.minimum(size, LEAST)
    while (left := n - given.sum()) >= 1 and (open_ := given < size).any():
        share = np.where(open_, wanted, 0)
        more = np.floor(left * share / share.sum())
        if not more.any():  # what is left goes to those that are most behind
            most = np.argsort(-np.where(open_, wanted / (given + 1), -1), kind="stable")
            more[most[: int(left)]] = 1
        given = np.minimum(given + more, size)
    return {name: int(count) for name, count in zip(sizes, given, strict=True)}


def _chance(seed: int, item: str) -> bytes:
    return hashlib.sha256(f"{seed}:{item}".encode()).digest()
