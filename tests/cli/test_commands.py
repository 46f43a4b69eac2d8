"""The command line, where a case in a file can't show it: streams, terminals, signals, files."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import chainlang
from chainlang.cli import main
from chainlang.diagnostics.diagnostic import LINTS
from chainlang.errors import ERRORS

PLAIN = "main = 3:E >> M\n"
DOUBTFUL = "main = E & E >> J\n"
BROKEN = "main = 3:E >> Q\n"
CRAMPED = "main=3:E>>M   # vote\n"


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write a file into the working folder, and return its path."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="a.chain"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def run(capsys):
    """Run a command in this process; return its status, stdout and stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        code = caught.value.code
        return 0 if code is None else code, *capsys.readouterr()

    return call


def spawn(*arguments, **options):
    """Run ``python -m chainlang`` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "chainlang", *arguments],
        capture_output=True,
        check=False,
        timeout=120,
        **options,
    )


# ---------------------------------------------------------------- exit statuses


@pytest.mark.parametrize(
    ("text", "options", "status"),
    [
        (PLAIN, [], 0),
        (PLAIN, ["--strict"], 0),
        (DOUBTFUL, [], 0),
        (DOUBTFUL, ["--strict"], 1),
        (BROKEN, [], 2),
        (BROKEN, ["--strict"], 2),
        (b"main = E \xff", [], 2),
    ],
)
def test_status_of_check(run, file, text, options, status):
    code, out, err = run("check", *options, file(text))
    assert (code, out) == (status, "")
    assert "1 file: " in err


def test_the_worst_file_decides(run, file):
    code, _, err = run("check", file(PLAIN), file(DOUBTFUL, "b.chain"), file(BROKEN, "c.chain"))
    assert code == 2
    assert err.endswith("3 files: 1 error, 1 warning\n")


@pytest.mark.parametrize(
    ("text", "options", "status"),
    [
        ("main = 3:E >> M\n", ["--check"], 0),
        (CRAMPED, ["--check"], 1),
        (CRAMPED, [], 0),
        ("main = (", [], 2),
        ("main = (", ["--check"], 2),
    ],
)
def test_status_of_fmt(run, file, text, options, status):
    assert run("fmt", *options, file(text))[0] == status


@pytest.mark.parametrize(("text", "status"), [("3:E >> M", 0), ("E & E >> J", 0), ("3:E >>", 2)])
def test_status_of_show(run, text, status):
    assert run("show", text)[0] == status


@pytest.mark.parametrize(
    "arguments", [[], ["run"], ["check"], ["show"], ["show", "E", "--as", "poem"], ["fmt", "--x"]]
)
def test_wrong_arguments_are_bad_input(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: chainlang")


def test_an_interrupt_ends_with_130(monkeypatch, run):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("chainlang.cli.show.read_chain", interrupt)
    monkeypatch.setattr("chainlang.cli.interrupt.LONGEST", 600)  # it would end this process
    assert run("show", "E") == (130, "", "interrupted\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_ends_with_130():
    program = (
        "import sys; from types import SimpleNamespace; from chainlang.cli import main\n"
        "read = sys.stdin.buffer.read\n"
        "waiting = SimpleNamespace(read=lambda: print('ready', flush=True) or read())\n"
        "sys.stdin = SimpleNamespace(buffer=waiting)\n"
        "main(['fmt', '-'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, b"interrupted\n")


def test_an_interrupted_evaluation_says_how_to_go_on(monkeypatch, run, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("qa.chain").write_text('model f = fake("f")\nmain = E:f >> @stop')
    Path("stop.py").write_text(
        "_calls = []\n"
        "def stop(answer):\n"
        "    _calls.append(answer)\n"
        "    if len(_calls) == 5:\n"
        "        raise KeyboardInterrupt\n"
        "    return answer\n"
    )
    Path("rows.csv").write_text("query,gold\n" + "".join(f"q{one},1\n" for one in range(40)))
    monkeypatch.setattr("chainlang.cli.interrupt.LONGEST", 600)
    code, out, err = run(
        *("eval", "qa.chain", "-i", "rows.csv", "--target", "gold", "-o", "kept"),
        *("--functions", "stop.py"),
    )
    assert (code, out) == (130, "")
    assert err.startswith("interrupted: ")
    assert err.endswith("to resume, run the same command again\n")


# ---------------------------------------------------------------- what is written


@pytest.mark.parametrize("command", [[], ["check"], ["fmt"], ["show"]])
def test_help_says_what_there_is(run, command):
    code, out, err = run(*command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith("usage: chainlang")
    assert "``" not in out


def test_version(run):
    assert run("--version") == (0, f"chainlang {chainlang.__version__}\n", "")


def test_findings_as_json(run, file):
    broken = file(DOUBTFUL + "x = 0:E(top_p=2)\ny = fallbac(E, E)\n")
    code, out, err = run("check", "--json", broken, "missing.chain")
    assert (code, err) == (2, "")
    found = json.loads(out)
    assert len(found) >= 4
    for one in found:
        code = one["code"]
        assert one["severity"] == ("warning" if code in LINTS else "error")
        assert code in LINTS or code in ERRORS
        assert isinstance(one["message"], str)
        assert one["hint"] is None or isinstance(one["hint"], str)
        keys = {"severity", "code", "message", "hint", "kind", "subject", "known", "setting"}
        assert one["subject"] not in one["known"]
        if code == "file":  # the file that is missing has no places
            assert one.keys() == keys
            continue
        assert one.keys() - {"replacement"} == keys | {"file", "start", "end"}
        assert one["file"] == str(broken)
        for end in ("start", "end"):
            assert one[end].keys() == {"offset", "line", "column"}
            lines = broken.read_text()[: one[end]["offset"]].split("\n")
            assert (one[end]["line"], one[end]["column"]) == (len(lines), len(lines[-1]) + 1)


def test_no_findings_are_an_empty_list(run, file):
    assert run("check", "--json", file(PLAIN)) == (0, "[]\n", "")


def test_errors_of_show_as_json(run):
    code, out, err = run("show", "--json", "E >> Q")
    assert (code, err) == (2, "")
    assert [one["code"] for one in json.loads(out)] == ["unknown-name"]


def test_warnings_of_show_leave_stdout_to_the_chain(run):
    code, out, err = run("show", "--json", "--as", "json", "E | J")
    assert code == 0
    assert json.loads(out)["chainlang"] == 1
    assert err.startswith("warning[branch-like-pipe]")


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("tree", "then\n├─ E  ×3\n└─ M\n"),
        ("notation", "3:E >> M\n"),
        ("python", "E(count=3) >> M\n"),
        ("mermaid", "flowchart LR\n"),
        ("json", '{"chainlang": 1, '),
    ],
)
def test_every_form_of_show(run, file, form, start):
    code, out, err = run("show", "--as", form, "3:E>>M")
    assert (code, err) == (0, "")
    assert out.startswith(start)
    of_file = run("show", "--as", form, file("panel = 3:E\nmain = $panel >> M\n"))
    assert of_file[0] == 0
    assert "panel" in of_file[1]


def test_a_text_is_a_file_only_if_it_ends_like_one(run, file):
    file("main = J\n", "E")
    assert run("show", "E")[1] == "E\n"
    assert run("show", "é" * 200)[0] == 2
    assert "no such file" in run("show", "E.chain")[2]


# ---------------------------------------------------------------- colours


def on_terminal(*arguments, **environment):
    """Run a command with stderr on a terminal, and return what it wrote there."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "chainlang", *arguments],
        stderr=theirs,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        check=False,
        timeout=120,
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # the end, as Linux reports it
        while part := os.read(ours, 4096):
            written += part
    os.close(ours)
    assert done.returncode == 2
    return written


