"""Offered models: the chains that a server answers with, by the names that clients use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from chainlang.analysis.program import Program
from chainlang.api.chain import Chain
from chainlang.api.parse import load
from chainlang.errors import ChainlangError, OperandError, error_of
from chainlang.ir.declarations import Definition
from chainlang.optimizer.compile import planned
from chainlang.semantics.input_schema import declared_fields
from chainlang.serving.live import is_live
from chainlang.session.named_models import with_models
from chainlang.settings import CallSettings

QUERY = "query"
CHAIN = "chain"
"""Name of a chain that is of no file."""


@frozen(eq=False)
class Offer:
    """A chain under the name of a model."""

    name: str
    chain: Chain
    program: Program
    is_live: bool
    """Whether the text of its last stage is its answer, so that it can be sent as it comes."""
    reads: frozenset[str]
    """Fields of a row that the chain declares or reads."""
    text_field: str
    """Field of a row for the last text of a conversation."""
    fields: Mapping[str, Any] = field(repr=False)
    """JSON schema of the further fields of a row, an object without any other."""
    digest: str = field(repr=False)
    """Hash of the chain and of the model of stages that name none."""

    @staticmethod
    def of(name: str, chain: Chain, settings: CallSettings) -> Offer:
        """Return the offer of a chain. Raises the errors of its checks."""
        program = with_models(chain.program(), settings)
        declared = declared_fields(program.items)
        schema = program.row_validator.json_schema()
        text = _text_field(name, program, schema)
        identity = json.dumps([name, chain.to_json(), settings.model])
        return Offer(
            name,
            chain,
            program,
            not program.variants and is_live(planned(program, settings).plan),
            declared or frozenset(program.read_fields),
            text,
            _further(schema, text),
            hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest(),
        )


CONVERSATION = frozenset({"system", "messages"})
"""Fields of a row for the system text, and for the turns before the last one."""


def _text_field(name: str, program: Program, schema: Mapping[str, Any] | None) -> str:
    """Return the field for the last text of a conversation.

    It is ``query``, or the only field that a row needs, or of several the first text in the order
    of `input`; the others are further fields of a request. Raises `OperandError` if none is a text,
    and for a chain without `input` whose rows need several fields.
    """
    if schema is None:
        read = frozenset(program.read_fields) - {QUERY} - CONVERSATION
        if len(read) > 1 and not declared_fields(program.items):
            first, *others = sorted(read)
            what = f"{name!r} can't be served: a row needs {', '.join((first, *others))}, and a "
            what += "request has one text"
            more = ", ".join(f"{one}: str" for one in others)
            hint = "declare them, the text of the request first; the others are its `fields`: "
            raise error_of("operand", what, f"{hint}input {{ {first}: str, {more} }}")
        return next(iter(read), QUERY)
    properties: Mapping[str, Any] = schema["properties"]
    needed = [one for one in schema.get("required", ()) if one not in CONVERSATION]
    if QUERY in needed or (not needed and QUERY in properties):
        return QUERY
    if len(needed) == 1:
        return str(needed[0])
    texts = (one for one in needed or properties if properties[one].get("type") == "string")
    first_text = next((one for one in texts if one not in CONVERSATION), None)
    if first_text is None and needed:
        message = f"{name!r} can't be served: no field of its input takes the text of a request"
        hint = f"declare one: input {{ query: str, {', '.join(needed)}, ... }}"
        raise error_of("operand", message, hint)
    return first_text or QUERY


def _further(schema: Mapping[str, Any] | None, text: str) -> dict[str, Any]:
    """Return the JSON schema of the fields of a row that are not of its conversation."""
    whole, without = schema or {}, {text, *CONVERSATION}
    given = {name: one for name, one in whole.get("properties", {}).items() if name not in without}
    needed = [name for name in whole.get("required", ()) if name not in without]
    defs = {"$defs": whole["$defs"]} if "$defs" in whole and given else {}
    found = {"type": "object", "properties": given, "required": needed}
    return {**found, "additionalProperties": False, **defs}


def offers_of(given: Any, settings: CallSettings) -> dict[str, Offer]:
    """Return the offers of a chain, of a path of a file, or of several by their names.

    A file offers its `main` under its own name, and each of its definitions behind it:
    ``reviews`` and ``reviews/panel``. Definitions of files that it uses are not offered, nor are
    those that can't stand alone.
    """
    named = given if isinstance(given, Mapping) else {_name(given): given}
    found: dict[str, Offer] = {}
    for name, one in named.items():
        chain = one if isinstance(one, Chain) else _loaded(one)
        found[name] = Offer.of(name, chain, settings)
        for path, part in _definitions(name, chain):
            try:
                found[path] = Offer.of(path, part, settings)
            except OperandError:
                continue  # its rows need what a request has not
    if not found:
        raise error_of("operand", "there is no chain to serve", 'write serve("reviews.chain")')
    return found


def _name(given: Any) -> str:
    return CHAIN if isinstance(given, Chain) else Path(given).stem


def _loaded(given: Any) -> Chain:
    if not isinstance(given, str | Path):
        message = f"a {type(given).__name__} is no chain"
        hint = 'give a chain, the path of a file, or several by their names: {"qa": chain("E")}'
        raise error_of("operand", message, hint)
    return load(given)


def _definitions(name: str, chain: Chain) -> Iterator[tuple[str, Chain]]:
    """Yield the definitions of a chain's file that can stand alone, by their names."""
    own = chain.body.span and chain.body.span.source
    for item in chain.items:
        is_own = item.span is None or item.span.source is own
        if isinstance(item, Definition) and is_own:
            part = Chain(item.body, chain.items, bound=chain.bound, is_checked=True)
            try:
                part.program()
            except ChainlangError:
                continue  # it needs candidates of a step before it
            yield f"{name}/{item.name}", part
