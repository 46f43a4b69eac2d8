"""Serialization of nodes as JSON.

A document is ``{"chainlang": 1, "chain": node}``. A node is an object with its tag under ``"node"``
and its fields, without those that have their default. Spans are not stored. Tags are a closed set,
so reading a document never imports or runs anything by name.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, get_args

import attrs

from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import unknown
from chainlang.errors import DocumentError, error_of
from chainlang.ir.calls import general, specific
from chainlang.ir.nodes import Arm, Combinator, Combine, Node
from chainlang.ir.verify import SPECIFICATION, faults
from chainlang.ir.visit import field_names, measure, transform
from chainlang.limits import current

VERSION = 1
_WRITTEN_OUT = (*get_args(Combinator), Arm)
"""Nodes that documents store in the general form of a call (`chainlang.ir.calls`)."""
TAGS: dict[str, type[Node]] = {
    kind.__name__: kind for kind in SPECIFICATION if kind not in _WRITTEN_OUT
}
_SPLIT = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_BRACKETS = re.compile(r'"(?:\\.|[^"\\])*"|[\[{]|[\]}]', re.DOTALL)


def to_json(node: Node) -> str:
    """Return a node as a JSON document.

    >>> from chainlang import E
    >>> to_json(E("tiny", 3).body)
    '{"chainlang": 1, "chain": {"node": "Stage", "name": "E", "count": 3, "model": "tiny"}}'
    """
    document = {"chainlang": VERSION, "chain": _encode(node)}
    text = json.dumps(document, allow_nan=False, ensure_ascii=False)
    if _SPLIT.search(text):  # escapes would join two lone surrogates to one character
        return text
    return json.dumps(document, allow_nan=False)


def from_json(text: str) -> Node:
    """Return the node of a JSON document.

    Raises `DocumentError` if it is not JSON, not a chain, of another version, or invalid, and
    `LimitError` if it is too large or too deep.

    >>> from_json('{"chainlang": 1, "chain": {"node": "Stage", "name": "E"}}')
    Stage(name='E', count=1, model=None, temperature=None, options=())
    """
    limits = current()
    size = len(text.encode("utf-8", "surrogatepass"))
    limits.check("source_bytes", size, f"a document of {size:,} bytes")
    _check_nesting(text)
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except ValueError as error:  # also JSONDecodeError, and integers of thousands of digits
        raise error_of("json", f"invalid JSON: {error}") from error
    if not isinstance(document, dict) or "chainlang" not in document:
        raise error_of("json", "this JSON is not a chain: it has no version under 'chainlang'")
    if document["chainlang"] != VERSION or isinstance(document["chainlang"], bool):
        message = f"unsupported version of the document: {document['chainlang']!r}"
        raise error_of("json", message, f"this chainlang reads version {VERSION}")
    if document.keys() != {"chainlang", "chain"}:
        raise error_of("json", "a document has exactly two keys: 'chainlang' and 'chain'")
    node = _decode(document["chain"], "chain")
    if not isinstance(node, Node):
        raise error_of("json", "'chain' is not a node: an object with a tag under 'node'")
    size, depth = measure(node)
    limits.check("nodes", size, f"a chain of {size:,} nodes")
    limits.check("depth", depth, f"a chain nested {depth} deep")
    found = [attrs.evolve(fault, code="json") for fault in faults(node)]
    if found:
        raise DocumentError(found)
    return transform(node, lambda one: specific(one) if isinstance(one, Combine) else one)


def _encode(value: object) -> Any:
    if isinstance(value, Combinator):
        value = general(value)
    if isinstance(value, Node):
        kind = type(value)
        fields: dict[str, Any] = {"node": kind.__name__}
        for attribute in attrs.fields(kind):  # plain loops: each frame counts in deep chains
            own = getattr(value, attribute.name)
            if attribute.name != "span" and (
                attribute.default is attrs.NOTHING or own != attribute.default
            ):
                fields[attribute.name] = _encode(own)
        return fields
    if isinstance(value, tuple):
        several = []
        for item in value:
            several.append(_encode(item))  # noqa: PERF401
        return several
    return value


def _decode(value: Any, path: str) -> Any:
    if isinstance(value, list):
        several = []
        for index, item in enumerate(value):
            several.append(_decode(item, f"{path}[{index}]"))
        return tuple(several)
    if not isinstance(value, dict):
        return value
    fields = dict(value)
    tag = fields.pop("node", None)
    kind = TAGS.get(tag) if isinstance(tag, str) else None
    if tag is None:
        hint = 'write {"node": "Stage", ...}'
        raise error_of("json", f"the object at {path} has no tag under 'node'", hint)
    if kind is None:
        name = tag if isinstance(tag, str) else shown(tag)
        raise DocumentError([unknown("node", name, TAGS, code="json", of=f" at {path}")])
    for name in fields:
        if name not in field_names(kind):
            of = f" of the {tag} at {path}"
            raise DocumentError([unknown("field", name, field_names(kind), code="json", of=of)])
    for attribute in attrs.fields(kind):
        if attribute.default is attrs.NOTHING and attribute.name not in fields:
            raise error_of("json", f"missing field '{attribute.name}' of the {tag} at {path}")
    for name, item in fields.items():
        fields[name] = _decode(item, f"{path}.{name}")
    return kind(**fields)


def _check_nesting(text: str) -> None:
    """Raise `LimitError` for a deep document, before it is parsed recursively."""
    limits = current()
    # A level of a chain is up to three levels of JSON; the file around it adds a few.
    bound = 3 * limits.depth + 8
    depth = 0
    for match in _BRACKETS.finditer(text):
        char = match[0]
        if char in "[{":
            depth += 1
            if depth > bound:
                limits.check("depth", depth, f"JSON nested more than {bound} deep")
        elif char in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise error_of("json", f"duplicate key {key!r} in an object")
            seen.add(key)
    return found


def _constant(name: str) -> NoReturn:
    raise error_of("json", f"{name} is not a JSON number")
