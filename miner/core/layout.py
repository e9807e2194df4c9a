"""Names of the files in OUT that more than one module knows, and what the JSON ones hold."""

from __future__ import annotations

from collections.abc import Mapping

from miner.core.errors import Refused
from miner.core.remote import reached
from miner.core.store import Store

RUN = "run.json"  # resolved configuration, hash, versions, seed
FINISHED = "finished.json"  # digest of what shards and ledger were made of; written last
MANIFEST = "shards/manifest.json"  # per shard sha256 and counts
SAMPLING = "ledger/sampling.json"  # strata before and after caps, concepts by organ
LEAKS = "ledger/leaks.json"  # certificate: what was compared with protected sets, and found
ESTIMATE = "estimate/expected.json"  # what `miner plan --estimate` expected of the run
TOOK = "estimate/took.json"  # what it took; where there is an estimate
REPORT = "report/index.html"
CALIBRATION = "report/calibration.json"  # what the section on calibration is drawn from
NOTEBOOK = "report/audit.ipynb"  # last file of the report
CHANGES = "report/changes.json"  # what the last refilter changed

# What stands in the JSON files; `{...}` in a name stands for what it is called after.
FIELDS: Mapping[str, Mapping[str, str]] = {
    RUN: {
        "config": "the resolved configuration, without secrets",
        "identity": "the part of it that a resumed run must agree with",
        "hash": "sha256 of `identity`",
        "run": "what every mark must carry: sha256 of identity, files and plan at the start",
        "seed": "seed of every random choice",
        "rows": "caption rows by corpus",
        "plan": "sha256 of which row is in which unit",
        "versions": "of Histomine, Python and the packages that results depend on",
        "files": "sha256 of every file that the outcome depends on, by setting",
    },
    "plan/{corpus}.json": {
        "version": "of the plan's layout",
        "unit_rows": "caption rows in a unit",
        "tables": "name, size and time of the publisher's tables",
        "rows": "caption rows",
        "images": "distinct pictures",
        "units": "work units",
        "content": "sha256 of which row is in which unit",
        "files": "sha256 of the tables beside it; with others it is made anew",
        "problems": "what is wrong with the publisher's files, one line each",
    },
    ESTIMATE: {
        "rows": "caption rows of the plan",
        "units": "how many were mined for it",
        "hours": "that pass: low, middle, high; so are all amounts",
        "gpu_hours": "reserved meanwhile",
        "seconds": "of work, all workers together",
        "bytes": "of units",
        "tokens_in": "asked of a language model",
        "tokens_out": "answered by it",
    },
    TOOK: {
        "rows": "caption rows whose mining was timed, of all calls together",
        "seconds": "of work on them, all workers together",
    },
    "units/{unit}.json": {
        "unit_id": "name of the unit",
        "run": "`run` of the run.json of the run that mined it",
        "tables": "rows, bytes and sha256 of the unit's tables",
        "counts": "what the stages counted: texts, calls, faults",
        "missing": "what took no part, and how to get it",
        "masks": "candidates with a mask",
    },
    MANIFEST: {
        "format": "of the manifest",
        "run": "`hash` of the run.json",
        "shards": "the tars, see below",
        "files": "sha256 of every other file under shards/",
        "samples": "in all shards",
        "regions": "in all shards",
        "sha256": "of the manifest without this field",
    },
    SAMPLING: {
        "before_after": "by dimension: value, samples before and after caps",
        "coverage": "samples by concept and organ",
    },
    LEAKS: {
        "compared": "pictures that could be written",
        "excluded": "of them, like a protected one or of one of its patients",
        "thresholds": "smallest correlation of detail, cosine, and detail beside such a cosine",
        "model": "that made the embeddings",
        "sets": "by protected set: its pictures, patients, the levels compared, pictures found by "
        "level and by patient, each with the protected picture (or patient) that it is like, the "
        "level and the similarity, planted copies and how many were found, sha256 of the "
        "fingerprints",
    },
    FINISHED: {
        "digest": "sha256 of the configuration, protected sets and the tables of all units",
        "ledger": "sha256 of the ledger's files; none in a release, whose SHA256SUMS has them",
        "tars": "by tar, sha256 of what it is made of; empty where side files ride along",
    },
}


def check_out(store: Store) -> None:
    """Check that a run was started in OUT.

    Raises:
        Refused: nothing is there, or something else.
    """
    store.reach()
    with reached(store.url):
        begun = store.exists(RUN)
        there = begun or store.fs.exists(store.root)
    if begun:
        return
    if not there:
        raise Refused(f"{store.url}: no such folder; expected the output of miner run")
    raise Refused(f"{store.url}: no {RUN} in it; not an output of miner run")
