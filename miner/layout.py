"""Names of the files in OUT that more than one module knows."""

RUN = "run.json"  # resolved configuration, hash, versions, seed
FINISHED = "finished.json"  # digest of what shards and ledger were made of; written last
MANIFEST = "shards/manifest.json"  # per shard sha256 and counts
SAMPLING = "ledger/sampling.json"  # strata before and after caps, concepts by organ
REPORT = "report/index.html"
NOTEBOOK = "report/audit.ipynb"  # last file of the report
CHANGES = "report/changes.json"  # what the last refilter changed
