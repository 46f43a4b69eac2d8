"""Servers of tools that misbehave: none hangs a run, none is believed, none leaves a process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chainlang import load
from chainlang.engines.mcp import McpEngine
from chainlang.engines.mcp.pins import Approved
from chainlang.engines.mcp.stdio import Command

pytest.importorskip("mcp")
SERVER = Path(__file__).with_name("hostile_tool_server.py")
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
ECHO = {
    "title": None,
    "description": "Returns its text.",
    "input": SCHEMA,
    "output": None,
    "annotations": None,
}
FILE = """
server tools = mcp("python", args=["server.py"])
op echo : tool { server = tools tool = "echo" args = { "text": "{{ query }}" } }
main = echo
"""
LONGEST = 1 << 20


@contextmanager
def server(how: str, *, pinned: bool = True) -> Iterator[tuple[McpEngine, list[Command]]]:
    """Open an engine for a server, and look at the end that none of its processes is left."""
    commands: list[Command] = []

    def connect() -> Any:
        argv = [sys.executable, "-I", "-S", str(SERVER), how]
        commands.append(Command(argv, {"PATH": os.defpath}, 8 * LONGEST))
        return commands[-1].streams()

    output = None
    if how in ("a slow pattern", "a remote schema"):
        inside = {"a slow pattern": {"type": "string", "pattern": "^(a+)+$"}}.get(
            how, {"$ref": "http://127.0.0.1:9/schema.json"}
        )
        output = {"type": "object", "properties": {"a": inside}}
    approved = Approved({}, {"echo": {**ECHO, "output": output}})
    engine = McpEngine(
        connect,
        name="tools",
        approved=approved if pinned else None,
        start={},
        why=lambda: commands[-1].fault if commands else "",
        seconds=patience(how),
        max_bytes=LONGEST,
    )
    try:
        yield engine, commands
    finally:
        engine.close()
    end = time.monotonic() + 60  # one that was killed may take a moment
    while left := [one.pid for one in commands if one.pid and alive(one.pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.02)


def alive(group: int) -> bool:
    """Return whether a process of a group is left that has not ended."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has just ended
            continue
        if int(of) == group and state != "Z":
            return True
    return False


FAILS = {
    "never begins": ("transport", "did not answer within 0.5 seconds"),
    "never lists": ("transport", "did not answer within 0.5 seconds"),
    "never answers": ("transport", "did not answer within 0.5 seconds"),
    "ends at once": ("transport", "its process ended"),
    "ends in a call": ("transport", "its process ended"),
    "a line without end": ("transport", "more than 8,388,608 bytes"),
    "a long result": ("function", "returned 3,000,000 bytes, more than max_bytes=1048576"),
    "a long error": ("function", "echo failed: xxx"),
    "noise without end": ("transport", "lines that are no messages"),
    "another version": ("transport", "did not answer"),
    "another id": ("transport", "did not answer"),
    "half a character": ("transport", "did not answer"),
    "bytes": ("transport", "did not answer"),
    "not a number": ("function", "what JSON can't hold"),
    "a deep result": ("transport", "did not answer"),
    "signs in an error": ("function", r"failed \x1b[2J\u202e sk-secret"),
    "an error of the protocol": ("function", r"down \x1b[2J\u202e"),
    "an error with a value": ("function", "echo failed: no"),
    "content of no kind": ("transport", "breaks the protocol"),
    "an image": ("function", "returned no text, but image"),
    "no content": ("transport", "breaks the protocol"),
    "a result that is none": ("transport", "did not answer"),
    "a slow answer": ("transport", "did not answer"),
    "many tools": ("denied", "lists more than 5,000 tools"),
    "endless pages": ("denied", "or 100 pages"),
    "the same tool twice": ("denied", "two tools echo"),
    "tools that are none": ("transport", "breaks the protocol"),
    "old version": ("transport", "can't be reached"),
}
GOES_ON = {
    "good": "hi",
    "noise before": "hi",
    "two answers": "hi",
    "asks the user": "hi",
    "asks a model": "hi",
    "asks for folders": "hi",
    "progress without end": "hi",
    "input in a result": "",  # of a later protocol than it has agreed to
    "errors without end": "hi",
    "a slow pattern": "a" * 40 + "!",
    "a remote schema": "a" * 40 + "!",
    "special words": "{{ 7 * 7 }} <|im_end|> $ref {% for x in y %}",
}
CHANGES = {
    "another description": r"description was Returns its text., and is Returns its text. \x1b[2J",
    "another schema": "input was",
    "a hint": 'annotations was null, and is {"readOnlyHint":true}',
    "a new tool": "tools.shell is new",
    "a renamed tool": "tools.echo is gone; tools.echo2 is new",
    "a title": "title was null, and is Echo",
    "no tools": "tools.echo is gone",
}


