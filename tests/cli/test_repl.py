"""The REPL: in a pipe, with the library of its terminal, and in a pseudo-terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chainlang.cli import main
from chainlang.cli.repl.lines import run_lines
from chainlang.cli.repl.session import Session
from chainlang.cli.repl.statements import is_whole
from chainlang.engines.fake import FakeEngine
from tests.engines.server import Answer, Server, echo, in_turn

ENGINE = FakeEngine(answers={"17 + 25": ["42", "42", "41"], "good": '{"mood": "good"}'})


@pytest.fixture
def told(monkeypatch, capsys, tmp_path):
    """Return a function that runs lines, and what they print."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def tell(*lines, session=None):
        ok = run_lines(session or Session(engine=ENGINE), [f"{line}\n" for line in lines])
        out, err = capsys.readouterr()
        return ok, out, re.sub(r"\d+\.\d s", "0.0 s", err)

    return tell


def test_a_question(told):
    assert told("3:E >> M ? What is 17 + 25?") == (
        True,
        '> 3:E >> M ? What is 17 + 25?\n42\nvotes: "42" 2, "41" 1\n',
        "3 calls, 12 prompt tokens, 3 output tokens, 0.0 s\n",
    )


def test_names_and_the_last_chain(told):
    ok, out, _ = told("x = 3:E", "$x >> M", "? What is 17 + 25?", ":show", "x = 2:E", ":show $x")
    assert ok
    assert out.count("42\n") == 1
    assert out.endswith("> :show $x\n$x\n")


def test_declarations_fields_and_files(told):
    session = Session(engine=ENGINE)
    ok, out, _ = told(
        'input { text: str, lang: str = "en" }',
        'op mood : generate -> { mood: "good" | "bad" } {',
        '  user = "{{ text }} {{ lang }}"',
        "}",
        'mood ? text="so good" lang=fr',
        ":prompt ? text=good",
        ":save a.chain",
        ":save a.chain",
        session=session,
    )
    assert ok
    assert '{"mood": "good"}' in out
    assert "[user]\ngood en" in out
    again = Session(engine=ENGINE)
    ok, out, _ = told(":load a.chain", '? {"text": "good"}', session=again)
    assert (ok, again.items, again.last) == (True, session.items, session.last)
    assert '{"mood": "good"}' in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3:E >> Q ? hi", "unknown stage type 'Q'"),
        ("3:E >> ? hi", "error["),
        ("? hi", "there is no chain yet"),
        ("3:E ?", "there is no question after the ?"),
        (":shw", "did you mean ':show'?"),
        (":load no.chain", "no.chain: no such file"),
        (":save a.txt", "saved in a .chain file"),
        (":run rows.csv", ":run takes rows and a folder"),
        (":prompt E", "a prompt needs a question"),
        ("x = 3:E >> Q", "unknown stage type 'Q'"),
        ('use "a.chain"', "write :load common.chain"),
        ("input { a: strr }", "strr"),
    ],
)
def test_an_error_ends_a_statement_and_not_the_session(told, line, message):
    ok, out, err = told(line, "E ? 17 + 25")
    assert not ok
    assert message in err
    assert out.endswith("> E ? 17 + 25\n42\n")


def test_a_warning_is_said(told):
    ok, _, err = told("E & E >> J")
    assert ok
    assert "warning[mixed-operators]" in err


def test_a_run(told):
    Path("rows.jsonl").write_text('{"query": "17 + 25"}\n')
    ok, _, err = told(
        'model f = fake("f")', "E:f", ":run rows.jsonl out --seed 1", ":run a b --sed 1"
    )
    assert ok
    assert Path("out/flattened").exists()
    assert "unknown argument --sed" in err


@pytest.mark.parametrize(
    ("text", "whole"),
    [("3:E >>", False), ("E(", False), ('op x : map { user = """a', False), ("E ? (", True)],
)
def test_where_a_statement_ends(text, whole):
    assert is_whole(text) is whole


