"""Values of YAML into a pipeline: keys are checked against their tables; all faults are found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.source import Source, Span
from chainlang.diagnostics.suggest import suggest
from chainlang.pipelines.document import InputField, Pipeline, Step, Word
from chainlang.pipelines.keys import CONTEXT, INPUT, MODEL, PIPELINE, STEP, Key, matches
from chainlang.pipelines.step_keys import step_faults
from chainlang.pipelines.values import Auto, Entry, Fields, Items, Scalar, Value


def read_document(root: Value, source: Source) -> tuple[Pipeline, tuple[Diagnostic, ...]]:
    """Return the pipeline of a file, and everything that is wrong with its keys and values."""
    reader = _Reader(source)
    made = reader.pipeline(root)
    return made, tuple(reader.found)


@define
class _Reader:
    source: Source
    found: list[Diagnostic] = field(factory=list)

    def note(
        self, code: str, message: str, span: Span, hint: str | None = None, **data: Any
    ) -> None:
        self.found.append(Diagnostic(code, message, span, hint, **data))

    # ------------------------------------------------------------ tables

    def table(self, value: Value, what: str) -> Fields:
        """Return a table; an empty one in place of anything else, which is an error."""
        if isinstance(value, Fields):
            return value
        hint = "write its keys, one in each line: `name: value`"
        self.note("type", f"{what} is a table, and this is {_said(value)}", value.span, hint)
        return Fields((), value.span, value.path)

    def known(
        self, table: Fields, keys: Mapping[str, Key], of: str, *, is_open: bool = False
    ) -> dict[str, Entry]:
        """Return the entries of a table by key; an error for each that is unknown or missing."""
        found = {}
        for entry in table.entries:
            if entry.key in keys:
                found[entry.key] = entry
            elif not is_open:
                self.unknown(entry, keys, of)
        for key in keys.values():
            if key.required and key.name not in found:
                message = f"{of} has no '{key.name}'"
                hint = f"add `{key.name}:`, {key.wants}"
                where = Span(table.span.source, table.span.start, table.span.start + 1)
                self.note("argument", message, where, hint, kind="key", subject=key.name)
        return found

    def unknown(self, entry: Entry, keys: Mapping[str, Key], of: str) -> None:
        same = next((one.name for one in keys.values() if entry.key in one.others), None)
        hint = f"write `{same}:`" if same else suggest(entry.key, keys)
        message = f"unknown key '{entry.key}' of {of}"
        known = tuple(keys)
        self.note(
            "unknown-option", message, entry.key_span, hint,
            kind="key", subject=entry.key, known=known,
        )  # fmt: skip

    # ------------------------------------------------------------ values

    def wrong(self, key: Key, value: Value) -> None:
        hint = None
        if isinstance(value, Auto):
            hint = (
                "here the value is written: a model decides values of `parameters`, and some keys"
            )
        elif key.kind == "choice" and isinstance(value, Scalar):
            hint = suggest(str(value.value), key.choices, None)
        elif key.kind == "name" and isinstance(value, Scalar):
            hint = "a name has letters, digits, _ and -, and begins with a letter"
        message = f"'{key.name}' is {key.wants}, and this is {_said(value)}"
        self.note("option", message, value.span, hint, kind="key", subject=key.name)

    def scalar(self, entries: Mapping[str, Entry], key: Key) -> Scalar | None:
        """Return the scalar of a key that fits it; None if there is none, or a wrong one."""
        if key.name not in entries:
            return None
        value = entries[key.name].value
        if isinstance(value, Scalar) and _fits(key, value.value):
            return value
        self.wrong(key, value)
        return None

    def decided(self, entries: Mapping[str, Entry], key: Key) -> Scalar | Auto | None:
        value = entries[key.name].value if key.name in entries else None
        if isinstance(value, Auto) and key.decided:
            return value
        is_template = (
            isinstance(value, Scalar) and isinstance(value.value, str) and "{{" in value.value
        )
        if key.kind in ("whole", "number") and is_template and isinstance(value, Scalar):
            hint = "write the number; what depends on the row is decided in a step of its own"
            message = f"'{key.name}' is {key.wants}, and this is a template"
            self.note("option", message, value.span, hint, kind="key", subject=key.name)
            return None
        return self.scalar(entries, key)

    def text(self, entries: Mapping[str, Entry], key: Key) -> str | None:
        value = self.scalar(entries, key)
        return None if value is None else str(value.value)

    def word(self, entries: Mapping[str, Entry], key: Key) -> Word | None:
        value = self.scalar(entries, key)
        return None if value is None else Word(str(value.value), value.span)

    def whole(self, entries: Mapping[str, Entry], key: Key) -> int | None:
        value = self.scalar(entries, key)
        return None if value is None else int(value.value or 0)

    def number(self, entries: Mapping[str, Entry], key: Key) -> float | None:
        value = self.scalar(entries, key)
        return None if value is None else float(value.value or 0)

    def words(self, entries: Mapping[str, Entry], key: Key) -> tuple[Word, ...]:
        """Return a name, or a list of them."""
        if key.name not in entries:
            return ()
        value = entries[key.name].value
        several = value.items if isinstance(value, Items) else (value,)
        found = []
        for one in several:
            if isinstance(one, Scalar) and isinstance(one.value, str) and one.value:
                found.append(Word(one.value, one.span))
            else:
                self.wrong(key, one)
        twice = {one.text for one in found if sum(it.text == one.text for it in found) > 1}
        for name in sorted(twice):
            where = [one.span for one in found if one.text == name][1]
            self.note(
                "duplicate-name", f"'{name}' stands twice in '{key.name}'", where, subject=name
            )
        return tuple(found)

    def outputs(self, entries: Mapping[str, Entry]) -> tuple[Entry, ...]:
        if "outputs" not in entries:
            return ()
        table = self.table(entries["outputs"].value, "'outputs'")
        found = []
        for entry in table.entries:
            value = entry.value
            if isinstance(value, Fields) and value.get("value") is not None:
                rest = [one for one in value.entries if one.key not in ("value", "description")]
                for one in rest:
                    self.unknown(one, {"value": _VALUE, "description": _VALUE}, "an output")
                value = next(one.value for one in value.entries if one.key == "value")
            if not entry.key.isidentifier():
                message = f"'{entry.key}' can't be the name of an output"
                self.note("argument", message, entry.key_span, "use letters, digits and _")
                continue
            found.append(Entry(entry.key, value, entry.key_span))
        return tuple(found)

    # ------------------------------------------------------------ the file

    def pipeline(self, root: Value) -> Pipeline:
        table = self.table(root, "a file of steps")
        span = table.span
        if not isinstance(root, Fields):
            return Pipeline(source=self.source, span=span)
        entries = self.known(table, PIPELINE, "the file")
        context = {}
        constants: tuple[Entry, ...] = ()
        if "context" in entries:
            given = self.table(entries["context"].value, "'context'")
            context = self.known(given, CONTEXT, "'context'", is_open=True)
            constants = tuple(one for one in given.entries if one.key not in CONTEXT)
        return Pipeline(
            source=self.source,
            span=span,
            name=self.text(entries, PIPELINE["name"]) or "",
            version=self.text(entries, PIPELINE["version"]),
            description=self.text(entries, PIPELINE["description"]),
            inputs=self.inputs(entries["inputs"].value) if "inputs" in entries else None,
            constants=constants,
            timeout=self.number(context, CONTEXT["timeout"]),
            max_retries=self.whole(context, CONTEXT["max_retries"]),
            checkpoints=self.word(context, CONTEXT["checkpoint_strategy"]),
            use=self.words(entries, PIPELINE["use"]),
            by_model=self.text(entries, PIPELINE["actions"]) == MODEL,
            model=self.text(entries, PIPELINE["model"]),
            steps=self.steps(entries["steps"].value, "'steps'") if "steps" in entries else (),
            outputs=self.outputs(entries),
        )

    def inputs(self, value: Value) -> tuple[InputField, ...]:
        return tuple(self.each_input(self.table(value, "'inputs'")))

    def each_input(self, table: Fields) -> Iterator[InputField]:
        for entry in table.entries:
            name = Word(entry.key, entry.key_span)
            match entry.value:
                case Scalar(value=str() as text):
                    yield InputField(name, Word(text, entry.value.span))
                case Fields() as given:
                    yield from self.input(name, given)
                case other:
                    message = f"the input '{name.text}' has a type, and this is {_said(other)}"
                    hint = f"write `{name.text}: {{type: string, default: ...}}`"
                    self.note("type", message, other.span, hint)

    def input(self, name: Word, given: Fields) -> Iterator[InputField]:
        entries = self.known(given, INPUT, f"the input '{name.text}'")
        kind = self.word(entries, INPUT["type"])
        if kind is None:
            return
        default = entries["default"].value if "default" in entries else None
        choices = entries["choices"].value if "choices" in entries else None
        required = entries["required"].value if "required" in entries else None
        if isinstance(default, Auto):
            self.wrong(INPUT["default"], default)
            default = None
        if choices is not None and not isinstance(choices, Items):
            message = f"'choices' is a list of values, and this is {_said(choices)}"
            self.note("option", message, choices.span, "write [short, medium, long]")
            choices = None
        if required is not None and not (
            isinstance(required, Scalar) and isinstance(required.value, bool)
        ):
            message = f"'required' is true or false, and this is {_said(required)}"
            self.note("option", message, required.span)
            required = None
        is_required = not isinstance(required, Scalar) or required.value is True
        about = self.text(entries, INPUT["description"])
        yield InputField(name, kind, default, about, choices, is_required)

    # ------------------------------------------------------------ steps

    def steps(self, value: Value, of: str) -> tuple[Step, ...]:
        if not isinstance(value, Items):
            message = f"{of} is a list of steps, and this is {_said(value)}"
            self.note("type", message, value.span, "begin each step with a dash: `- id: plan`")
            return ()
        if not value.items:
            hint = "add one: `- id: plan`, and its action"
            self.note("empty", f"{of} has no step", value.span, hint)
        made = [self.step(one) for one in value.items]
        return tuple(one for one in made if one is not None)

    def step(self, value: Value) -> Step | None:
        table = self.table(value, "a step")
        if not isinstance(value, Fields):
            return None
        name = value.get("id")
        of = f"the step '{name.value}'" if isinstance(name, Scalar) else "this step"
        entries = self.known(table, STEP, of)
        self.found += step_faults(entries, table.span, of)
        identity = self.word(entries, STEP["id"])
        for_each = entries["for_each"].value if "for_each" in entries else None
        if for_each is not None and not _is_list(for_each):
            self.wrong(STEP["for_each"], for_each)
            for_each = None
        made = Step(
            id=identity or Word("", table.span),
            span=table.span,
            action=self.action(entries),
            parameters=self.parameters(entries),
            steps=self.steps(entries["steps"].value, "'steps'") if "steps" in entries else (),
            pipeline=self.word(entries, STEP["pipeline"]),
            outputs=self.outputs(entries),
            dependencies=self.words(entries, STEP["dependencies"]),
            condition=self.decided(entries, STEP["condition"]),
            for_each=for_each if isinstance(for_each, Scalar | Items) else None,
            item=self.word(entries, STEP["item"]),
            repeated_while=self.scalar(entries, STEP["while"]),
            repeated_until=self.scalar(entries, STEP["until"]),
            max_iterations=self.whole(entries, STEP["max_iterations"]),
            on_failure=self.word(entries, STEP["on_failure"]),
            max_retries=self.whole(entries, STEP["max_retries"]),
            backoff=self.number(entries, STEP["backoff"]),
            timeout=self.number(entries, STEP["timeout"]),
            model=self.decided(entries, STEP["model"]),
            temperature=self.decided(entries, STEP["temperature"]),
            max_tokens=self.decided(entries, STEP["max_tokens"]),
            system=self.scalar(entries, STEP["system"]),
        )
        return None if identity is None else made

    def action(self, entries: Mapping[str, Entry]) -> Word | None:
        action, tool = self.word(entries, STEP["action"]), self.word(entries, STEP["tool"])
        if tool is None or action is None:
            return action
        return Word(f"{tool.text}_{action.text}".replace("-", "_"), action.span)

    def parameters(self, entries: Mapping[str, Entry]) -> Fields | None:
        return (
            self.table(entries["parameters"].value, "'parameters'")
            if "parameters" in entries
            else None
        )


_VALUE = Key("value", "", "value")


def _is_list(value: Value) -> bool:
    if isinstance(value, Items):
        return True
    return isinstance(value, Scalar) and isinstance(value.value, str) and bool(value.value)


def _fits(key: Key, value: object) -> bool:
    match key.kind:
        case "whole":
            return type(value) is int and (key.low is None or value >= key.low)
        case "number":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            if key.high is None:
                return value > (key.low or 0)
            return (key.low or 0) <= value <= key.high
        case "choice":
            return value in key.choices
        case "template":
            return isinstance(value, bool) or (isinstance(value, str) and bool(value.strip()))
    return isinstance(value, str) and bool(value) and matches(key, value)


def _said(value: Value) -> str:
    match value:
        case Fields():
            return "a table"
        case Items():
            return "a list"
        case Auto():
            return "an <AUTO>"
        case Scalar(value=None):
            return "empty"
        case Scalar(value=bool() as one):
            return str(one).lower()
    return shown(value.value, 40)