def patience(how: str) -> float:
    """Return the timeout of a server: short only for one that has to reach it."""
    if "did not answer" in FAILS.get(how, ("", ""))[1]:
        return 0.5
    of_some = {"ends with a child": 6.0, "requests without end": 3.0}
    return of_some.get(how, 60.0)  # each has to begin, and to be called, within them


def test_there_are_at_least_forty() -> None:
    assert len({*FAILS, *GOES_ON, *CHANGES}) >= 40


@pytest.mark.quick(5)
@pytest.mark.parametrize("how", FAILS)
def test_a_row_fails_and_says_why(how: str) -> None:
    cause, message = FAILS[how]
    with server(how) as (engine, _):
        (found,) = load(text=FILE).map(["hi"], engine=engine, on_error="collect")
    assert found.failure is not None
    assert (found.failure.cause, message in found.failure.message) == (cause, True), found.failure
    assert len(found.failure.message) < 1_000
    assert found.failure.message.isprintable()


@pytest.mark.quick(5)
@pytest.mark.parametrize("how", GOES_ON)
def test_a_row_goes_on(how: str) -> None:
    with server(how) as (engine, _):
        assert load(text=FILE)("hi", engine=engine).answer == GOES_ON[how]


@pytest.mark.quick(3)
@pytest.mark.parametrize("how", CHANGES)
def test_a_change_is_refused_until_it_is_approved(how: str) -> None:
    with server(how) as (engine, _):
        chain = load(text=FILE)
        assert chain("hi", engine=engine).answer == "hi"
        engine._session._stale = True  # as after a second without calls, or if the server says so
        for _ in range(2):
            (found,) = chain.map(["hi"], engine=engine, on_error="collect")
            assert found.failure is not None
            assert found.failure.cause == "denied"
            assert CHANGES[how] in found.failure.message
            assert "chainlang mcp approve" in found.failure.message


def test_a_server_that_floods_its_client_is_not_waited_for() -> None:
    with server("requests without end") as (engine, _):  # it reads no reply until it has ended
        (found,) = load(text=FILE).map(["hi"], engine=engine, on_error="collect")
        assert found.ok or found.failure is None or found.failure.cause == "transport"


def test_a_server_that_has_ended_is_started_again() -> None:
    with server("ends in a call") as (engine, commands):
        for _ in range(2):
            (found,) = load(text=FILE).map(["hi"], engine=engine, on_error="collect")
            assert found.failure is not None
        assert len(commands) == 2


@pytest.mark.slow
def test_a_server_whose_child_keeps_its_pipes_is_started_again() -> None:
    with server("ends with a child") as (engine, commands):
        for _ in range(2):
            (found,) = load(text=FILE).map(["hi"], engine=engine, on_error="collect")
            assert found.failure is not None
            assert found.failure.cause == "transport"
            assert "its process ended" in found.failure.message
        assert len(commands) == 2


@pytest.mark.slow
def test_a_server_that_ignores_its_end_is_killed() -> None:
    with server("ignores its end") as (engine, _):
        assert load(text=FILE)("hi", engine=engine).answer == "hi"
