"""The list of rules to break must keep up with the code; `make parity` breaks them."""

import pytest

from tests.bench.mutations import MUTATIONS, PACKAGE, ROOT


@pytest.mark.parametrize(("rule", "name", "before", "after"), MUTATIONS)
def test_each_rule_is_where_the_list_says(rule, name, before, after):
    text = (ROOT / PACKAGE / name).read_text()
    assert text.count(before) == 1
    assert before != after
