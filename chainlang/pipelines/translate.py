"""Steps with all their templates translated, and what each reads of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import define, evolve, field, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.suggest import unknown
from chainlang.ir.nodes import Expr, Option
from chainlang.pipelines.autos import SETTINGS, Autos
from chainlang.pipelines.document import InputField, Pipeline, Step, Word
from chainlang.pipelines.names import Names, Reads, Use
from chainlang.pipelines.order import cycles
from chainlang.pipelines.parameters import as_expression, as_template
from chainlang.pipelines.scopes import Scope, labels_of, scope_of
from chainlang.pipelines.templates import Template, Translator
from chainlang.pipelines.values import Auto, Entry, Fields, Scalar
from chainlang.semantics.combinators import ITEM, ITEM_INDEX, ROUND
from chainlang.semantics.expressions import faults
from chainlang.semantics.expressions import names as read_names


@frozen
class Given:
    """A field that a step is given, with the name of its parameter."""

    parameter: str
    key: Word
    template: Template


@frozen(kw_only=True)
class Translated:
    """A step with the templates of a chain."""

    step: Step
    label: str
    given: tuple[Given, ...] = ()
    condition: Template | None = None
    asks_each: bool = False
    """Whether the condition reads the item, so that it is asked for each."""
    over: Template | None = None
    until: Template | None = None
    negated: bool = False
    """Whether `until` is the condition of a `while`."""
    starts: Template | None = None
    """The condition of a `while` before its first round; None if it reads what a round makes."""
    reads_own: bool = False
    """Whether the step reads its own result, of the round before."""
    system: Template | None = None
    outputs: Template | None = None
    inside: Group | None = None
    waits: tuple[str, ...] = ()
    """Labels of the steps beside it that it waits for."""
    after: tuple[str, ...] = ()
    """Labels of those that it reads nothing of."""
    decided: tuple[Expr, ...] = ()
    """Parts that decide values of the step, before it."""
    settings: tuple[Option, ...] = ()
    """Options of its stage that a model decides."""
    models: tuple[str, ...] = ()
    """Models that it decides among."""


@frozen
class Group:
    """Steps that stand beside each other."""

    steps: tuple[Translated, ...]
    model: str | None = None
    outputs: Template | None = None
    """Their results, of a file; None for that of the last step."""


@define
class Translation:
    """Translator of a file of steps, and of those that its steps name."""

    load: Callable[[Word], Pipeline | None]
    decider: Autos
    found: list[Diagnostic]
    taken: set[str] = field(factory=set)
    """Labels so far, and names that no label may have."""
    reads: dict[str, dict[str, Use]] = field(factory=dict)
    """Fields that are read of each step, by its label."""
    around: list[str] = field(factory=list)
    """Names of the files around a step, the outermost first."""

    def pipeline(self, whole: Pipeline, labels: Mapping[str, str], names: Names) -> Group:
        """Return the steps of a file. `names`: of its inputs; those of its steps are added."""
        self.taken |= set(labels.values())
        scope = scope_of(whole.steps, labels, {}, whole)
        self.around.append(whole.source.name)
        made = self.group(whole.steps, whole, labels, scope, names)
        self.around.pop()
        return made

    def group(
        self,
        steps: Iterable[Step],
        whole: Pipeline,
        labels: Mapping[str, str],
        scope: Scope,
        names: Names,
    ) -> Group:
        """Return steps that stand beside each other."""
        steps = tuple({one.id.text: one for one in steps}.values())
        names = evolve(names, steps=scope.visible, hidden=scope.hidden)
        made = [self.step(one, whole, labels, scope, names) for one in steps]
        beside = {one.id.text: labels[one.id.text] for one in steps}
        inside = {one.label for one in made}
        edges = {one.label: [it for it in one.waits if it in inside] for one in made}
        spans = {labels[one.id.text]: one for one in steps}
        ids = {label: name for name, label in beside.items()}
        for circle in cycles(edges):
            way = " -> ".join(ids[one] for one in (*circle, circle[0]))
            message = f"these steps wait for each other: {way}"
            if len(circle) == 1:
                message = f"the step '{ids[circle[0]]}' waits for itself"
            hint = "a step reads what stands before it: leave one of them out"
            self.found.append(Diagnostic("cycle", message, spans[circle[0]].id.span, hint))
        return Group(tuple(made), whole.model)

    def step(
        self,
        step: Step,
        whole: Pipeline,
        labels: Mapping[str, str],
        scope: Scope,
        names: Names,
    ) -> Translated:
        """Return a step."""
        label = labels[step.id.text]
        local = dict(names.local)
        own: dict[str, str] = {}
        if step.for_each is not None:
            item = step.item.text if step.item else ITEM
            own = {item: item, "index": ITEM_INDEX, ITEM_INDEX: ITEM_INDEX}
        is_loop = step.repeated_while is not None or step.repeated_until is not None
        if is_loop:
            own = {"round": ROUND, "iteration": ROUND}
        inner = evolve(names, local={**local, **own}, own=step.id.text if is_loop else None)
        outer, translator = Translator(names), Translator(inner)
        decided: list[Expr] = []

        def decide(auto: Auto) -> str:
            expression, parts = self.decider.decide(auto, step, translator)
            decided.extend(parts)
            return expression

        def setting(auto: Auto) -> str:
            text, parts = self.decider.setting(auto, step, translator)
            decided.extend(parts)
            return text

        over = None
        if isinstance(step.for_each, Scalar):
            over = outer.expression(step.for_each, "list")
        elif step.for_each is not None:
            text, places = as_expression(step.for_each, outer, decide)
            over = Template(text, evolve(step.for_each.span, places=places))
        condition = self.condition(step, translator, decide)
        asks_each = (
            condition is not None
            and bool(own)
            and not names_in(condition.text).isdisjoint(own.values())
        )
        inside, given = None, self.given(step, translator, decide)
        if step.pipeline is not None:
            inside, given = self.file(step, step.pipeline, label, translator, decide)
        elif step.steps:
            within = scope_of(step.steps, labels, scope.visible, whole)
            inside = self.group(step.steps, whole, labels, within, evolve(inner, own=None))
            given = ()
        settings = tuple(
            Option(name, setting(one), span=one.span)
            for name in SETTINGS
            if isinstance(one := getattr(step, name), Auto)
        )
        until = step.repeated_while or step.repeated_until
        ends = Translator(self.ending(inner, step, labels, inside))
        found = Translated(
            step=step,
            label=label,
            given=given,
            condition=condition,
            asks_each=asks_each,
            over=over,
            until=None if until is None else ends.expression(until),
            negated=step.repeated_while is not None,
            system=None if step.system is None else translator.template(step.system),
            outputs=self.outputs(step, labels, inside, inner, decide),
            inside=inside,
            settings=settings,
            models=() if not isinstance(step.model, Auto) else self.decider.models(step.model),
            decided=tuple(decided),
        )
        reads_own = translator.reads.own or ends.reads.own
        made_inside = {one.label for one in inside.steps} if inside is not None else set()
        of_round = {ends.names.steps.get(one) for one in ends.reads.steps} & made_inside
        if step.repeated_while is not None and not (ends.reads.own or of_round):
            first = evolve(inner, local={**inner.local, "round": "0", "iteration": "0"})
            starts = Translator(first).expression(step.repeated_while)
            found = evolve(found, starts=starts if names_in(starts.text) else None)
        for one in (outer, translator, ends):
            self.found += one.found
            self.note(one.reads, scope.visible)
        found = evolve(found, reads_own=reads_own)
        read, listed = self.waits(found, step, scope, (outer, translator, ends))
        after = tuple(one for one in listed if one not in read)
        return evolve(found, waits=(*read, *after), after=after)

    # ------------------------------------------------------------ what a step reads

    def note(self, reads: Reads, visible: Mapping[str, str]) -> None:
        """Record the fields that templates read of steps."""
        for name, fields in reads.fields.items():
            known = self.reads.setdefault(visible.get(name, name), {})
            for one, use in fields.items():
                if known.get(one) != "list":
                    known[one] = use

    def waits(
        self, found: Translated, step: Step, scope: Scope, translators: Iterable[Translator]
    ) -> tuple[dict[str, None], dict[str, None]]:
        """Return the labels of the steps that a step reads, and of those that it lists."""
        read: dict[str, None] = {}
        for reader in translators:
            read |= dict.fromkeys(
                scope.visible[name] for name in reader.reads.steps if name in scope.visible
            )
        if found.inside is not None and step.pipeline is None:
            inner = {one.label for one in found.inside.steps}
            for one in found.inside.steps:
                read |= dict.fromkeys(name for name in one.waits if name not in inner)
        listed: dict[str, None] = {}
        for word in step.dependencies:
            if word.text in scope.visible:
                listed[scope.visible[word.text]] = None
            elif word.text in scope.hidden:
                self.found.append(Diagnostic("unknown-name", scope.hidden[word.text], word.span))
            else:
                known = tuple(scope.visible)
                self.found.append(unknown("step", word.text, known, word.span))
        return read, listed

    # ------------------------------------------------------------ its values

    def condition(
        self, step: Step, translator: Translator, decide: Callable[[Auto], str]
    ) -> Template | None:
        """Return the condition of a step."""
        match step.condition:
            case None:
                return None
            case Auto() as auto:
                return Template(decide(auto), evolve(auto.span, places=((0, auto.span.start),)))
            case scalar:
                return translator.expression(scalar)

    def given(
        self, step: Step, translator: Translator, decide: Callable[[Auto], str]
    ) -> tuple[Given, ...]:
        """Return the parameters of a step."""
        entries = () if step.parameters is None else step.parameters.entries
        return tuple(
            Given(one.key, Word(one.key, one.key_span), as_template(one.value, translator, decide))
            for one in entries
        )

    def ending(
        self, names: Names, step: Step, labels: Mapping[str, str], inside: Group | None
    ) -> Names:
        """Return the names in the condition of a repeated step: also of the steps inside it."""
        if inside is None or not step.steps:
            return names
        inner = {one.id.text: labels[one.id.text] for one in step.steps}
        hidden = {name: why for name, why in names.hidden.items() if name not in inner}
        return evolve(names, steps={**names.steps, **inner}, hidden=hidden)

    def outputs(
        self,
        step: Step,
        labels: Mapping[str, str],
        inside: Group | None,
        names: Names,
        decide: Callable[[Auto], str],
    ) -> Template | None:
        """Return the template of the results of a group, a table."""
        if inside is None or not step.outputs or step.pipeline is not None:
            return None
        names = self.ending(names, step, labels, inside)
        return self.table(step.outputs, names, decide)

    def table(
        self, entries: tuple[Entry, ...], names: Names, decide: Callable[[Auto], str]
    ) -> Template:
        """Return the template of a table of outputs."""
        translator = Translator(names)
        first, last = entries[0].key_span, entries[-1].value.span
        span = evolve(first, end=max(first.end, last.end))
        made = as_template(Fields(entries, span), translator, decide)
        self.found += translator.found
        self.note(translator.reads, names.steps)
        return made

    # ------------------------------------------------------------ files inside

    def file(
        self,
        step: Step,
        path: Word,
        label: str,
        translator: Translator,
        decide: Callable[[Auto], str],
    ) -> tuple[Group | None, tuple[Given, ...]]:
        """Return the steps of a file that a step names, and the fields that they are given."""
        whole = self.load(path)
        if whole is None:
            return None, ()
        if whole.source.name in self.around:
            message = f"these files use each other: {path.text} is around this step"
            hint = "a file can use others, but not one that leads back to it"
            self.found.append(Diagnostic("cycle", message, path.span, hint))
            return None, ()
        given = {one.parameter: one for one in self.given(step, translator, decide)}
        made = {one.name.text: f"{label}_{one.name.text}" for one in whole.inputs or ()}
        made |= {one.key: f"{label}_{one.key}" for one in whole.constants}
        if whole.inputs is None:
            made |= {one: f"{label}_{one}" for one in given}
        fields = [self.input(one, step, given, decide) for one in whole.inputs or ()]
        declared = {one.name.text for one in whole.inputs or ()}
        for name, one in given.items():
            if whole.inputs is None:
                fields.append(one)
            elif name not in declared:
                of = f" of {path.text}"
                self.found.append(unknown("field", name, tuple(declared), one.key.span, of=of))
        names = Names({}, made, whole.inputs is None, local={})
        labels = labels_of(whole.steps, self.taken, f"{label}_")
        plain = Translator(names)
        fields += [
            Given(one.key, Word(one.key, one.key_span), as_template(one.value, plain, decide))
            for one in whole.constants
        ]
        group = self.pipeline(whole, labels, names)
        outputs = None
        if whole.outputs:
            outputs = self.table(whole.outputs, evolve(names, steps=labels), decide)
        kept = tuple(evolve(one, parameter=made[one.parameter]) for one in fields if one)
        return evolve(group, outputs=outputs), kept

    def input(
        self,
        one: InputField,
        step: Step,
        given: Mapping[str, Given],
        decide: Callable[[Auto], str],
    ) -> Given | None:
        """Return the value of an input of a file inside: what it is given, else its default."""
        name = one.name.text
        if name in given:
            return given[name]
        if one.default is None and one.is_required:
            message = (
                f"the input '{name}' of {step.pipeline.text if step.pipeline else ''} is missing"
            )
            hint = f"add it to `parameters`: `{name}: ...`"
            self.found.append(Diagnostic("argument", message, step.id.span, hint))
            return None
        value = one.default or Scalar(None, one.name.span)
        return Given(name, one.name, as_template(value, Translator(Names({})), decide))


def names_in(expression: str) -> frozenset[str]:
    """Return the names that an expression reads; none for one with errors."""
    return frozenset() if faults(expression) else read_names(expression)
