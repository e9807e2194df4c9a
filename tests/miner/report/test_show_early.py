from pathlib import Path

import pytest

from miner.core.errors import Refused
from miner.core.layout import RUN
from miner.core.store import Store
from miner.report.show import find


def test_a_run_without_verdicts_is_not_finished_yet(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_json(RUN, {})
    with pytest.raises(Refused, match="not finished yet"):
        find(store, "a.png")
