"""Pictures that are the same: `levels.py` decides, on pairs that `search.py` and `near.py` find."""

from filters.dedupe.levels import Duplicate, duplicates
from filters.dedupe.search import representatives

__all__ = ["Duplicate", "duplicates", "representatives"]
