"""The REPL in a terminal: highlighting, errors as you type, completion, history."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.styles import Style
from prompt_toolkit.validation import ValidationError, Validator

from chainlang import __version__
from chainlang.cli.output import emit, say
from chainlang.cli.repl.session import Session
from chainlang.cli.repl.statements import is_whole, question_at
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import on_one_line
from chainlang.editing.complete import complete
from chainlang.notation.highlight import Class, classes

_PATHS = ("load", "save", "run")
"""Commands that take the path of a file."""
STYLE: Mapping[Class, str] = {
    "comment": "ansibrightblack italic",
    "count": "ansiblue",
    "error": "ansired underline",
    "function": "ansiyellow",
    "keyword": "ansimagenta",
    "label": "ansicyan",
    "model": "ansigreen",
    "name": "bold",
    "number": "ansiblue",
    "operator": "",
    "punctuation": "",
    "reference": "ansicyan",
    "space": "",
    "string": "ansigreen",
    "temperature": "ansiblue",
}


def converse(session: Session, **for_tests: Any) -> None:
    """Read statements and run them, until Ctrl-D or ``:quit``. `for_tests`: input and output."""
    prompt = reader(session, **for_tests)
    emit(f"chainlang {__version__}. :help says what can be written, Ctrl-D leaves.")
    while not session.is_over:
        try:
            text = prompt.prompt()
        except KeyboardInterrupt:
            continue  # the line is given up
        except EOFError:
            return
        session.execute(text)


def reader(session: Session, **for_tests: Any) -> PromptSession[str]:
    """Return the prompt of a session."""
    keys = KeyBindings()

    @keys.add("enter", eager=True)
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    @keys.add("escape", "enter")
    def another_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def give_up(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    made: PromptSession[str] = PromptSession(
        "> ",
        multiline=True,
        prompt_continuation=". ",
        lexer=ChainLexer(),
        completer=ChainCompleter(session),
        complete_while_typing=False,
        validator=ChainValidator(session),
        validate_while_typing=True,
        history=for_tests.pop("history", None) or history(),
        style=Style.from_dict({f"chain-{name}": style for name, style in STYLE.items()}),
        key_bindings=keys,
        **for_tests,
    )
    return made


def history() -> History:
    """Return the history of earlier sessions, which only the user can read."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    path = Path(state).expanduser() / "chainlang" / "history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError as error:
        say(f"{path}: {error.strerror}; this session leaves no history")
        return InMemoryHistory()
    return FileHistory(str(path))


class ChainLexer(Lexer):
    """Styles of the parts of a statement; a question and a command have none."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Return a function from a line number to its styled parts."""
        text = document.text
        end = 0 if text.lstrip().startswith(":") else question_at(text)
        chain = text[:end]
        lines: list[StyleAndTextTuples] = [[]]
        for part, style in (
            *((part, f"class:chain-{kind}") for _, part, kind in classes(chain)),
            (text[len(chain) :], ""),
        ):
            first, *rest = part.split("\n")
            lines[-1].append((style, first))
            lines += [[(style, one)] for one in rest]
        return lambda number: lines[number] if number < len(lines) else []


@frozen
class ChainCompleter(Completer):
    """Completions of chains, commands and paths."""

    session: Session

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        """Yield what may stand at the cursor."""
        text = document.text_before_cursor
        if text.startswith(":"):
            name, space, rest = text[1:].partition(" ")
            if not space:
                known = (one for one in self.session.commands() if one.startswith(name))
                yield from (Completion(one, start_position=-len(name)) for one in known)
                return
            if name in _PATHS:
                word = rest.rpartition(" ")[2]
                yield from PathCompleter().get_completions(Document(word, len(word)), event)
                return
            text = rest
        if question_at(text) is not None:
            return
        for one in complete(text, len(text), self.session.declared()):
            back = one.start - len(text)
            yield Completion(one.text, start_position=back, display_meta=one.detail)


@frozen
class ChainValidator(Validator):
    """Errors of a statement as it is typed, with the cursor at the first one when it is entered."""

    session: Session

    def validate(self, document: Document) -> None:
        """Raise `ValidationError` for a statement that is whole and wrong."""
        if not is_whole(document.text):
            return
        found = self.session.diagnostics(document.text)
        if found:
            raise ValidationError(place(found[0], document.text), on_one_line(found[0]))


def place(found: Diagnostic, text: str) -> int:
    """Return the offset of a diagnostic in a text."""
    start = 0 if found.span is None else found.span.start
    return min(start + len(text) - len(text.lstrip()), len(text))