@pytest.mark.slow
def test_colours_on_a_terminal_and_nowhere_else():
    assert b"\x1b[1;31merror[unknown-name]\x1b[0m" in on_terminal("show", "Q")
    assert b"\x1b" not in on_terminal("show", "Q", NO_COLOR="1")
    assert b"\x1b" not in on_terminal("show", "Q", TERM="dumb")
    assert b"\x1b" not in spawn("show", "Q").stderr
    assert b"\x1b" in spawn("show", "Q", env={**os.environ, "FORCE_COLOR": "1"}).stderr


def test_a_text_can_not_act_on_the_terminal(run):
    _, out, err = run("show", 'E:"\x1b[2J" >> Q\x1b[31m')
    assert "\x1b" not in out + err


# ---------------------------------------------------------------- files


def test_fmt_writes_in_place_and_says_so(run, file):
    path = file(CRAMPED)
    assert run("fmt", path) == (0, "", f"formatted {path}\n")
    assert path.read_text() == "main = 3:E >> M  # vote\n"
    assert run("fmt", path) == (0, "", "")


def test_fmt_check_writes_nothing(run, file):
    path = file(CRAMPED)
    assert run("fmt", "--check", path) == (1, "", f"would format {path}\n")
    assert path.read_text() == CRAMPED


