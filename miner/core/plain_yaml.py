"""YAML as plain values, without what surprises: keys given twice, bombs of aliases, dates."""

from __future__ import annotations

from typing import Any

import yaml

MOST_VALUES = 100_000  # with what aliases repeat


class BadYaml(ValueError):
    """Text that is not YAML, or not to be read; the message is one line."""


class _Loader(yaml.SafeLoader):
    """Safe values; a date stays the text that it is."""


_LOADER_DATE = "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != _LOADER_DATE]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(text: str) -> Any:
    """The value of a document: dicts with different keys, lists, texts, numbers, booleans, None.

    Raises:
        BadYaml: no YAML, a key twice in one mapping, nested without end, or more than
            `MOST_VALUES` values.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _count(node, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise BadYaml("nested too deeply") from None
    except BadYaml:
        raise
    except (yaml.YAMLError, ValueError, TypeError) as error:  # of values such as 0x or 5,000 digits
        raise BadYaml(" ".join(str(error).split())) from None


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node is, each alias counted as what it repeats."""
    if id(node) in known:
        if not known[id(node)]:
            raise BadYaml(f"an alias of what it is in{_at(node)}")
        return known[id(node)]
    known[id(node)] = 0
    total = 1
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        total += sum(_count(one, known) for pair in node.value for one in pair)
    elif isinstance(node, yaml.SequenceNode):
        total += sum(_count(one, known) for one in node.value)
    if total > MOST_VALUES:
        raise BadYaml(f"more than {MOST_VALUES:,} values{_at(node)}")
    known[id(node)] = total
    return total


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            if (key.tag, key.value) in seen:
                raise BadYaml(f"{key.value} is given twice{_at(key)}")
            seen.add((key.tag, key.value))


def _at(node: yaml.Node) -> str:
    return f", line {node.start_mark.line + 1}"
