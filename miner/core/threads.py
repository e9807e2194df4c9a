"""One fixed number of threads for every numeric library, so that results do not depend on cores."""

from __future__ import annotations

import os
import sys

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

# glibc returns large arrays to the system after every use by default; keeping them doubled the
# throughput of numpy-heavy work in a pool.
MALLOC = {
    "MALLOC_TOP_PAD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
}


def environment(threads: int) -> dict[str, str]:
    """Environment variables that fix the threads of libraries loaded later."""
    return {
        **dict.fromkeys(VARIABLES, str(threads)),
        **MALLOC,
        "TOKENIZERS_PARALLELISM": "false",
    }


def fix_threads(threads: int) -> None:
    """Fix the threads of this process, also in libraries that are loaded already.

    torch takes a second to load and is not, where nobody needs it: whoever does calls this after.
    """
    os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import cv2
    import faiss
    import pyarrow as pa

    cv2.setNumThreads(threads)
    faiss.omp_set_num_threads(threads)
    pa.set_cpu_count(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