@pytest.mark.parametrize("text", ["main = E\r\n", "\ufeffmain = E\n", "main = E"])
def test_fmt_mends_line_ends_and_marks(run, file, text):
    path = file(text)
    assert run("fmt", "--check", path)[0] == 1
    run("fmt", path)
    assert path.read_bytes() == b"main = E\n"


@pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")
def test_fmt_keeps_mode_and_link(run, file):
    path = file(CRAMPED)
    path.chmod(0o640)
    link = path.with_name("link.chain")
    link.symlink_to(path.name)
    assert run("fmt", link)[0] == 0
    assert link.is_symlink()
    assert path.read_text() == "main = 3:E >> M  # vote\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_fmt_leaves_the_old_text_or_the_new_one(run, file, monkeypatch):
    path = file(CRAMPED)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    code, _, err = run("fmt", path)
    assert code == 2
    assert "No space left on device" in err
    assert path.read_text() == CRAMPED
    assert list(path.parent.iterdir()) == [path]


def test_a_run_that_a_full_disk_stops_is_resumed_by_the_same_command(run, file, monkeypatch):
    file('{"query": "a"}\n{"query": "b"}\n', "rows.jsonl")
    chain = file('model tiny = fake("tiny")\nmain = E\n')
    command = ("run", chain, "-i", "rows.jsonl", "-o", "out")

    def fail(*_):
        raise OSError(28, "No space left on device")

    for full in (True, False):
        with monkeypatch.context() as patch:
            if full:
                patch.setattr(os, "fsync", fail)
            code, _, err = run(*command)
        assert code == (3 if full else 0)
        assert ("make room on the disk, then run the same command again" in err) is full


def test_fmt_goes_on_after_a_broken_file(run, file):
    broken, cramped = file("main = (", "a.chain"), file(CRAMPED, "b.chain")
    code, _, err = run("fmt", broken, cramped)
    assert code == 2
    assert "error[unclosed]" in err
    assert cramped.read_text() == "main = 3:E >> M  # vote\n"
    assert broken.read_text() == "main = ("


@pytest.mark.parametrize("command", ["check", "fmt", "show"])
def test_files_that_can_not_be_read(run, file, tmp_path, command):
    (tmp_path / "folder.chain").mkdir()
    file(b"\xffmain = E\n", "latin.chain")
    for name, words in [
        ("missing.chain", "missing.chain: no such file"),
        ("folder.chain", "folder.chain: is a folder"),
        ("latin.chain", "is not UTF-8"),
    ]:
        code, out, err = run(command, tmp_path / name)
        assert (code, out) == (2, "")
        assert words in err
        assert "error[file]" in err


# ---------------------------------------------------------------- streams


@pytest.mark.slow
def test_stdin_is_formatted_to_stdout():
    done = spawn("fmt", "-", input=b"# \xc3\xa9\r\nmain=3:E>>M", env={**os.environ, "LC_ALL": "C"})
    assert (done.returncode, done.stdout) == (0, b"# \xc3\xa9\nmain = 3:E >> M\n")
    checked = spawn("fmt", "--check", "-", input=b"main=E")
    assert (checked.returncode, checked.stdout) == (1, b"")
    latin = spawn("fmt", "-", input=b"main = E # \xff")
    assert (latin.returncode, latin.stdout) == (2, b"")
    assert b"<stdin>: byte 0xff is not UTF-8" in latin.stderr


@pytest.mark.slow
def test_a_terminal_without_unicode_gets_escapes():
    done = spawn("show", "E >> M", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stdout.split() == [rb"then", rb"\u251c\u2500", b"E", rb"\u2514\u2500", b"M"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.parametrize("text", ["E >> M", " >> ".join(["E"] * 9000)])
def test_a_broken_pipe_is_quiet(text):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "chainlang", "show", text],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=120,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_the_script_and_the_module_are_one():
    script = Path(sys.executable).with_name("chainlang")
    if not script.exists():
        pytest.skip("the package is not installed here")
    done = subprocess.run([script, "--version"], capture_output=True, check=True, timeout=120)
    assert done.stdout == spawn("--version").stdout


def test_a_folder_that_was_removed_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SystemExit) as stopped:
        main(["ask", "E:f", "hi", "--models", 'f=fake("f")'])
    assert stopped.value.code == 2
    assert "the current folder can't be read: No such file or directory" in capsys.readouterr().err
