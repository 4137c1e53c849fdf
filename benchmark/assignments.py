"""Options as ``--set`` takes them, ``COMPONENT.OPTION=VALUE``, read and written. Imports no torch."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from benchmark.errors import UserError

PLAIN = re.compile(r"(?!(?:true|false|inf|nan)$)[A-Za-z][\w.:/-]*")
"""Text that is read as text without quotes."""


def parse_assignments(assignments: tuple[str, ...]) -> dict[str, Any]:
    """Turn ``("tirg.width=128", "training.epochs=5")`` into nested mappings; values are TOML, else plain text.

    Raises:
        UserError: an assignment has no name, no dot or no value.
    """
    tree: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, raw = assignment.partition("=")
        keys = path.strip().split(".")
        if not equals or len(keys) < 2 or not all(keys):
            raise UserError(f"--set {assignment}: write COMPONENT.OPTION=VALUE, for example --set tirg.width=128.")
        node = tree
        for key in keys[:-1]:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise UserError(f"--set {assignment}: {key} was already given a plain value.")
        node[keys[-1]] = _toml_value(raw.strip())
    return tree


def write_assignments(settings: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Write nested settings so that ``parse_assignments`` reads the same: ``{"a": {"b": 1}}`` as ``a.b=1``. TOML has no
    word for None, which is left out.
    """
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from write_assignments(value, f"{before}{name}.")
        elif value is not None:
            plain = isinstance(value, str) and PLAIN.fullmatch(value)
            yield f"{before}{name}={value if plain else json.dumps(value, ensure_ascii=False)}"


def _toml_value(raw: str) -> Any:
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw
