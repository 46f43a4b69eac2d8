"""Descriptions of the types of ops, which end their prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainlang.datatypes.check_types import Declared
from chainlang.datatypes.describe import described
from chainlang.datatypes.json_schema import json_schema
from chainlang.ir.builtins import DESCRIBE, FIELDS, UNDESCRIBED
from chainlang.ir.declarations import Op, is_typed
from chainlang.semantics.prompts import render, variables

TEMPLATE = "Reply in JSON: {{ fields }}"
"""Default of `describe`."""


def fields_of(op: Op, types: Mapping[str, Declared]) -> str:
    """Return the description of the type that an op returns; "" for text.

    >>> from chainlang.notation import parse_file
    >>> op = parse_file('op mood : generate -> "pos" | "neg" { user = "u" }').node.items[0]
    >>> fields_of(op, {})
    '"pos" or "neg"'
    """
    if op.returns is None or not is_typed(op):
        return ""
    return described(json_schema(op.returns, types))


def description_of(settings: Mapping[str, Any], fields: str) -> str:
    """Return what ends the prompt of an op; "" if it has no type, or places the words itself."""
    template = settings.get(DESCRIBE, TEMPLATE)
    prompts = (settings["user"], settings.get("system") or "")
    if not fields or template == UNDESCRIBED or any(FIELDS in variables(one) for one in prompts):
        return ""
    return render(template, {FIELDS: fields})
