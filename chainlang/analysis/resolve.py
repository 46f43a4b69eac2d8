"""Name resolution: aliases become canonical, options are converted, and errors are reported.

`resolve` handles one expression and the items in its scope; `chainlang.analysis.check_file` checks
a file as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_
from typing import Any, assert_never

from attrs import define, evolve, field

from chainlang.analysis.auto_checks import auto_faults
from chainlang.analysis.call_count import too_many_calls
from chainlang.analysis.check_structure import misplaced_branches, structure_lints
from chainlang.analysis.check_templates import too_many_tags_of
from chainlang.analysis.duplicate_labels import names_twice
from chainlang.analysis.given_checks import given_names
from chainlang.analysis.hidden_names import labels_of_words
from chainlang.analysis.option_values import (
    MAX_TEMPERATURE,
    entry_faults,
    faults_in,
    in_quotes,
    spoken,
    table_faults,
    temperature_fault,
    unknown_option,
)
from chainlang.analysis.row_setting_checks import constant_faults, field_rules, row_setting_faults
from chainlang.analysis.sampling_lints import model_names
from chainlang.analysis.scope import Scope
from chainlang.analysis.tool_checks import stage_faults
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import Suggestion, listed, unknown
from chainlang.ir import build
from chainlang.ir.auto import auto_of
from chainlang.ir.builtins import (
    COMBINATORS,
    FORMS,
    STAGE_TYPES,
    StageType,
    canonical,
)
from chainlang.ir.calls import general, specific
from chainlang.ir.nodes import (
    Branch,
    Cascade,
    Combinator,
    Combine,
    Each,
    Expr,
    Fallback,
    Function,
    Join,
    Loop,
    Named,
    Node,
    Option,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Table,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.rules import Rule
from chainlang.ir.tables import is_plain
from chainlang.ir.visit import rebuild
from chainlang.limits import counted, current
from chainlang.notation.literals import at_literal


def resolve(node: Expr, scope: Scope | None = None) -> tuple[Expr, tuple[Diagnostic, ...]]:
    """Return an expression with canonical names and values, and its diagnostics.

    >>> from chainlang.notation import parse
    >>> node, found = resolve(parse("3:MC:tiny:9").node)
    >>> [one.code for one in found]
    ['count', 'model', 'temperature']
    """
    if (exceeded := too_many_tags_of(node)) is not None:  # each tag costs about 0.2 ms
        return node, (exceeded,)
    resolver = _Resolver(scope or Scope())
    resolved = resolver.expression(node)
    types = resolver.scope.types
    resolver.found += [*names_twice(resolved), *labels_of_words(resolved)]
    resolver.found += misplaced_branches(resolved)
    resolver.found += model_names(resolved, types, resolver.scope.models)
    if resolver.scope.definitions is None and not any(
        one.severity == "error" for one in resolver.found
    ):  # with definitions, the file counts: its main is what runs
        resolver.found += too_many_calls((resolved,), types, {})
        resolver.found += structure_lints(resolved, types, {})
    return resolved, tuple(resolver.found)


@define
class _Resolver:
    scope: Scope
    found: list[Diagnostic] = field(factory=list)

    def note(self, code: str, message: str, span: Span | None, hint: str | None = None) -> None:
        self.found.append(Diagnostic(code, message, span, hint))

    def expression(self, node: Expr) -> Expr:
        match node:
            case Stage():
                return self.stage(node)
            case Repeat():
                self.count(node.count, node.span, "a part is repeated")
            case Fallback() | Cascade() | Retry() | Timeout() | Route() | Loop() | Each():
                return self.combine(node)
            case WithFields() | Combine():
                return self.combine(node)
            case Ref():
                self.ref(node)
            case Then() | Join() | Branch() | Named() | Function():
                pass
            case _:
                assert_never(node)
        return rebuild(node, self.inside)

    def inside(self, node: Node) -> Node:
        """Resolve the parts of an expression, and the nodes that hold them."""
        return self.expression(node) if isinstance(node, Expr) else rebuild(node, self.inside)

    # ------------------------------------------------------------ stages

    def stage(self, node: Stage) -> Stage:
        name = canonical(node.name)
        kind = self.scope.types.get(name)
        if kind is None:
            self.unknown(node)
            return node
        self.count(node.count, node.span, "a stage runs")
        if not kind.calls_model:
            return self.without_model(node, kind)
        if kind.is_tool:
            self.found += stage_faults(node)
        self.temperature(node)
        owner, fields = f"{name} ({kind.what})", ("count", "model", "temperature")
        self.found += row_setting_faults(node, kind)
        rules = {**kind.options, **field_rules(node)}
        options = self.options(node.options, rules, {}, owner, fields)
        self.bounds(node, options, kind)
        if name == node.name and options is node.options:
            return node
        return evolve(node, name=name, options=options)

    def bounds(self, node: Stage, options: tuple[Option, ...], kind: StageType) -> None:
        """Check the bounds that a stage can't meet: more samples, or tokens, than there are."""
        spans = {one.name: one.span for one in options}
        given = {**kind.given, **{one.name: one.value for one in options}}
        if given.get("fresh") is True and "of" in spans:
            message = "fresh=true ignores candidates, and of= says whose it reads"
            self.note("option", message, spans["of"], "leave one of them out")
        if "tool_rounds" in spans and "tools" not in given:
            what = f"tool_rounds= has no effect: '{node.name}' has no tools"
            self.note("option", what, spans["tool_rounds"], 'write tools=["name"]')
        need = given.get("need")
        if isinstance(need, int) and need > node.count:
            of = "" if "need" in spans else f" of '{node.name}'"
            message = f"need={need}{of} is more than the count of the stage: {node.count}"
            self.note("option", message, spans.get("need", node.span))
        least, most = given.get("min_tokens"), given.get("max_tokens")
        if isinstance(least, int) and isinstance(most, int) and least > most:
            message = f"min_tokens={least} is more than max_tokens={most}"
            where = spans.get("min_tokens", spans.get("max_tokens", node.span))
            self.note("option", message, where, f"lower min_tokens to at most {most}")

    def without_model(self, node: Stage, kind: StageType) -> Stage:
        """Check that a stage without a model has no options of models.

        A temperature of 0 is dropped, because ``1:MC::0.0`` is Ember's notation of a vote.
        """
        name, span = kind.name, node.span
        what = f"{name} ({kind.what}) calls no model"
        if node.count != 1:
            where = part_span(span, "count")
            self.note("count", f"{what}: a count has no effect", where, f"write {name}")
        if node.model is not None:
            self.note("model", what, part_span(span, "model"), "leave the model out")
        if node.temperature:
            where = part_span(span, "temperature")
            self.note("temperature", what, where, "leave the temperature out")
        options = self.options(node.options, kind.options, {}, f"{name} ({kind.what})")
        if name == node.name and node.temperature is None and options is node.options:
            return node
        return evolve(node, name=name, temperature=None, options=options)

    def count(self, count: int, span: Span | None, what: str) -> None:
        where = part_span(span, "count")
        limits = current()
        if count < 1:
            self.note("count", f"invalid count {counted(count)}: {what} at least once", where)
        elif count > limits.samples_per_stage:
            many = f"a count of {counted(count)}"
            self.found.append(limits.exceeded("samples_per_stage", many, where))

    def temperature(self, node: Stage) -> None:
        value, span = node.temperature, node.span
        fault = temperature_fault(value, part_span(span, "temperature"))
        where = fault and fault.span
        in_field = where and where.source.text[where.start - 1] == ":"  # and not in a call
        if fault and in_field and value and value > MAX_TEMPERATURE and value.is_integer():
            more = f"a count stands first: {value:.0f}:{node.name}"
            if node.model is not None:
                more = f'if it is a part of the model, quote both: "{node.model}:{value:.0f}"'
            fault = evolve(fault, hint=f"{fault.hint}; {more}")
        if fault:
            self.found.append(fault)

    def unknown(self, node: Stage) -> None:
        name, where = node.name, part_span(node.span, "name")
        if name in COMBINATORS or name in FORMS:
            example = COMBINATORS[name].example if name in COMBINATORS else FORMS[name]
            what = f"'{name}' is a combinator: it needs chains as arguments"
            self.note("combinator", what, where, f"write {example}")
            return
        known = self.scope.known_types
        third, left = divmod(len(name), 3)
        hint: str | Suggestion
        if name in (self.scope.definitions or ()):
            hint = f"a definition is used as ${name}"
        elif left == 0 and name == name[:third] * 3 and name[:third] in known:
            hint = f"did you mean 3 * {name[:third]}? Python makes '{name}' of 3 * '{name[:third]}'"
        elif spelt := [one for one in STAGE_TYPES.values() if one.is_called(name)]:
            hint = f"did you mean '{spelt[0].name}'?"
        else:
            fallback = f"available: {listed(self.scope.types)}; `op` declares others"
            if node.model is None and node.count == 1 and name.islower():
                fallback += f"; a definition is used as ${name}"
            hint = Suggestion(name, known, fallback=fallback)
        self.found.append(unknown("stage type", name, known, where, hint=hint))

    # ------------------------------------------------------------ combinators and references

    def combine(self, node: Combinator | Combine) -> Expr:
        call = general(node)
        signature = COMBINATORS.get(call.name)
        if signature is None:
            self.not_a_combinator(call)
            return node
        least, most = signature.parts
        labelled = any(  # said of each, below
            isinstance(one.value, Expr)
            and one.name not in signature.options
            and signature.others is None
            for one in call.options
        )
        too_few = len(call.parts) < least and not labelled
        if too_few or (most is not None and len(call.parts) > most):
            wants = {(0, 0): "no chains without a name", (1, 1): "one chain"}.get(
                (least, most or 0), f"at least {least} chains"
            )
            self.note(
                "combinator",
                f"{call.name}() takes {wants}, found {len(call.parts)}",
                node.span,
                f"write {signature.example}",
            )
        owner = f"{call.name}()"
        rules = dict(signature.options)
        if signature.others is not None:
            rules = {**{one.name: signature.others for one in call.options}, **rules}
            self.found += given_names(call, signature.example)
        options = self.options(call.options, rules, signature.aliases, owner)
        given = {option.name for option in options}
        for name, rule in signature.options.items():
            if rule.required and name not in given:
                self.note(
                    "combinator",
                    f"missing option {name}= of {owner}",
                    node.span,
                    f"write {signature.example}",
                )
        # A value that is not a chain has a diagnostic already; its names are not checked.
        chains = _HOLDING_CHAINS[call.name]
        made = rebuild(
            call if options is call.options else evolve(call, options=options),
            lambda child: (
                child
                if isinstance(child, Option) and child.name not in chains
                else self.inside(child)
            ),
        )
        return node if made is call else specific(made)

    def not_a_combinator(self, node: Combine) -> None:
        name, where = canonical(node.name), part_span(node.span, "name")
        if name in self.scope.types:
            for part in node.parts:
                hint = f"to feed it, write a >> {node.name}"
                if isinstance(part, Stage):
                    hint = f'a model is quoted here: {node.name}("{part.name}")'
                    if canonical(part.name) in self.scope.types:
                        hint = f"to feed it, write {part.name} >> {node.name}"
                message = f"'{node.name}' is a stage type: it takes a model, not a chain"
                self.note("argument", message, part.span or where, hint)
            for option in node.options:
                rule = self.scope.types[name].options.get(option.name)
                takes = rule is not None and rule.accepts(option.value)
                if not is_plain(option.value) and not takes:
                    place = part_span(option.span, "value")
                    message = f"invalid value for {option.name}=: expected a value, found a chain"
                    self.note("argument", message, place or where, in_quotes(option))
            return
        known = [*COMBINATORS, "join", "branch"]
        self.found.append(unknown("combinator", node.name, known, where))

    def ref(self, node: Ref) -> None:
        definitions = self.scope.definitions
        if definitions is None or node.name in definitions:
            return
        known = self.scope.known_definitions
        fallback = f"define it in a file: {node.name} = ..." if not known else None
        hint: str | Suggestion = Suggestion(node.name, known, sign="$", fallback=fallback)
        if node.name in self.scope.types:
            hint = f"'{node.name}' is a stage type: write it without the '$'"
        self.found.append(unknown("definition", node.name, known, node.span, hint=hint, sign="$"))

    # ------------------------------------------------------------ options

    def options(
        self,
        options: tuple[Option, ...],
        rules: Mapping[str, Rule],
        aliases: Mapping[str, str],
        owner: str,
        fields: tuple[str, ...] = (),
    ) -> tuple[Option, ...]:
        """Return options with canonical names and values; the same tuple if they were."""
        if not options:
            return options
        changed: list[Option] = []
        for option in options:
            name = aliases.get(option.name, option.name)
            rule = rules.get(name)
            if rule is None:
                self.found.append(unknown_option(option, name, (*rules, *fields), owner))
                continue
            value = self.checked(option, rule)
            same = name == option.name and value is option.value
            changed.append(option if same else evolve(option, name=name, value=value))
        if len({option.name for option in changed}) < len(changed):
            self.note("argument", "duplicate option, under two names", options[0].span)
        same = len(changed) == len(options) and all(map(is_, changed, options))
        return options if same else build.options(changed)

    def checked(self, option: Option, rule: Rule) -> Any:
        if (open_value := auto_of(option.value)) is not None:
            self.found += auto_faults(option, open_value, rule)
            return option.value
        try:
            value = rule.read(option.value)
            self.found += (*table_faults(option.name, value), *entry_faults(value, rule))
            if isinstance(value, str):
                where = part_span(option.span, "value")
                self.found += (at_literal(one, where) for one in faults_in(value, rule))
                self.found += constant_faults(option.name, value, where)
            return value
        except ValueError:
            value = option.value
            quoted = in_quotes(option) if rule.takes_text else None
            hint = quoted or rule.suggestion(value)
            is_value = is_plain(value) and not isinstance(value, Table)
            if rule.is_template and rule.takes_text and is_value:
                hint = f'write {option.name}="{{{{ {spoken(value)} }}}}"'
            entries = value.entries if isinstance(value, Table) else ()
            if rule.holds_chains and any(
                isinstance(one, str) for one in (value, *(entry.value for entry in entries))
            ):
                hint = "write chains without quotes"
            if isinstance(value, Function) and value.of is not None:
                hint = f"{option.name}= calls a function with an answer: leave of= out"
            where = part_span(option.span, "value")
            self.note(
                "option",
                f"invalid value for {option.name}=: expected {rule.wants}, found {spoken(value)}",
                where,
                hint,
            )
            return value


_HOLDING_CHAINS = {
    one.name: {name for name, rule in one.options.items() if rule.holds_chains}
    for one in COMBINATORS.values()
}
"""The options of each combinator whose values are chains."""
