"""The state of a REPL: declared names, the last chain, and settings; and what a statement does."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, assert_never

from attrs import define, field

from chainlang.analysis.check_file import MAIN
from chainlang.analysis.program import check, examine
from chainlang.api.chain import Chain
from chainlang.cli.answers import describe_usage, shown_answers
from chainlang.cli.flags import defaults
from chainlang.cli.output import emit, report, say
from chainlang.cli.repl.statements import Command, Declarations, Expression, statement
from chainlang.cli.row_fields import row_of
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import ChainlangError, error_of, raise_errors
from chainlang.interrupts import clear, interrupt
from chainlang.ir.declarations import Definition, File, Input, Item
from chainlang.ir.nodes import Expr
from chainlang.ir.render import tree
from chainlang.notation import unparse_file
from chainlang.notation.files import read_chain_file
from chainlang.notation.parse import read_expression, read_items, source

NAME = "<input>"
"""Name of the text of a statement in messages."""
HELP = """\
3:E >> M ? What is 17 + 25?   ask a chain; its model stays loaded
x = 3:E                       name a part, then write $x; other declarations of files, too
3:E >> M                      show a chain; after that ? asks it: ? What is 2 + 2?
? text="good" lang=fr         fields of a row; also JSON, and @file

:model NAME     default model of stages that name none
:explain CHAIN  plan and cost         :show CHAIN       picture
:prompt CHAIN ? QUESTION              first prompt that a question makes
:run ROWS FOLDER [OPTIONS]            run the last chain over a file of rows
:load FILE      declarations of a .chain file; its main becomes the last chain
:save FILE      write all of it as a .chain file
:help           this page             :quit             leave, as Ctrl-D does

