"""The doors, and what must hold of each for any text: our own error, in time, that can be shown."""

from __future__ import annotations

import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from random import Random
from time import process_time
from types import FrameType

from attrs import frozen

from chainlang import Chain, ChainlangError, chain, load
from chainlang.errors import NotationError
from chainlang.notation.format import format_text
from chainlang.notation.literals import print_string
from chainlang.notation.unparse import unparse_file

from .corpus import CONDITIONS, FILES, NOTATION, PIPELINES, TEMPLATES
from .mutate import json_texts, texts

SECONDS = 5.0  # of CPU, for one input; the longest that are fine take a fifth of it


class TooSlow(BaseException):
    """An input took longer than `SECONDS`."""


def notation(text: str) -> None:
    """`chain`; and what it reads can be printed and read again."""
    found = chain(text)
    assert chain(str(found)) == found if not found.items else True, "str() reads back"
    assert chain(repr(found)) == found, "repr() reads back"


def file(text: str) -> None:
    """`load`, and `format_text` on what parses; formatting twice changes nothing."""
    try:
        found = load(text=text)
        assert load(text=str(found)) == found, "str() reads back"
    except NotationError:
        raise
    except ChainlangError as error:  # it parses, and only means nothing
        str(error)
    formatted = format_text(text)
    assert format_text(formatted) == formatted, "formatting is idempotent"


def template(text: str) -> None:
    """`load` of a file with this prompt."""
    load(text=f"op a : generate {{ user = {print_string(text)} }}\nmain = a")


def condition(text: str) -> None:
    """`chain` with this condition, and with this key."""
    said = print_string(text)
    chain(f'E >> loop(V, until={said}) >> route(by={said}, arms={{"a": E}}) >> M')


def document(text: str) -> None:
    """`Chain.from_json`; and what it reads is written as it was."""
    found = Chain.from_json(text)
    assert Chain.from_json(found.to_json()) == found, "to_json() reads back"


def pipeline(text: str) -> None:
    """`load` of a file of steps; and what it reads is a chain that can be printed and read."""
    found = load(text=text, format="yaml", actions="model")
    assert load(text=unparse_file(found.file)) == found, "its file reads back"


@frozen
class Entry:
    """One door, and where its inputs come from."""

    run: Callable[[str], None]
    inputs: Callable[[Random], Iterator[str]]
    share: int = 1
    """A test tries one input in so many of those of other entries."""


ENTRIES = {
    "notation": Entry(notation, lambda random: texts(random, NOTATION)),
    "file": Entry(file, lambda random: texts(random, FILES)),
    "json": Entry(document, json_texts),
    "template": Entry(template, lambda random: texts(random, TEMPLATES), share=5),
    "pipeline": Entry(pipeline, lambda random: texts(random, PIPELINES), share=2),
    "condition": Entry(condition, lambda random: texts(random, CONDITIONS), share=5),
}


@frozen
class Failure:
    """An input that broke a promise, and how."""

    text: str
    kind: str
    shown: str


class Clock:
    """Breaks off what takes longer than `SECONDS` of CPU, where signals work, and measures it."""

    def __enter__(self) -> Clock:
        self.signals = threading.current_thread() is threading.main_thread()
        if self.signals:
            self.before = signal.signal(signal.SIGVTALRM, self._over)
        return self

    def __exit__(self, *error: object) -> None:
        if self.signals:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, self.before)

    @staticmethod
    def _over(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    def start(self) -> float:
        """Begin to measure an input."""
        if self.signals:
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        return process_time()


def attempt(entry: Entry, text: str, clock: Clock) -> Failure | None:
    """Put one input through a door; return what went wrong, if anything did."""
    started = clock.start()
    try:
        try:
            entry.run(text)
        except ChainlangError as error:
            if not (error.diagnostics and str(error)):
                return Failure(text, "silent", repr(error))
        if process_time() - started > SECONDS:
            return Failure(text, "TooSlow", f"{process_time() - started:.1f} s")
    except TooSlow:
        return Failure(text, "TooSlow", traceback.format_exc(limit=-8))
    except Exception as error:  # noqa: BLE001  # finding those is what this is for
        return Failure(text, type(error).__name__, traceback.format_exc(limit=-8))
    return None


def hunt(name: str, seed: object, count: int) -> Failure | None:
    """Put `count` inputs through a door; return the first failure."""
    entry = ENTRIES[name]
    inputs = entry.inputs(Random(f"{name} {seed}"))
    with warnings.catch_warnings(), Clock() as clock:
        warnings.simplefilter("ignore")
        for _, text in zip(range(count), inputs, strict=False):
            failure = attempt(entry, text, clock)
            if failure is not None:
                return failure
    return None


def shrunk(name: str, failure: Failure) -> Failure:
    """Return a smaller input that fails in the same way, by leaving out stretches of it."""
    entry = ENTRIES[name]
    best = failure
    with warnings.catch_warnings(), Clock() as clock:
        warnings.simplefilter("ignore")
        size = max(len(best.text) // 2, 1)
        while size:
            at, smaller = 0, False
            while at < len(best.text):
                found = attempt(entry, best.text[:at] + best.text[at + size :], clock)
                if found is not None and found.kind == failure.kind:
                    best, smaller = found, True
                else:
                    at += size
            if not smaller or size > 1:
                size //= 2
    return best
