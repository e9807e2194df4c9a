"""After the last unit: verdicts, duplicates, caps, splits, shards, ledger.

Everything here is a pure function of the committed units and the configuration, so it can be
repeated with other thresholds (`miner refilter`) and gives the same bytes after any interruption
and for any number of workers. It goes in steps (`miner.barrier.pieces`), part by part or over all:

    judged    part    scores -> what each mask fails by itself             rates.judged
    rates     all     these -> false-discovery rates, calibration page     rates.rates
    outcomes  part    these -> verdicts, states of rows, pictures          outcomes.outcomes
    against   part    finished runs -> the pictures that they wrote        against.shown
    index     all     sketches of pictures -> what they are looked up in   near.index
    near      part    thumbnails -> near-duplicates                        near.near
    control   all     protected sets -> whether copies of theirs are found  protect.control_sets
    guard     part    pictures -> what they have in common with these sets  protect.guard
    choice    all     these -> protected, duplicates, splits, caps, tars   choice.choice
    tars      tar     samples with their pictures -> tar and index         tars.tar
    ledger    part    rows and candidates with their verdicts              ledger.ledger

All is built beside what stands and takes its place at the end (`miner.barrier.swap`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from miner.barrier import against
from miner.barrier.choice import Choosing, choice
from miner.barrier.compare import Shown
from miner.barrier.ledger import Told, candidate_schema, ledger
from miner.barrier.near import MOST_TASKS, Sought, index, near
from miner.barrier.outcomes import Stated, outcomes
from miner.barrier.parts import Part, parts
from miner.barrier.pieces import Piece, Spread, Steps, read_schema
from miner.barrier.protect import Guarded, control_sets, guard
from miner.barrier.protect import digest as protected_digest
from miner.barrier.rates import judged, rates
from miner.barrier.sampling import merged
from miner.barrier.swap import finish_swap, publish
from miner.barrier.tars import Filled, Tar, info_of, tar
from miner.commits import Marks
from miner.config import Config
from miner.core.layout import CALIBRATION, FINISHED, LEAKS, MANIFEST, SAMPLING
from miner.core.store import Store
from miner.version import __version__
from shards.card import write_card
from shards.index import Damaged, read_manifest
from shards.pack import write_manifest

_LAYOUT = 4  # of the pieces: another one's are not gone on with


def digest(store: Store, config: Config, marks: Marks, configured: str = "") -> str:
    """What the output depends on: configuration, protected sets, finished runs, all units.

    `configured` is the digest of the configuration as another version made it.
    """
    units = {u: [t["sha256"] for t in m["tables"].values()] for u, m in sorted(marks.items())}
    parts = [
        configured or config.digest(),
        units,
        *protected_digest(store, config),
        *against.digest(config),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def is_finished(store: Store, config: Config, marks: Marks, configured: str = "") -> bool:
    """Whether shards and ledger are those of this configuration and these units.

    Args:
        store: OUT.
        config: of the run.
        marks: of every unit, by unit_id.
        configured: digest of the configuration in the version that made OUT; else this one's.
    """
    if not all(store.exists(name) for name in (FINISHED, MANIFEST, CALIBRATION)):
        return False
    made = digest(store, config, marks, configured)
    return store.read_json(FINISHED, ["digest"])["digest"] == made


def finish(
    store: Store,
    config: Config,
    marks: Marks,
    spread: Spread = map,
    check: Callable[[], None] = lambda: None,
    beside: Callable[[Sequence[list[Any]], Store], Mapping[str, Any]] | None = None,
) -> None:
    """Write shards and ledger from committed units.

    Args:
        store: OUT.
        config: of the run; only `filters`, `dedupe`, `sampling`, `shards` and `seed` matter here.
        marks: of every unit, by unit_id.
        spread: does the tasks of a step.
        check: called before each step and before anything that stands is touched; raises when OUT
            is not ours any more.
        beside: gives JSON files by name that take their place with the rest, from what differs
            from the ledger that stands (`miner.barrier.ledger.Change` and a count each) and the
            folder with the ledger that replaces it.

    Raises:
        DamagedUnit: a unit is not what was committed.
    """
    finish_swap(store)
    store.sweep()
    made_of = digest(store, config, marks)
    key = json.dumps([made_of, __version__, _LAYOUT])
    steps = Steps(store, hashlib.sha256(key.encode()).hexdigest(), spread, check)
    all_parts = parts(marks)
    run = _judge(steps, all_parts, config)
    controls, guards = _guard(steps, run, config) if config.protect else ([], [])
    theirs = steps.run("against", against.shown, against.finished(config))
    shown = run.shown.beside(theirs.values())
    chosen = steps.one(
        "choice",
        choice,
        Choosing(
            all_parts,
            run.pieces("rows"),
            shown,
            _look_up(steps, shown) if config.dedupe.near else None,
            [Piece(*one["placed"]) for one in theirs.values()],
            guards,
            controls,
            config,
        ),
    )
    packed = _pack(steps, store, run, chosen, config)
    told = _tell(steps, store, run, chosen, config, beside is not None)

    new = steps.next
    new.write_json(SAMPLING, merged(part["sampling"] for part in told))
    new.write_json(CALIBRATION, run.rates["page"])
    if chosen["leaks"] is not None:
        new.write_json(LEAKS, chosen["leaks"])
    infos = [info_of(one) for one in packed]
    write_card(new, infos, config)
    write_manifest(new, infos, config.digest())
    new.write_json(
        FINISHED,
        {
            "digest": made_of,
            "tars": {one["info"]["name"]: one["made_of"] for one in packed},
            "ledger": {
                **{name: sha256 for part in told for name, sha256 in part["files"].items()},
                **{
                    name: hashlib.sha256(new.read(name)).hexdigest()
                    for name in (SAMPLING, LEAKS)
                    if new.exists(name)
                },
            },
        },
    )
    if beside is not None:
        for name, value in beside([c for part in told for c in part["changes"]], new).items():
            new.write_json(name, value)
    check()
    stay = [f"shards/{one['info']['name']}" for one in packed if one["stays"]]
    publish(store, f"{steps.folder}/next", stay)


class _Run:
    """What the steps up to the verdicts found.

    Attributes:
        parts: of the run.
        light: candidates of each without masks, see `rates.judged`.
        rates: of the step of that name.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        light: Sequence[Piece],
        rates: Mapping[str, Any],
        outcomes: Sequence[Mapping[str, Any]],
    ):
        self.parts, self.light, self.rates, self._outcomes = parts, light, rates, outcomes

    def pieces(self, name: str) -> list[Piece]:
        """A piece of `outcomes` of every part."""
        return [Piece(*one[name]) for one in self._outcomes]

    @property
    def shown(self) -> Shown:
        """The pictures that may be written."""
        names, thumbs, vectors = map(self.pieces, ("pictures", "thumbs", "vectors"))
        return Shown(names, thumbs, vectors, [one["dims"] for one in self._outcomes])


