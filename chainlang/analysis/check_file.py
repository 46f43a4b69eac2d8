"""Checks of a whole file: unknown and duplicate names, cycles, settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, assert_never

from attrs import define, evolve, field

from chainlang import plugins
from chainlang.analysis.call_count import too_many_calls
from chainlang.analysis.check_templates import too_many_tags
from chainlang.analysis.duplicate_labels import twice_by_reference
from chainlang.analysis.example_checks import example_faults
from chainlang.analysis.field_checks import derived_faults, field_faults
from chainlang.analysis.file_lints import file_lints
from chainlang.analysis.op_checks import (
    choose_faults,
    code_faults,
    setting_faults,
)
from chainlang.analysis.option_values import (
    entry_faults,
    faults_in,
    spoken,
    table_faults,
    temperature_fault,
)
from chainlang.analysis.resolve import resolve
from chainlang.analysis.row_setting_checks import template_faults
from chainlang.analysis.scope import Scope
from chainlang.analysis.server_settings import address_faults, plugin_faults, secret_faults
from chainlang.analysis.tool_checks import misused_servers, server_faults, tool_faults
from chainlang.datatypes.check_types import (
    Declared,
    declared_types,
    input_faults,
    python_type_faults,
    type_cycles,
    type_faults,
)
from chainlang.datatypes.row_types import choices_in_input
from chainlang.diagnostics.diagnostic import Diagnostic, Kind
from chainlang.diagnostics.other_names import meant_by
from chainlang.diagnostics.source import Source, Span, part_span
from chainlang.diagnostics.suggest import closest, unknown
from chainlang.ir import declarations, tools
from chainlang.ir.builtins import CODE, CODE_SETTINGS, KINDS, OP_SETTINGS, RESERVED, WORDS_OF_TYPES
from chainlang.ir.declarations import Definition, File, Item, bodies_of
from chainlang.ir.model_settings import ADAPTER, ENGINES
from chainlang.ir.nodes import Expr, Ref
from chainlang.ir.references import ref_levels, references, uses
from chainlang.ir.row_settings import names_template
from chainlang.ir.rules import Rule
from chainlang.ir.tools import OP_KINDS, TOOL, TOOL_SETTINGS
from chainlang.ir.visit import measure
from chainlang.limits import current
from chainlang.notation.literals import at_literal
from chainlang.notation.parse import NO_UNPARSED_NAMES, UnparsedNames
from chainlang.tiny import NAME as TINY

MAIN = "main"
_DECLARED: tuple[Kind, ...] = ("stage type", "definition", "type", "model")


def resolve_file(
    file: File, main_source: Source | None = None, lost: UnparsedNames = NO_UNPARSED_NAMES
) -> tuple[File, tuple[Diagnostic, ...]]:
    """Return a file with canonical names and values, and its diagnostics.

    `main_source`: the loaded file if it uses others; only its unused definitions get a warning.
    `lost`: names that are not reported as unknown.

    >>> from chainlang.notation import parse_file
    >>> file, found = resolve_file(parse_file("a = $b\\nb = $a\\nmain = 3:E >> Q").node)
    >>> [one.code for one in found]
    ['unknown-name', 'cycle']
    """
    checker = _Checker(file, lost)
    resolved = checker.run(main_source)
    return resolved, tuple(one for one in checker.found if not _is_lost(one, lost))


def _is_lost(one: Diagnostic, lost: UnparsedNames) -> bool:
    """Return whether a diagnostic is about a name that an unparsed item may declare."""
    return one.kind in _DECLARED and one.subject is not None and one.subject in lost


@define
class _Checker:
    file: File
    lost: UnparsedNames
    found: list[Diagnostic] = field(factory=list)
    types: dict[str, Declared] = field(factory=dict)

    def note(self, code: str, message: str, span: Span | None, hint: str | None = None) -> None:
        self.found.append(Diagnostic(code, message, span, hint))

    def run(self, main_source: Source | None) -> File:
        if (exceeded := too_many_tags(self.file.items)) is not None:
            self.found.append(exceeded)  # each tag costs about 0.2 ms
            return self.file
        self.names()
        self.types = declared_types(self.file.items)
        scope = Scope.of(self.file.items)
        scope.definitions = frozenset(bodies_of(self.file.items))
        changed: list[Item] = []
        for item in self.file.items:
            match item:
                case declarations.Use(path):
                    hint = 'save it beside that file, and load("it.chain")'
                    message = f"unexpected use of {path!r}: only a file can use other files"
                    self.note("file", message, part_span(item.span, "name"), hint)
                case declarations.Model():
                    self.model(item)
                case declarations.Op():
                    self.op(item)
                    item = tools.meant(item)  # noqa: PLW2901
                    if item.returns == declarations.TypeName("str"):  # the text of a reply as it is
                        item = evolve(item, returns=None)  # noqa: PLW2901
                case declarations.TypeDef(_, kind):
                    self.found += type_faults(kind, self.types)
                case declarations.PythonType():
                    self.found += python_type_faults(item)
                case declarations.Input():
                    self.found += input_faults(item, self.types)
                    self.found += choices_in_input(item, self.types)
                    self.found += derived_faults(item, self.file.items)
                case Definition():
                    body, found = resolve(item.body, scope)
                    self.found += found
                    item = item if body is item.body else evolve(item, body=body)  # noqa: PLW2901
                case _:
                    assert_never(item)
            changed.append(item)
        file = evolve(self.file, items=tuple(changed))
        self.found += misused_servers(file.items)
        bodies = bodies_of(changed)
        is_shallow = self.cycles(bodies) and self.is_shallow(bodies)
        if is_shallow:
            self.found += twice_by_reference(bodies)
        self.found += type_cycles(self.types)
        lost = None if "input" in self.lost else self.lost.names
        flows = is_shallow and not self.lost
        fields = tuple(field_faults(changed, MAIN, flows=flows, lost=lost, whole=True))
        self.found += (one for one in fields if one.severity == "error")
        if is_shallow and not self.lost and not any(one.severity == "error" for one in self.found):
            several = bodies.values() if MAIN not in bodies else (bodies[MAIN],)
            self.found += too_many_calls(several, scope.types, bodies)
            self.found += (*fields, *file_lints(file.items, scope.types, MAIN))
            self.unused(file, main_source)
        return file

    # ------------------------------------------------------------ names

    def names(self) -> None:
        seen: dict[tuple[str, str], Item] = {}
        inputs: Item | None = None
        for item in self.file.items:
            if isinstance(item, declarations.Input):
                if inputs is not None:
                    merge = "write all fields in one input"
                    self.note("duplicate-name", "duplicate input", item.span, merge)
                inputs = item
            named = _named(item)
            if named is None:
                continue
            what, name = named
            where = part_span(item.span, "name")
            if (what, name) in seen:
                first = seen[what, name].span
                hint = None
                if first:
                    line = first.source.position(first.start)[0]
                    hint = f"the first is at {first.source.name}:{line}: rename one of them"
                self.note("duplicate-name", f"duplicate {what} '{name}'", where, hint)
            seen[what, name] = item
            if what == "op" and name in RESERVED:
                self.note(
                    "reserved", f"'{name}' is a name of the language", where, "choose another name"
                )
            if what == "type" and name in WORDS_OF_TYPES:
                self.note(
                    "reserved", f"'{name}' is a type of the language", where, "choose another name"
                )

    def cycles(self, bodies: Mapping[str, Expr]) -> bool:
        """Diagnose each definition on a cycle once; return whether there is none."""
        before = len(self.found)
        done: set[str] = set()
        for start in bodies:
            trail: dict[str, Any] = {}
            pending: list[tuple[str, Any]] = [(start, None)] if start not in done else []
            iterators: list[tuple[str, Iterator[Ref]]] = []
            while pending or iterators:
                if pending:
                    name, ref = pending.pop()
                    if name in trail:
                        self.cycle([*trail][[*trail].index(name) :], ref)
                    elif name in bodies and name not in done:
                        trail[name] = None
                        iterators.append((name, iter(references(bodies[name]))))
                        continue
                if not iterators:
                    break
                name, refs = iterators[-1]
                following = next(refs, None)
                if following is None:
                    iterators.pop()
                    trail.pop(name)
                    done.add(name)
                else:
                    pending.append((following.name, following))
        return len(self.found) == before

    def is_shallow(self, bodies: Mapping[str, Expr]) -> bool:
        """Diagnose a definition that is too deep when its references are expanded."""
        limits = current()
        depths: dict[str, int] = {}
        for start in bodies:
            pending = [start] if start not in depths else []
            while pending:
                name = pending[-1]
                places = list(ref_levels(bodies[name]))
                below = [ref for ref, _ in places if ref in bodies and ref not in depths]
                if below:
                    pending += below
                    continue
                pending.pop()
                deepest = max((level + depths.get(ref, 0) for ref, level in places), default=0)
                depths[name] = max(deepest, measure(bodies[name])[1])
                if depths[name] > limits.depth:
                    what = f"${name} is {depths[name]} deep, with what its names stand for"
                    self.found.append(limits.exceeded("depth", what, bodies[name].span))
                    return False
        return True

    def cycle(self, names: list[str], ref: Ref) -> None:
        shown = " -> ".join(f"${name}" for name in [*names, names[0]])
        message = f"these definitions use each other: {shown}"
        hint = "a definition can use others, but not itself"
        self.note(
            "cycle", message if len(names) > 1 else f"'${names[0]}' uses itself", ref.span, hint
        )

    def unused(self, file: File, main_source: Source | None) -> None:
        """Warn of definitions that `main` does not use; not in a file without a `main`."""
        reached: set[tuple[str, str]] = set()
        pending: list[tuple[str, str]] = [("definition", MAIN)]
        by_key: dict[tuple[str, str], Item] = {}
        for item in file.items:
            named = _named(item)
            if named is not None:
                by_key[named] = item
            elif isinstance(item, declarations.Input):
                pending += uses(item)
        if pending[0] not in by_key:
            return
        while pending:
            key = pending.pop()
            if key == ("model", ""):  # the stage names none
                key = ("model", TINY)
            if key in by_key and key not in reached:
                reached.add(key)
                pending += uses(by_key[key])
        for (what, name), item in by_key.items():
            own = main_source is None or item.span is None or item.span.source is main_source
            if (what, name) not in reached and own:
                where = part_span(item.span, "name")
                hint = f"`main` does not lead to it: use it as ${name}, or delete it"
                if what != "definition":
                    hint = "`main` does not lead to it: use it, or delete it"
                self.note("unused-definition", f"the {what} '{name}' is never used", where, hint)

    # ------------------------------------------------------------ settings

    def model(self, item: declarations.Model) -> None:
        rules = ENGINES.get(item.engine)
        if rules is None and plugins.find("engines", item.engine) is not None:
            self.found += plugin_faults(item)
            return
        if rules is None:
            where = part_span(item.span, "engine")
            self.found.append(
                unknown(
                    "engine", item.engine, (*tools.MODEL_ENGINES, *plugins.names("engines")), where
                )
            )
            return
        if not item.source:
            where = part_span(item.span, "source")
            self.note("model", "the name of the model is empty", where)
        self.settings(item.settings, rules, f"{item.engine}()")
        if item.engine == tools.MCP:
            self.found += server_faults(item)
        given = {one.name: one.span for one in item.settings}
        if "max_lora_rank" in given and ADAPTER not in given:
            what = "max_lora_rank bounds the rank of an adapter, and this model has none"
            self.note("option", what, given["max_lora_rank"], 'name it: lora="folder"')

    def op(self, item: declarations.Op) -> None:
        if item.kind == TOOL:
            self.settings(tools.written(item), TOOL_SETTINGS, "a tool")
            self.found += tool_faults(item, self.file.items, self.types)
            return
        if item.kind == CODE:
            self.settings(item.settings, CODE_SETTINGS, "an op of the kind code")
            self.found += code_faults(item)
            return
        if item.kind not in KINDS:
            where = part_span(item.span, "kind")
            self.found.append(unknown("op kind", item.kind, OP_KINDS, where))
        self.settings(item.settings, OP_SETTINGS, "an op")
        given = {setting.name: setting for setting in item.settings}
        if not any(name == "user" or closest(name, OP_SETTINGS) == "user" for name in given):
            where = part_span(item.span, "name")
            hint = 'add `user = "..."`, a template over the fields of a row'
            self.note("definition", f"the op '{item.name}' has no prompt", where, hint)
        self.found += setting_faults(item, given, self.types)
        if item.returns is not None:
            self.found += type_faults(item.returns, self.types)
        self.found += example_faults(item, self.file.items)
        if "choose" in given:
            self.found += choose_faults(item, given["choose"], self.types)

    def settings(
        self, settings: Iterable[declarations.Setting], rules: Mapping[str, Rule], owner: str
    ) -> None:
        for setting in settings:
            rule = rules.get(setting.name)
            if rule is None:
                self.found.append(
                    unknown(
                        "setting",
                        setting.name,
                        rules,
                        part_span(setting.span, "name"),
                        code="unknown-option",
                        of=f" of {owner}",
                        hint=meant_by(setting.name, rules),
                    )
                )
                continue
            value = setting.value
            where = part_span(setting.span, "value")
            if isinstance(value, declarations.Environment) or setting.name == "api_key":
                self.found += secret_faults(setting, rules, where)
                continue
            if setting.name == "base_url" and isinstance(value, str):
                self.found += address_faults(value, where)
                continue
            if setting.name == "base_url" and isinstance(value, tuple):
                texts = (one for one in value if isinstance(one, str))
                self.found += (fault for one in texts for fault in address_faults(one, where))
            if rules is OP_SETTINGS and names_template(setting.name, value):
                self.found += template_faults(setting.name, str(value), where)
                continue
            if setting.name == "temperature" and (fault := temperature_fault(value, where)):
                self.found.append(fault)
            self.found += (*table_faults(setting.name, value), *entry_faults(value, rule))
            try:
                rule.read(value)
            except ValueError:
                wants, shown = rule.wants, spoken(value)
                message = f"invalid value for {setting.name}: expected {wants}, found {shown}"
                self.note("option", message, where, rule.suggestion(value))
                continue
            if isinstance(value, str):
                self.found += (at_literal(one, where) for one in faults_in(value, rule))


def _named(item: Item) -> tuple[str, str] | None:
    """Return the kind and the name that an item declares; None if it declares none."""
    match item:
        case declarations.Model(name):
            return "model", name
        case declarations.TypeDef(name) | declarations.PythonType(name):
            return "type", name
        case declarations.Op(name):
            return "op", name
        case Definition(name):
            return "definition", name
        case declarations.Use() | declarations.Input():
            return None
    assert_never(item)
