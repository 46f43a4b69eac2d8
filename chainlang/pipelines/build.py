"""Steps into the parts of a chain: labels, combinators, and the values of what is skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import define, evolve, field

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.diagnostics.suggest import suggest, unknown
from chainlang.ir import build
from chainlang.ir.declarations import Op
from chainlang.ir.made_labels import made_labels
from chainlang.ir.nodes import (
    Arm,
    Each,
    Expr,
    Fallback,
    Function,
    Loop,
    Named,
    Option,
    Retry,
    Route,
    Stage,
    Timeout,
    WithFields,
)
from chainlang.pipelines.actions import (
    INPUT,
    TRANSFORM,
    TRANSFORMATION,
    TRANSFORMATIONS,
    Actions,
    needed,
    op_for,
    shipped_names,
)
from chainlang.pipelines.document import Word
from chainlang.pipelines.names import FAILED, SKIPPED, Use
from chainlang.pipelines.order import arranged
from chainlang.pipelines.parameters import quoted
from chainlang.pipelines.templates import Template, expression_in
from chainlang.pipelines.translate import Given, Group, Translated
from chainlang.pipelines.values import Scalar
from chainlang.semantics.by_name import unknown_parameter

RETRIES, BACKOFF = 3, 1.0
"""Retries of a step with `on_failure: retry`, and seconds before the first."""
_AFTER = "after"


@define
class Builder:
    """Builder of the parts of a file; collects the ops that they need."""

    actions: Actions
    fields: Mapping[str, str]
    """Fields that hold parameters, by the names of these."""
    reads: Mapping[str, Mapping[str, Use]]
    """Fields that other steps read of each step, by its label."""
    labels: frozenset[str]
    retries: int
    model: str | None
    found: list[Diagnostic]
    ops: dict[str, Op] = field(factory=dict)
    called: set[str] = field(factory=set)
    """Names of the functions that are called."""

    def group(self, group: Group, model: str | None) -> Expr:
        """Return the chain of steps that stand beside each other, and their results."""
        model = group.model or model
        steps = {one.label: one for one in group.steps}
        edges = {one.label: one.waits for one in group.steps}
        made = arranged(list(steps), edges, lambda label: self.step(steps[label], model))
        return made if group.outputs is None else build.then(made, value(group.outputs))

    def step(self, one: Translated, model: str | None) -> Expr:
        """Return the named part of a step."""
        made = self.attempt(one, model)
        is_each = one.over is not None
        if one.condition is not None and (one.asks_each or not is_each):
            made = self.asked(one, one.condition, made)
        made = self.failing(one, made)
        if is_each and one.over is not None:
            made = self.each(one, one.over, made)
            if one.condition is not None and not one.asks_each:
                made = self.asked(one, one.condition, made)
        if one.after:
            waited = "{{ [" + ", ".join(f"{label}.answer" for label in one.after) + "] }}"
            more = Option(_AFTER, waited)
            if isinstance(made, WithFields):
                made = evolve(made, fields=build.options((*made.fields, more)))
            else:
                made = WithFields(made, (more,))
        return Named(one.label, made, span=_with(one.step.id.span, name=one.step.id.span))

    def attempt(self, one: Translated, model: str | None) -> Expr:
        """Return one attempt of a step, with its timeout."""
        step = one.step
        if one.inside is not None:
            made = self.group(one.inside, model)
            if one.outputs is not None:
                made = build.then(made, value(one.outputs))
            made = with_fields(made, one.given, {it.parameter: it.parameter for it in one.given})
        elif step.action is not None:
            made = self.action(one, step.action, model)
        else:  # an error has been found
            made = skipped(one, SKIPPED, {})
        if one.decided:
            made = build.then(*one.decided, made)
        if one.until is not None:
            made = self.loop(one, one.until, made)
        if step.timeout is not None:
            made = Timeout(made, float(step.timeout), span=step.span)
        return made

    # ------------------------------------------------------------ combinators

    def asked(self, one: Translated, condition: Template, made: Expr) -> Expr:
        """Return a part that runs where a condition is true."""
        arms = (Arm("true", made), Arm("false", self.skipped(one, SKIPPED)))
        return Route(arms, condition.text, span=_judged("by", condition))

    def failing(self, one: Translated, made: Expr) -> Expr:
        """Return a part with what happens if it fails."""
        step = one.step
        how = None if step.on_failure is None else step.on_failure.text
        where = None if step.on_failure is None else step.on_failure.span
        if how == "retry":
            times = self.retries if step.max_retries is None else step.max_retries
            backoff = BACKOFF if step.backoff is None else float(step.backoff)
            return made if times == 0 else Retry(made, backoff, times=times + 1, span=where)
        if how in ("continue", "skip"):
            status = FAILED if how == "continue" else SKIPPED
            return Fallback((made, self.skipped(one, status)), span=where)
        return made

    def each(self, one: Translated, over: Template, made: Expr) -> Expr:
        """Return a part for each item of a list, and the list of its results."""
        item = one.step.item.text if one.step.item else None
        text = over.text if not one.waits else f"({over.text}) or []"
        if text != over.text:
            over = Template(text, evolve(over.span, places=_later(over.span, 1)))
        every = {"answer": "answer", **dict.fromkeys(self.read(one))}
        lists = (
            f"{quoted(name)}: candidates | map(attribute={quoted(name)}) | list" for name in every
        )
        whole = "{{ {" + ", ".join(lists) + "} }}"
        body = Each(made, item, over=over.text, span=_judged("over", over))
        return build.then(body, value(Template(whole, one.step.span)))

    def loop(self, one: Translated, until: Template, made: Expr) -> Expr:
        """Return a part that is repeated, and begins with nothing."""
        text = f"not ({until.text})" if one.negated else until.text
        judged = Template(text, evolve(until.span, places=_later(until.span, 5 * one.negated)))
        body = Loop(made, one.step.max_iterations, until=text, span=_judged("until", judged))
        whole = build.then(self.skipped(one, SKIPPED), body) if one.reads_own else body
        return whole if one.starts is None else self.asked(one, one.starts, whole)

    def read(self, one: Translated) -> Mapping[str, Use]:
        """Return the fields that other steps read of a step."""
        return self.reads.get(one.label, {})

    def skipped(self, one: Translated, status: str) -> Expr:
        """Return the result of a step that is skipped, or has failed."""
        return skipped(one, status, self.read(one))

    # ------------------------------------------------------------ actions

    def action(self, one: Translated, action: Word, model: str | None) -> Expr:
        """Return what does the action of a step, with its parameters as fields."""
        name = action.text.replace("-", "_")
        if name in self.actions.ops:
            exact = {it.parameter: it.parameter for it in one.given}
            return with_fields(self.stage(one, name, model), one.given, exact)
        if name in self.actions.functions:
            return self.function(one, action, name)
        if name in shipped_names():
            return self.shipped(one, action, name, model)
        if self.actions.by_model:
            message = f"the model does the action '{name}' of the step '{one.step.id.text}'"
            hint = "to have it done by a function, bind one of this name"
            self.found.append(
                Diagnostic("model-action", message, action.span, hint, kind="action", subject=name)
            )
            return self.by_op(one, name, model)
        known = (*shipped_names(), *self.actions.ops, *self.actions.functions)
        hint = suggest(name, known, None) or (
            f'bind a function: load("x.yaml", functions={{"{name}": your_function}})\n'
            "or, in the shell, name the Python file that has it: --functions my_functions.py\n"
            "or let the model do it: add the line `actions: model`"
        )
        of = f" of the step '{one.step.id.text}'"
        self.found.append(unknown("action", action.text, known, action.span, of=of, hint=hint))
        return self.by_op(one, name, model)

    def stage(self, one: Translated, op: str, model: str | None) -> Stage:
        """Return the stage of an op, with the settings of a step."""
        step, options = one.step, []
        if isinstance(step.max_tokens, Scalar):
            options.append(Option("max_tokens", step.max_tokens.value, span=step.max_tokens.span))
        if one.system is not None:
            span = _with(one.system.span, value=one.system.span)
            options.append(Option("system", one.system.text, span=span))
        if isinstance(step.model, Scalar):
            model = str(step.model.value)
        temperature = None
        if isinstance(step.temperature, Scalar):
            temperature = float(step.temperature.value or 0)
        options += one.settings
        if one.models:
            options.append(Option("models", one.models))
            model = None
        where = step.action.span if step.action else step.id.span
        return Stage(op, 1, model, temperature, build.options(options), span=where)

    def function(self, one: Translated, action: Word, name: str) -> Expr:
        """Return the call of a function."""
        self.called.add(name)
        exact = {it.parameter: it.parameter for it in one.given}
        for it in one.given:
            called = self.actions.functions[name]
            if (found := unknown_parameter(name, called, it.parameter, it.key.span)) is not None:
                self.found.append(found)
        for key in ("model", "temperature", "max_tokens", "system"):
            given = getattr(one.step, key)
            if given is not None:
                message = f"'{key}' is for a model, and '{name}' is a function"
                self.found.append(Diagnostic("argument", message, given.span, "leave it out"))
        return with_fields(Function(name, by_name=True, span=action.span), one.given, exact)

    def shipped(self, one: Translated, action: Word, name: str, model: str | None) -> Expr:
        """Return a shipped action: an op, or a transformation that needs no model."""
        given = {it.parameter: it for it in one.given}
        for missing in needed(name):
            if missing not in given:
                message = f"the action '{name}' needs the parameter '{missing}'"
                hint = f"add it to `parameters`: `{missing}: ...`"
                self.found.append(Diagnostic("argument", message, action.span, hint))
        if name != TRANSFORM or not {INPUT, TRANSFORMATION} <= given.keys():
            return self.by_op(one, name, model)
        source = f"{self.fields[INPUT]} | string"
        if expression_in(given[TRANSFORMATION].template) is None:
            how = TRANSFORMATIONS.get(given[TRANSFORMATION].template.text.strip().lower())
            if how is None:
                return self.by_op(one, name, model)
            made = value(Template(f"{{{{ {source} | {how} }}}}", action.span))
            return with_fields(made, (given[INPUT],), self.fields)
        arms = tuple(
            Arm(word, value(Template(f"{{{{ {source} | {how} }}}}", action.span)))
            for word, how in TRANSFORMATIONS.items()
        )
        stage = self.by_op(one, name, model)
        assert isinstance(stage, WithFields)  # it has parameters
        by = f"{self.fields[TRANSFORMATION]} | string | lower"
        return evolve(stage, body=Route(arms, by, default=stage.body))

    def by_op(self, one: Translated, action: str, model: str | None) -> Expr:
        """Return a stage with an op of its own for its action and parameters."""
        fields = {it.parameter: self.fields[it.parameter] for it in one.given}
        op = self.op(lambda name: op_for(action, name, fields, self.read(one)), action)
        return with_fields(self.stage(one, op, model), one.given, fields)

    def op(self, make: Callable[[str], Op], action: str) -> str:
        """Return the name of an op; equal ones have one name."""
        for name, known in self.ops.items():
            if make(name) == known:
                return name
        taken = {*self.labels, *self.ops, *self.actions.ops}
        (name,) = made_labels([action], taken)
        self.ops[name] = make(name)
        return name


def value(template: Template) -> WithFields:
    """Return the part whose result is the value of a template."""
    given = Option("value", template.text, span=_with(template.span, value=template.span))
    return WithFields(Function("value", span=template.span), (given,), span=template.span)


def with_fields(made: Expr, given: tuple[Given, ...], fields: Mapping[str, str]) -> Expr:
    """Return a part with the parameters of a step as fields."""
    if not given:
        return made
    options = build.options(
        Option(
            fields[one.parameter],
            one.template.text,
            span=_with(one.key.span, name=one.key.span, value=one.template.span),
        )
        for one in given
    )
    return WithFields(made, options, span=made.span)


def skipped(one: Translated, status: str, reads: Mapping[str, Use]) -> WithFields:
    """Return the result of a step that is skipped, or has failed: all that others read is there.

    Of a skipped step it is an empty text, of a failed one null.
    """
    nothing = "''" if status == SKIPPED else "none"
    named = {"answer": nothing, "status": quoted(status), **dict.fromkeys(reads, nothing)}
    inner = ", ".join(f"{quoted(name)}: {text}" for name, text in named.items())
    return value(Template("{{ {" + inner + "} }}", one.step.id.span))


def _with(span: Span, **parts: Span) -> Span:
    return evolve(span, parts=tuple(parts.items()))


def _judged(option: str, template: Template) -> Span:
    """Return the span of a combinator whose option is a text of the file."""
    inner = _with(template.span, value=template.span)
    return _with(template.span, **{option: inner})


def _later(span: Span, by: int) -> tuple[tuple[int, int], ...]:
    """Return the places of a text after some characters more."""
    return tuple((index + by, offset) for index, offset in span.places)
