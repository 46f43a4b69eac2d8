"""Script that runs inside the namespaces of bubblewrap: it sets limits, then runs one program.

The whole file is passed to ``python -c``, so it imports the standard library alone. Its input is a
JSON object. Its result is a line of JSON on a descriptor of its own, after a tag that the program
is not given, so that nothing that a program prints is taken for a result.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import json
import os
import resource
import sys
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False)


def main() -> None:
    """Run the program on standard input."""
    asked = json.loads(sys.stdin.buffer.read())
    tag = asked.pop("tag")
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 2)
    report = os.fdopen(int(sys.argv.pop()), "wb", buffering=0)
    sys.stdin, sys.stderr = open(0, encoding="utf-8", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    sys.path[:] = [one for one in sys.path if one]
    _stand_still(asked["now"], asked["seed"])
    _limit(asked)
    # What the program may replace is looked up before it runs.
    write, getpid, leave, encode = report.write, os.getpid, os._exit, json.JSONEncoder().encode
    own, flush = getpid(), sys.stdout.flush

    def begin_tests() -> None:
        if getpid() == own:
            write(f"{tag} tests\n".encode())

    write(f"{tag} begin\n".encode())
    found = _run(asked, begin_tests)
    with contextlib.suppress(OSError, ValueError):
        flush()
    if getpid() == own:  # else a fork, which has come to the end of the program too
        write(f"{tag} {encode(found)}\n".encode())
    leave(0)  # threads and handlers of the program do not matter any more


def _limit(asked: dict[str, Any]) -> None:
    """Set the limits, which hold for all processes of the program and can't be raised."""
    seconds, size = int(asked["seconds"] * 2) + 2, asked["memory"] << 20
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, asked["file_size"]),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, asked["processes"]),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_AS, size),
    ):
        resource.setrlimit(what, (most, most))


def _stand_still(now: int, seed: int) -> None:
    """Stop the clocks that programs read, and seed the random numbers that they draw."""
    import datetime
    import random
    import time

    def instead(module: Any, **functions: Any) -> None:
        for name, function in functions.items():
            setattr(module, name, function)

    real = {name: getattr(time, name) for name in ("gmtime", "localtime", "ctime", "strftime")}
    instead(
        time,
        time=lambda: float(now),
        time_ns=lambda: now * 10**9,
        monotonic=lambda: float(now),
        monotonic_ns=lambda: now * 10**9,
        perf_counter=lambda: float(now),
        perf_counter_ns=lambda: now * 10**9,
        process_time=lambda: 0.0,
        process_time_ns=lambda: 0,
        thread_time=lambda: 0.0,
        thread_time_ns=lambda: 0,
        sleep=lambda _seconds: None,
        gmtime=lambda at=None: real["gmtime"](now if at is None else at),
        localtime=lambda at=None: real["localtime"](now if at is None else at),
        ctime=lambda at=None: real["ctime"](now if at is None else at),
        strftime=lambda form, at=None: real["strftime"](
            form, real["gmtime"](now) if at is None else at
        ),
    )
    moment = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).replace(tzinfo=None)  # noqa: UP017  # of Python 3.11

    class StillDate(datetime.date):
        @classmethod
        def today(cls) -> Any:
            return cls(moment.year, moment.month, moment.day)

    class StillDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(now, tz) if tz else cls.fromtimestamp(now)

        @classmethod
        def utcnow(cls) -> Any:
            return cls(*moment.timetuple()[:6])

        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(now)

    for kind, name in ((StillDate, "date"), (StillDatetime, "datetime")):
        kind.__name__ = kind.__qualname__ = name
        kind.__module__ = "datetime"
        setattr(datetime, name, kind)

    source = random.Random(seed)  # noqa: S311

    class SeededRandom(random.Random):
        def __init__(self, x: Any = None) -> None:
            super().__init__(source.getrandbits(64) if x is None else x)

    entropy = random.Random(seed ^ 1)  # noqa: S311
    urandom = entropy.randbytes
    os.urandom = random._urandom = urandom  # type: ignore[attr-defined]
    random.Random = SeededRandom  # type: ignore[misc]
    random.seed(seed)


def _run(asked: dict[str, Any], begin_tests: Any) -> dict[str, Any]:
    """Return the value of a program, or its error with the line that it is in."""
    module = type(sys)("__main__")
    sys.modules["__main__"] = module
    names = module.__dict__
    names.update(asked["inputs"], __builtins__=builtins)
    value, where = None, "program"
    try:
        tree = ast.parse(asked["source"], "<program>")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<program>", "exec"), names)  # noqa: S102
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<program>", "eval"), names)  # noqa: S307
        if asked["tests"]:
            where = "tests"
            begin_tests()
            exec(compile(asked["tests"], "<tests>", "exec"), names)  # noqa: S102
        return _told(value, asked["output"])
    except BaseException as error:  # noqa: BLE001  # whatever a program raises is its error
        return _error(error, where)


def _told(value: Any, most: int) -> dict[str, Any]:
    try:
        made = _as_json(value)
        if len(_ENCODER.encode(made)) > most:
            return {"left_out": f"more than {most} characters"}
        return {"value": made}
    except ValueError as error:
        return {"left_out": str(error)}
    except RecursionError:
        return {"left_out": "it is nested too deeply"}


def _as_json(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        if value - value == 0:
            return value
        raise ValueError(f"{value} is no JSON number")
    if kind in (list, tuple):
        return [_as_json(one) for one in value]
    if kind is dict and all(type(name) is str for name in value):
        return {name: _as_json(one) for name, one in value.items()}
    raise ValueError(f"a {kind.__name__} is no JSON value")


def _error(error: BaseException, where: str) -> dict[str, Any]:
    line, frame = 0, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == f"<{where}>":
            line = frame.tb_lineno
        frame = frame.tb_next
    if isinstance(error, SyntaxError):
        said, line = str(error.msg), error.lineno or 0
    else:
        try:
            said = str(error)
        except BaseException:  # noqa: BLE001  # its own text may fail
            said = ""
    name = type(error).__name__
    return {"error": (f"{name}: {said}" if said else name)[:2000], "line": line, "where": where}


if __name__ == "__main__":
    main()
