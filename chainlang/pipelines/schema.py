"""JSON schema (draft 7) of files of steps, for editors; made of the tables of their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainlang.pipelines.keys import CONTEXT, INPUT, PIPELINE, STEP, Key, schema_of

FILE_MATCH = ("*.chain.yaml", "*.chain.yml")
"""Names of files that editors take for files of steps."""
MODELINE = "# yaml-language-server: $schema=chainlang.schema.json"
"""First line of a file by which editors find its schema."""


def json_schema() -> dict[str, Any]:
    """Return the schema of a file of steps.

    >>> json_schema()["required"]
    ['name', 'steps']
    """
    template = {"type": ["string", "number", "boolean", "array", "object", "null"]}
    described = {
        "type": "object",
        "properties": {"value": template, "description": {"type": "string"}},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A file of steps for chainlang",
        **_table(PIPELINE),
        "definitions": {
            "context": _table(CONTEXT, is_open=True),
            "inputs": {
                "type": "object",
                "additionalProperties": {"anyOf": [{"type": "string"}, _table(INPUT)]},
            },
            "outputs": {"type": "object", "additionalProperties": {"anyOf": [template, described]}},
            "steps": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/step"}},
            "step": {
                **_table(STEP),
                "anyOf": [{"required": [one]} for one in ("action", "steps", "pipeline")],
            },
        },
    }


def _table(keys: Mapping[str, Key], *, is_open: bool = False) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [one.name for one in keys.values() if one.required],
        "properties": {one.name: schema_of(one) for one in keys.values()},
        "additionalProperties": is_open,
    }
