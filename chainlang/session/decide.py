"""Values that a model decides before the first row: asked for, recorded, and put into a program.

Each is asked for with the row id ``auto`` and a seed of its own path, so that it depends on
nothing else that is decided; the prompts hold what was decided before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

from attrs import asdict, define, field, frozen

from chainlang.analysis.check_file import MAIN
from chainlang.analysis.program import Program, check
from chainlang.diagnostics.source import Span
from chainlang.errors import error_of, raise_errors
from chainlang.ir.declarations import Definition, File, Item, Model, Op
from chainlang.ir.json import to_json
from chainlang.ir.nodes import Expr, Retry, Stage
from chainlang.notation import parse_file, source
from chainlang.runtime.run_loop import run
from chainlang.semantics.auto_formats import only_value, op_of, type_of, type_of_format
from chainlang.semantics.auto_sites import Site, has_autos, with_values
from chainlang.semantics.record import Record
from chainlang.semantics.seeds import derived
from chainlang.session.prepare import prepare
from chainlang.session.rows import start_of
from chainlang.settings import RowSettings, RunSettings
from chainlang.store.cleanup import DECISIONS
from chainlang.store.safe_files import Folder

Named: TypeAlias = Callable[[Program, RowSettings], Program]
"""Returns a program that declares the models that it names."""
ROW_ID = "auto"
_TIMES = 3
_FORMAT, _VALUE = "auto_format", "auto_value"
_USER = """A setting of a program has to be decided.
Setting: {{ place }}
What it should be: {{ words }}
{{ context }}
Reply in JSON with the "value" alone."""
_MOST = 2_000
"""Characters of a value in the prompts of those after it."""


@frozen
class Decision:
    """A value that was decided: its path in the file, the words, its type, and the model."""

    path: str
    words: str
    type: str
    value: Any
    model: str = ""
    """"" if no model was asked."""
    calls: int = 0
    """Number of samples that it took, format and value."""


def is_open(program: Program) -> bool:
    """Return whether a program has values that a model is still to decide."""
    return program.memo.get("is_open", lambda: has_autos((*program.items, program.body)))


def decided(
    program: Program,
    settings: RowSettings,
    named: Named,
    known: tuple[Decision, ...] = (),
) -> tuple[Program, tuple[Decision, ...]]:
    """Return a program with the values of its AUTO, and the decisions.

    `known`: those that were made before, which are not asked for again.
    Raises the error of a row if the model gives no value, and `MeaningError` for one that does not
    fit what it is a value of.
    """
    if not is_open(program):
        return program, ()
    asking = _Asking(program, settings, named, {(one.path, one.words): one for one in known})
    made = with_values(File((*program.items, Definition(MAIN, program.body))), asking.value)
    return _checked(program, made), tuple(asking.made)


def decided_once(program: Program, settings: RowSettings, named: Named) -> Program:
    """Return a program with the values of its AUTO, asked for once with equal settings."""
    if not is_open(program):
        return program
    engine = settings.engine
    if isinstance(engine, Mapping) or settings.models:
        return decided(program, settings, named)[0]
    key = (ROW_ID, settings.seed, settings.auto_model, settings.model, id(engine), engine)
    return program.memo.get(key, lambda: decided(program, settings, named)[0])


def decided_in(
    program: Program, settings: RunSettings, named: Named, folder: Path
) -> tuple[Program, str]:
    """Return a program with the values of its AUTO, and the JSON of them for a run folder.

    Those that the folder has of the same chain are not asked for again, unless its run is replaced.
    Raises `SettingError` for a shard if the folder, which is that of the whole run, has none, as
    each shard would ask for them by itself.
    """
    is_fresh = settings.shard is None and (settings.overwrite or settings.changed)
    known = () if is_fresh else known_in(program, folder)
    if settings.shard is not None and not known:
        message = f"shard {settings.shard}: a model has to decide values of this chain first"
        hint = (
            "decide them once, and run that file: chainlang resolve x.chain > decided.chain\n"
            "or run all shards on this machine: --workers N"
        )
        raise error_of("setting", message, hint, setting="shard")
    made, found = decided(program, settings, named, known)
    return made, as_text(found, program)


def known_in(program: Program, folder: Path) -> tuple[Decision, ...]:
    """Return the decisions of a program that a run folder has, or one of its shards; else none."""
    for path in (folder / DECISIONS, *sorted(folder.glob(f"shard-*/{DECISIONS}"))):
        if path.is_file() and (found := from_text(path.read_bytes(), program)):
            return found
    return ()


def decided_for_shards(program: Program, settings: RunSettings, named: Named, folder: Path) -> None:
    """Decide the values of the AUTO of a program, and write them where all shards read them."""
    _, text = decided_in(program, settings, named, folder)
    root = Folder.open(folder)
    try:
        root.write(DECISIONS, text.encode("utf-8", "backslashreplace"))
    finally:
        root.close()


def decided_text(program: Program, settings: RowSettings, named: Named) -> str:
    """Return the text of a file of steps with the values of its AUTO in their places.

    What is decided in the row stays. Raises `SourceError` for a value that is part of another file,
    and for one whose text would be read as a template or another AUTO.
    """
    asking = _Asking(program, settings, named, {})
    with_values(File((*program.items, Definition(MAIN, program.body))), asking.value)
    (first, *_), text = asking.spans, asking.spans[0][0].source.text
    for span, value in sorted(asking.spans, key=lambda one: -one[0].start):
        written = json.dumps(value, ensure_ascii=False)
        if span.source is not first[0].source:
            message = "this value is of another file"
            hint = f"resolve that file by itself: chainlang resolve {span.source.name}"
            raise error_of("path", message, hint, span=span)
        if any(sign in written for sign in ("{{", "{%", "<AUTO")):
            message = f"the value would be read as a template: {written}"
            hint = "resolve the chain of the file: chainlang show x.yaml --as notation"
            raise error_of("path", message, hint, span=span)
        text = text[: span.start] + written + text[span.end :]
    return text


def exemplified(program: Program) -> Program:
    """Return a program with an example in place of each AUTO, for plans and prices."""
    if not is_open(program):
        return program
    whole = File((*program.items, Definition(MAIN, program.body)))
    return _checked(program, with_values(whole, lambda site: site.example))


def described(program: Program) -> tuple[str, ...]:
    """Return the AUTO of a program: their paths, their words, and their types if they are known."""
    found: list[str] = []

    def note(site: Site) -> Any:
        kind = type_of(site.auto, site.known) or "its format is asked for first"
        found.append(f"{site.path}  {_short(site.auto.words)}: {kind}")
        return site.example

    if is_open(program):
        with_values(File((*program.items, Definition(MAIN, program.body))), note)
    return tuple(found)


def as_text(decisions: tuple[Decision, ...], program: Program) -> str:
    """Return decisions as the JSON of a run folder, with the chain that they are of."""
    whole = {"of": _identity(program), "decided": [asdict(one) for one in decisions]}
    return json.dumps(whole, ensure_ascii=False, indent=2)


def from_text(text: str | bytes, program: Program) -> tuple[Decision, ...]:
    """Return the decisions of a run folder; none if they are of another chain, or no decisions."""
    try:
        whole = json.loads(text)
        same = whole["of"] == _identity(program)
        return tuple(Decision(**one) for one in whole["decided"]) if same else ()
    except (ValueError, TypeError, KeyError):
        return ()


def _identity(program: Program) -> Any:
    return json.loads(to_json(File((*program.items, Definition(MAIN, program.body)))))


def _checked(program: Program, whole: File) -> Program:
    *items, main = whole.items
    assert isinstance(main, Definition)  # `main` is put last
    body, checked, found = check(main.body, tuple(items))
    raise_errors(found)
    return Program(body, checked, program.bound)


@define
class _Asking:
    """The AUTO of a program, asked for in the order of the file."""

    program: Program
    settings: RowSettings
    named: Named
    known: Mapping[tuple[str, str], Decision]
    made: list[Decision] = field(factory=list)
    spans: list[tuple[Span, Any]] = field(factory=list)
    """Places of the values in the text."""

    def value(self, site: Site) -> Any:
        """Return the value of one AUTO, and record it."""
        found = self.known.get((site.path, site.auto.words)) or self._decided(site)
        self.made.append(found)
        if site.span is not None:
            self.spans.append((site.span, found.value))
        return found.value

    def _decided(self, site: Site) -> Decision:
        words, calls = site.auto.words, 0
        kind = type_of(site.auto, site.known)
        if kind is None:
            said, calls = self._ask(site, _format(), _FORMAT)
            kind = type_of_format(said.fields)
        is_single, value = only_value(kind)
        if is_single:
            return Decision(site.path, words, kind, value, self.model if calls else "", calls)
        op = op_of(_VALUE, kind, _USER)
        assert op is not None  # checked before, or made of a format
        reply, more = self._ask(site, op, _VALUE)
        value = round(reply.answer, 2) if site.rounds else reply.answer
        return Decision(site.path, words, kind, value, self.model, calls + more)

    @property
    def model(self) -> str:
        """The model that decides: the setting's, else the first of the chain, else the default."""
        stages = (one for one in self.program.models if not one.startswith("@"))
        return self.settings.auto_model or next(stages, self.settings.model)

    def _ask(self, site: Site, op: Op, name: str) -> tuple[Any, int]:
        """Return the first candidate of an op for one AUTO, and the samples that it took."""
        own: tuple[Item, ...] = tuple(one for one in self.program.items if isinstance(one, Model))
        body: Expr = Retry(Stage(name, model=self.model), times=_TIMES)
        program = Program(body, (*own, op))
        purpose = site.path if name == _VALUE else f"{site.path} format"
        settings = self.settings.model_copy(
            update={
                "seed": derived(self.settings.seed, purpose),
                "outputs": None,
                "passes": None,
                "rename": (),
                "row_calls": None,
                "row_tokens": None,
                "row_cost": None,
            }
        )
        program = self.named(program, settings)
        row = {
            "id": ROW_ID,
            "words": site.auto.words,
            "place": site.path,
            "context": self._context(site),
        }
        start = start_of(row, program)
        outcome = next(iter(run(prepare(program, settings), [start])))
        if outcome.failure is not None:
            raise outcome.failure.error()
        flow = outcome.flow
        assert isinstance(flow, Record)  # an op has no branches
        return flow.candidates[0], outcome.usage.calls

    def _context(self, site: Site) -> str:
        """Return what stands around an AUTO, and what was decided before it."""
        lines = [f"Beside it: {name} = {_short(value)}" for name, value in site.beside]
        lines += [f"Decided: {one.path} = {_short(one.value)}" for one in self.made[-8:]]
        return "\n".join(lines)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"


@cache
def _format() -> Op:
    text = (resources.files("chainlang.semantics") / "auto.chain").read_text(encoding="utf-8")
    (found,) = parse_file(source(text, "auto.chain")).node.items
    assert isinstance(found, Op)
    return found