Ctrl-C ends a question. Alt-Enter begins another line."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt` in the block, and do what it did before after it.

    It is recorded too, since a finalizer that runs at that moment would swallow the exception.
    """
    before = signal.signal(signal.SIGINT, lambda *_: interrupt())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        clear()


def _key(item: Item) -> tuple[str, str]:
    """Return what two declarations that replace each other have in common."""
    return type(item).__name__, getattr(item, "name", "")


@define
class Session:
    """One conversation."""

    items: dict[tuple[str, str], Item] = field(factory=dict)
    last: Expr | None = None
    """The chain that a question without one asks."""
    settings: dict[str, Any] = field(factory=dict)
    engine: Any = None
    """Engine of all chains, for tests."""
    written: set[Path] = field(factory=set)
    """Files that `:save` may replace, since this session has read or written them."""
    is_over: bool = False

    def execute(self, text: str) -> bool:
        """Run a statement; return whether it succeeded. Its errors are printed."""
        try:
            with interruptible():
                self._run(text)
        except ChainlangError as error:
            report(error.diagnostics)
            return False
        except KeyboardInterrupt:
            say("interrupted")
            return False
        return True

    def _run(self, text: str) -> None:
        found = statement(text)
        match found:
            case None:
                return
            case Command(name, arguments):
                self._command(name, arguments)
            case Declarations():
                self._declare(found.text)
            case Expression(chain, question):
                made = self.chain(chain)
                if question is None:
                    emit(tree(made.body))
                else:
                    self._ask(made, question)
            case _:
                assert_never(found)

    # ------------------------------------------------------------ chains

    def declared(self) -> tuple[Item, ...]:
        """Return the declarations so far."""
        return tuple(self.items.values())

    def diagnostics(self, text: str) -> tuple[Diagnostic, ...]:
        """Return the errors of a statement as it is typed."""
        found = statement(text)
        try:
            match found:
                case Declarations():
                    parsed = read_items(source(found.text, NAME))
                    raise_errors(parsed.diagnostics)
                    raise_errors(self._faults(parsed.node.items))
                case Expression() if found.text:
                    self._checked(found.text)
                case Command() if found.name not in self.commands():
                    self._unknown(found.name)
        except ChainlangError as error:
            return error.diagnostics
        return ()

    def chain(self, text: str) -> Chain:
        """Return the chain of a text, which becomes the last one; of no text, the last one."""
        if not text:
            if self.last is None:
                raise error_of("empty", "there is no chain yet", "write one: 3:E >> M ? question")
            return Chain(self.last, self.declared(), is_checked=True)
        made, warned = self._checked(text)
        report(warned)
        self.last = made.body
        return made

    def _checked(self, text: str) -> tuple[Chain, tuple[Diagnostic, ...]]:
        parsed = read_expression(source(text, NAME))
        body, items, found = check(parsed.node, self.declared())
        raise_errors((*parsed.diagnostics, *found))
        return Chain(body, items, is_checked=True), (*parsed.diagnostics, *found)

    def _faults(self, new: tuple[Item, ...]) -> tuple[Diagnostic, ...]:
        """Return what is wrong with the declarations after new ones, in the new ones."""
        items = {**self.items, **{_key(one): one for one in new}}
        whole = read_items(source("", NAME)).node
        found = examine_items(File(tuple(items.values()), span=whole.span))
        spans = [one.span for one in new if one.span is not None]
        texts = {id(span.source) for span in spans}
        return tuple(one for one in found if one.span is None or id(one.span.source) in texts)

    def _declare(self, text: str) -> None:
        parsed = read_items(source(text, NAME))
        raise_errors(parsed.diagnostics)
        if any(_key(one)[0] == "Use" for one in parsed.node.items):
            raise error_of("file", "`use` belongs into files", "write :load common.chain")
        found = self._faults(parsed.node.items)
        raise_errors(found)
        report((*parsed.diagnostics, *found))
        for item in parsed.node.items:
            self.items[_key(item)] = item
            if isinstance(item, Definition):
                self.last = item.body

    def _ask(self, made: Chain, question: str) -> None:
        if not question:
            raise error_of("row", "there is no question after the ?")
        row = row_of(self._arguments(question, made), made)
        begun = time.monotonic()
        engine = {} if self.engine is None else {"engine": self.engine}
        given = {**defaults(), **self.settings, **engine}
        result = made(row, **given, on_error="collect", progress=say)
        for line in shown_answers(result):
            emit(line)
        say(describe_usage(result, time.monotonic() - begun))

    def _arguments(self, question: str, made: Chain) -> list[str]:
        """Return a question as one argument, or its fields where the chain declares some."""
        declares = any(isinstance(one, Input) for one in made.items)
        if not declares or question.startswith(("{", "@")):
            return [question]
        try:
            found = shlex.split(question)
        except ValueError:
            return [question]
        return found if found and all("=" in one for one in found) else [question]

    # ------------------------------------------------------------ commands

    def commands(self) -> Mapping[str, Callable[[str], None]]:
        """Return the commands by name."""
        return {
            "explain": self._explain,
            "help": lambda _: emit(HELP),
            "load": lambda name: self.load(Path(name)),
            "model": self._model,
            "prompt": self._prompt,
            "quit": self._quit,
            "run": self._run_rows,
            "save": lambda name: self._save(Path(name)),
            "show": self._show,
        }

    def _command(self, name: str, arguments: str) -> None:
        command = self.commands().get(name)
        if command is None:
            self._unknown(name)
        else:
            command(arguments)

    def _unknown(self, name: str) -> None:
        hint = suggest(name, self.commands(), sign=":")
        raise error_of("argument", f"unknown command ':{name}'", hint)

    def _quit(self, _: str) -> None:
        self.is_over = True

    def _model(self, name: str) -> None:
        if name:
            self.settings["model"] = name
            return
        from chainlang.settings import CallSettings

        emit(str(self.settings.get("model") or CallSettings.of({}).model))

    def _explain(self, text: str) -> None:
        emit(str(self.chain(text).explain(**self.settings)))

    def _show(self, text: str) -> None:
        if text or self.last is not None:
            emit(tree(self.chain(text).body))
        elif self.items:
            emit(unparse_file(File(self.declared())).rstrip())
        else:
            self.chain("")

    def _prompt(self, text: str) -> None:
        from chainlang.cli.prompt import prompts_of
        from chainlang.session.rows import start_of

        found = statement(text)
        if not isinstance(found, Expression) or not found.question:
            raise error_of("argument", "a prompt needs a question", "write :prompt 3:E ? question")
        made = self.chain(found.text)
        start = start_of(row_of(self._arguments(found.question, made), made), made.program())
        emit(prompts_of(made.program(), start, self.settings)[0].page())

    def _run_rows(self, text: str) -> None:
        from chainlang.cli import run

        try:
            words = shlex.split(text)
        except ValueError as error:
            raise error_of("argument", f":run {text}: {error}") from error
        if len(words) < 2:
            raise error_of("argument", ":run takes rows and a folder", "write :run rows.csv runs/a")
        rows, folder, *rest = words
        made = self.chain("")
        try:
            options = run.parser().parse_args(["run", "E", "-i", rows, "-o", folder, *rest])
        except SystemExit:
            return  # the parser has said what is wrong
        run.run_chain(made, options, {**self.settings})

    def load(self, path: Path) -> None:
        """Take the declarations of a file; its main becomes the last chain."""
        _, found = examine(path)
        raise_errors(found)
        report(found)
        for item in read_chain_file(path).node.items:
            if isinstance(item, Definition) and item.name == MAIN:
                self.last = item.body
            else:
                self.items[_key(item)] = item
        self.written.add(path.resolve())

    def _save(self, path: Path) -> None:
        if not path.name or path.suffix != ".chain":
            raise error_of("file", "a chain is saved in a .chain file", "write :save qa.chain")
        if path.exists() and path.resolve() not in self.written:
            raise error_of("file", f"{path} is there already", "choose another name")
        main = () if self.last is None else (Definition(MAIN, self.last),)
        try:
            text = unparse_file(File((*self.declared(), *main))).rstrip("\n") + "\n"
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise error_of("file", f"{path}: {error.strerror}") from error
        self.written.add(path.resolve())
        say(f"saved {path}")


def examine_items(file: File) -> tuple[Diagnostic, ...]:
    """Return the diagnostics of declarations, of which none has to be used."""
    from chainlang.analysis.check_file import resolve_file

    return tuple(one for one in resolve_file(file)[1] if one.code != "unused-definition")