def _judge(steps: Steps, all_parts: Sequence[Part], config: Config) -> _Run:
    first = steps.run("judged", judged, {p.name: (p, config.filters) for p in all_parts})
    judgements, light = (
        [Piece(*one[name]) for one in first.values()] for name in ("judged", "light")
    )
    rated = steps.one("rates", rates, (judgements, config.filters))
    given = {
        part.name: Stated(part, judgement, table, Piece(*q), rated["accepted_from"], config)
        for part, judgement, table, q in zip(
            all_parts, judgements, light, rated["pieces"], strict=True
        )
    }
    found = steps.run("outcomes", outcomes, given)
    return _Run(all_parts, light, rated, list(found.values()))


def _look_up(steps: Steps, shown: Shown) -> list[Piece]:
    """Near-duplicates, of the pictures of every part."""
    built = steps.one("index", index, shown.names)
    numbers = range(len(shown.names))
    step = -(-len(numbers) // MOST_TASKS)
    given = {
        f"{first:06d}": Sought(
            numbers[first : first + step], Piece(*built["index"]), built["starts"], shown.thumbs
        )
        for first in numbers[::step]
    }
    return [Piece(*piece) for piece in steps.run("near", near, given).values()]


def _guard(steps: Steps, run: _Run, config: Config) -> tuple[list[dict[str, Any]], list[Piece]]:
    """What the sets that are protected are found to be by themselves, and what is like them."""
    controls = steps.one("control", control_sets, config)
    shown, rows = run.shown, run.pieces("rows")
    given = {
        part.name: Guarded(
            rows[i], shown.names[i], shown.thumbs[i], shown.vectors[i], shown.dims[i], config
        )
        for i, part in enumerate(run.parts)
    }
    return controls, [Piece(*piece) for piece in steps.run("guard", guard, given).values()]


def _pack(
    steps: Steps, store: Store, run: _Run, chosen: Mapping[str, Any], config: Config
) -> list[Any]:
    rows, verdicts = run.pieces("rows"), run.pieces("verdicts")
    old = _standing(store)
    given = {
        one["name"]: Tar(
            number,
            one["name"],
            one["split"],
            [
                Filled(run.parts[p], rows[p], verdicts[p], Piece(*chosen["rows"][p]))
                for p in one["parts"]
            ],
            config,
            f"{steps.folder}/next",
            old.get(one["name"]),
        )
        for number, one in enumerate(chosen["tars"])
    }
    return list(steps.run("tars", tar, given).values())


def _standing(store: Store) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """What the tars of the data set that stands are made of, and their entries, by name."""
    if not store.exists(FINISHED):
        return {}
    made_of = store.read_json(FINISHED).get("tars", {})
    try:
        entries = read_manifest(store)["shards"]
    except Damaged:
        return {}
    return {e["name"]: (made_of[e["name"]], e) for e in entries if made_of.get(e["name"])}


def _tell(
    steps: Steps,
    store: Store,
    run: _Run,
    chosen: Mapping[str, Any],
    config: Config,
    compare: bool,
) -> list[Any]:
    rows, verdicts = run.pieces("rows"), run.pieces("verdicts")
    names = [one["name"] for one in chosen["tars"]]
    schema, told = _schema(store, run.light, verdicts[0]), run.pieces("told")
    given = {
        part.name: Told(
            part,
            run.light[i],
            told[i],
            rows[i],
            verdicts[i],
            Piece(*chosen["rows"][i]),
            names,
            schema,
            f"{steps.folder}/next",
            compare,
        )
        for i, part in enumerate(run.parts)
    }
    return list(steps.run("ledger", ledger, given).values())


def _schema(store: Store, light: Sequence[Piece], verdicts: Piece) -> pa.Schema:
    """Schema of the candidate ledger: columns of the units, then of their verdicts."""
    found = [read_schema(store, piece) for piece in light]
    units = pa.unify_schemas(found, promote_options="default")
    told = read_schema(store, verdicts)
    fields = {field.name: field for field in [*units, *told]}
    return candidate_schema(pa.schema(list(fields.values())))
