"""Ray's command line with more patience for a raylet that starts.

Ray gives it 30 s, for which there is no setting; on a busy machine these are too few.
"""

import time
from types import SimpleNamespace

from ray._private import node
from ray.scripts.scripts import main

SLOWER = 20  # the node's clock beside ours

if __name__ == "__main__":
    slow = {"monotonic": lambda: time.monotonic() / SLOWER}
    node.time = SimpleNamespace(**{**vars(time), **slow})
    main()
