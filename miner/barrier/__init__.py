"""What needs all units at once: verdicts, duplicates, caps, splits, shards, ledger."""
