"""References in JSON schemas: what they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def followed(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the schema that references lead to, with the first description on the way.

    The schema is `root` or a part of it. References that lead nowhere, or to each other, give an
    empty schema.

    >>> root = {"$defs": {"Age": {"type": "integer", "description": "in years"}}}
    >>> followed({"$ref": "#/$defs/Age"}, root)
    ({'type': 'integer', 'description': 'in years'}, 'in years')
    >>> followed({"$ref": "#/$defs/Name", "description": "of a person"}, root)
    ({}, 'of a person')
    """
    said, defs = schema.get("description"), dict(root.get("$defs", {}))
    while "$ref" in schema:
        schema = defs.pop(str(schema["$ref"]).removeprefix("#/$defs/"), {})
        said = said or schema.get("description")
    return schema, str(said or "")
