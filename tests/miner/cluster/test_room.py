"""How many actors fit: CPUs, GPUs and memory, groups with a number of their own."""

import pytest

from miner.cluster.room import lacking, sizes
from miner.load_config import check_config

GPU = {"segment": {"num_gpus": 1, "memory_gb": 8}}
HAVE = {"CPU": 64.0, "GPU": 8.0, "memory": 256e9}


def config(workers=0, **resources):
    runner = {"workers": workers, "resources": resources}
    return check_config({"corpora": [{"kind": "pairs", "path": "x"}], "runner": runner}, "test")


@pytest.mark.parametrize(
    ("have", "said"),
    [
        ({"CPU": 6, "memory": 64e9}, [6]),
        ({"CPU": 6, "memory": 7e9}, [4]),  # of 1.5 GB each
        ({"CPU": 0, "memory": 64e9}, [1]),
        ({"CPU": 2, "GPU": 4, "memory": 64e9}, [2]),
    ],
)
def test_as_many_as_fit(have, said):
    assert sizes(config(), have) == said


def test_groups_share_the_room():
    assert sizes(config(**GPU), HAVE) == [8, 8, 8]  # extract, segment, score and embed


def test_a_group_with_a_number_leaves_the_rest_to_the_others():
    resources = {"segment": {"num_gpus": 1, "workers": 8}, "score": {"num_cpus": 1, "workers": 40}}
    assert sizes(config(**resources), HAVE) == [8, 8, 40, 8]


def test_a_number_of_workers_is_for_groups_without_their_own():
    resources = {"score": {"num_cpus": 2, "workers": 5}}
    assert sizes(config(3, **resources), HAVE) == [3, 5, 3]


def test_what_is_lacking_is_named():
    assert lacking(config(**GPU), HAVE) == ""
    said = "the cluster has 0 GPU, one worker of each group needs 1"
    assert lacking(config(**GPU), {"CPU": 8.0, "memory": 64e9}) == said
    said = "the cluster has 1 GB of memory, one worker of each group needs 1.5"
    assert lacking(config(), {"CPU": 8.0, "memory": 1e9}) == said
