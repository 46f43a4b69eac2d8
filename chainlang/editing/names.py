"""Names of a file: where each is declared, and where it is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from attrs import frozen

from chainlang.diagnostics.source import Span, part_span
from chainlang.editing.complete import row_fields
from chainlang.editing.label_reads import reads_of
from chainlang.ir.builtins import RESERVED, WORDS, WORDS_OF_TYPES
from chainlang.ir.declarations import Definition, Item, Model, Op, PythonType, TypeDef, TypeName
from chainlang.ir.nodes import Named, Ref, Stage
from chainlang.ir.verify import is_name
from chainlang.ir.visit import walk

NameKind: TypeAlias = Literal["definition", "label", "model", "stage type", "type"]


@frozen
class Name:
    """One occurrence of a name that a file declares."""

    kind: NameKind
    name: str
    span: Span
    """Span of the name alone, without the sign of a reference."""
    item: Item | Named | None = None
    """The declaration, if this is its name; of a label the part that has it."""


def names(items: Iterable[Item]) -> Iterator[Name]:
    """Yield every occurrence of a name that may be declared, in the items as they were parsed."""
    items = tuple(items)
    nodes = [node for item in items for node in walk(item)]
    kinds: dict[str, NameKind] = {one.name: "stage type" for one in items if isinstance(one, Op)}
    kinds |= {one.name: "label" for one in nodes if isinstance(one, Named)}
    for item in items:
        yield from _declared(item)
    for node in nodes:
        yield from _used(node)
        for span in reads_of(node):
            if span.text in kinds:  # else it is a field of the row
                yield Name(kinds[span.text], span.text, span)


def _declared(item: Item) -> Iterator[Name]:
    kinds: dict[type, NameKind] = {
        Definition: "definition",
        Model: "model",
        Op: "stage type",
        TypeDef: "type",
        PythonType: "type",
    }
    kind = kinds.get(type(item))
    where = part_span(item.span, "name")
    if kind is not None and where is not None:
        at = where.end - len(getattr(item, "name", ""))  # `type @Review` has a sign
        yield Name(kind, where.source.text[at : where.end], _of(where, at, where.end), item)


def _used(node: object) -> Iterator[Name]:
    match node:
        case Ref(name) if node.span is not None:
            yield Name("definition", name, _of(node.span, node.span.end - len(name), node.span.end))
        case Named(name) if node.span is not None:
            yield Name("label", name, node.span.part("name"), node)
        case Stage() if node.span is not None:
            where = node.span.part("name")
            if where is not node.span:
                yield Name("stage type", where.text, _of(where, where.start, where.end))
            model = node.span.part("model")
            if node.model is not None and model is not node.span:
                yield from _model(node.model, model)
        case TypeName(name) if node.span is not None and node.span.text == name:
            yield Name("type", name, node.span)
        case Op():
            for one in node.settings:
                where_set = part_span(one.span, "value")
                if (
                    one.name in ("model", "server")
                    and isinstance(one.value, str)
                    and where_set is not None
                ):
                    yield from _model(one.value, where_set)


def _model(name: str, span: Span) -> Iterator[Name]:
    """Yield the name of a model, without its quotes."""
    at = span.text.find(name)
    if at >= 0:
        start = span.start + at
        yield Name("model", name, _of(span, start, start + len(name)))


def _of(span: Span, start: int, end: int) -> Span:
    return Span(span.source, start, end)


def name_at(items: Iterable[Item], source: str, offset: int) -> Name | None:
    """Return the name at an offset of the source of this name; None if there is none."""
    for one in names(items):
        if one.span.source.name == source and one.span.start <= offset <= one.span.end:
            return one
    return None


def occurrences(items: Iterable[Item], of: Name) -> list[Name]:
    """Return all occurrences of the same name."""
    return [one for one in names(items) if (one.kind, one.name) == (of.kind, of.name)]


def declaration(items: Iterable[Item], of: Name) -> Name | None:
    """Return the occurrence that declares a name; None if no item does."""
    return next((one for one in occurrences(items, of) if one.item is not None), None)


def refusal(items: Iterable[Item], of: Name, new: str) -> str | None:
    """Return why a name can't be replaced by another; None if it can."""
    found = tuple(items)
    if declaration(found, of) is None:
        return f"'{of.name}' is declared in none of the files that are read here"
    if not is_name(new):
        return f"'{new}' can't be a name: names are ASCII letters, digits and _"
    if of.kind == "definition" and of.name == "main":
        return "'main' is the chain of the file, and has no other name"
    if of.kind == "label":
        files = {one.span.source.name for one in occurrences(found, of)} - {of.span.source.name}
        if files:
            return f"'{of.name}' is also read in {', '.join(sorted(files))}"
        if new in WORDS or new in {one.name for one in row_fields(found)}:
            what = "a word of the language" if new in WORDS else "a field of the row"
            return f"'{new}' is {what}, which a label may not hide"
    if new in RESERVED or (of.kind == "type" and new in WORDS_OF_TYPES):
        return f"'{new}' is a name of the language"
    if any(one.item and one.kind == of.kind and one.name == new for one in names(found)):
        return f"there is a {of.kind} '{new}' already"
    return None