def test_a_pipe(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(":model\n:model f\n:model\n:quit\nE ? never\n"))
    with pytest.raises(SystemExit) as ended:
        main(["repl"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "> :model\ntiny\n> :model f\n> :model\nf\n> :quit\n"


# ---------------------------------------------------------------- with prompt_toolkit


@pytest.fixture
def keys():
    """Return a function that types into a session and returns it."""
    from prompt_toolkit.history import InMemoryHistory
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    from chainlang.cli.repl.terminal import converse

    def press(text):
        session = Session(engine=ENGINE)
        with create_pipe_input() as pipe:
            pipe.send_text(text)
            converse(session, input=pipe, output=DummyOutput(), history=InMemoryHistory())
        return session

    return press


def test_typed_lines(keys, capsys):
    session = keys("x = 3:E >>\r M\r$x ? 17 + 25\r:quit\r")
    assert [name for _, name in session.items] == ["x"]
    assert "42\n" in capsys.readouterr().out


def test_a_wrong_line_is_not_taken_and_can_be_mended(keys, capsys):
    keys("E >> Q\r\x0bM ? 17 + 25\r\x04")  # the cursor is at Q, and Ctrl-K deletes from there
    out, err = capsys.readouterr()
    assert "error" not in err
    assert out.count("42\n") == 1


def test_ctrl_c_gives_up_a_line_and_ctrl_d_leaves(keys, capsys):
    keys("E >> \x03E ? 17 + 25\r\x04")
    assert "42\n" in capsys.readouterr().out


def test_completion():
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from chainlang.cli.repl.terminal import ChainCompleter

    session = Session(engine=ENGINE)
    session.execute("panel = 3:E")

    def offered(text):
        found = ChainCompleter(session).get_completions(Document(text), CompleteEvent())
        return [(one.text, one.start_position) for one in found]

    assert offered("3:E >> $p") == [("$panel", -2)]
    assert offered("E(min_") == [("min_p", -4), ("min_tokens", -4)]
    assert offered(":sh") == [("show", -2)]
    assert offered(":explain $") == [("$panel", -1)]
    assert offered("E ? $") == []


def test_the_message_while_typing():
    from prompt_toolkit.document import Document
    from prompt_toolkit.validation import ValidationError

    from chainlang.cli.repl.terminal import ChainLexer, ChainValidator

    with pytest.raises(ValidationError) as found:
        ChainValidator(Session()).validate(Document("E(max_token=5)"))
    assert found.value.cursor_position == 2
    assert found.value.message.endswith("did you mean 'max_tokens'?")
    ChainValidator(Session()).validate(Document("E >>"))  # not whole yet
    line = ChainLexer().lex_document(Document("3:E ? a 3:E\nb"))
    assert line(0)[0] == ("class:chain-count", "3")
    assert line(0)[-1] == ("", "? a 3:E")
    assert line(1) == [("", "b")]


# ---------------------------------------------------------------- without a terminal, or in one


def test_without_a_terminal_there_is_help(monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith("usage: chainlang")
    assert err.endswith("in a terminal, chainlang alone asks chains line by line\n")


PROMPT, TAKEN = "\x1b[?2004h", "\x1b[?2004l"
"""Escape sequences of prompt_toolkit at the start and at the end of reading a line."""


@pytest.mark.slow
def test_a_conversation_in_a_terminal(tmp_path):
    """Ctrl-C ends a question of 96,000 samples, and the next one is answered.

    A server is asked first and last: its request says that the question has begun, and the last
    reply never comes.
    """
    with Server(in_turn(echo, Answer(stall=3600))) as server:
        conversation(tmp_path, server)
    history = tmp_path / "chainlang" / "history"
    assert "one more" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def conversation(tmp_path, server):
    pid, handle = pty.fork()
    if pid == 0:  # pragma: no cover
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which a job in the background ignores
        os.chdir(tmp_path)
        os.environ |= {"XDG_STATE_HOME": str(tmp_path), "TERM": "xterm"}
        os.execv(sys.executable, [sys.executable, "-m", "chainlang"])
    seen = ""

    def until(text):
        nonlocal seen
        end = time.monotonic() + 120
        while text not in seen:
            assert time.monotonic() < end, seen
            if select.select([handle], [], [], 0.5)[0]:
                seen += os.read(handle, 65536).decode(errors="replace")
        seen = seen.partition(text)[2]

    try:
        until("Ctrl-D leaves")
        until(PROMPT)
        os.write(handle, b'model f = fake("f")\r')
        os.write(handle, f'model s = openai("s", base_url="{server.url}")\r'.encode())
        many = "loop(400:E:f, until=\"answer == 'x'\", max=240)"
        os.write(handle, f"E:s >> {many} >> J:s ? on and on\r".encode())
        until("on and on")
        until(TAKEN)
        server.wait_for(lambda: bool(server.bodies))
        time.sleep(0.5)  # so that it comes among the samples, if this process is not held up
        os.kill(pid, signal.SIGINT)
        until("interrupted")
        until(PROMPT)
        os.write(handle, b"E:f ? one more\r")
        until("1 call, ")
        until(PROMPT)  # before it, the terminal itself takes Ctrl-D as the end of an empty line
        os.write(handle, b"\x04")
        end = time.monotonic() + 120
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            assert time.monotonic() < end, "Ctrl-D ends it"
            time.sleep(0.1)
        assert os.waitstatus_to_exitcode(ended[1]) == 0
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(handle)


def test_without_the_library_it_says_what_to_install(tmp_path):
    program = (
        "import sys; sys.modules['prompt_toolkit'] = None\n"
        "from chainlang.cli import main, repl\n"
        "repl.is_interactive = lambda: True\n"
        "main(['repl'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert "pip install 'chainlang[repl]'" in done.stderr
