"""What becomes of a program, in each sandbox alike."""

from __future__ import annotations

import threading

import pytest

from chainlang.sandboxes.program import NOW, Program, Run, Sandbox, as_json_value

LONG = 120.0
"""Seconds that no program here takes which ends by itself."""


def ran(box: Sandbox, source: str, **more: object) -> Run:
    return box.run(Program(source=source, **{"seconds": LONG, **more}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "run"),
    [
        ("", Run(True)),
        ("x = 2", Run(True)),
        ("x = 2\nx + 3", Run(True, 5)),
        ("print('a')\nprint('b')", Run(True, None, "a\nb\n")),
        ("(1, [2.5, {'a': None}], True)", Run(True, [1, [2.5, {"a": None}], True])),
        ("2 ** 100", Run(True, 2**100)),
        ("'é\\n'", Run(True, "é\n")),
        ("{1}", Run(True, None, "", "the value is left out: a set is no JSON value")),
        ("{1: 2}", Run(True, None, "", "the value is left out: a dict is no JSON value")),
        ("float('nan')", Run(True, None, "", "the value is left out: nan is no JSON number")),
        (
            "print('a')\n1 / 0",
            Run(False, None, "a\n", "ZeroDivisionError: division by zero (line 2)"),
        ),
        (
            "def f():\n    return y\n\nf()",
            Run(False, None, "", "NameError: name 'y' is not defined (line 2)"),
        ),
        ("raise ValueError('a\\nb')", Run(False, None, "", "ValueError: a\nb (line 1)")),
    ],
)
def test_a_program_has_a_value_and_an_output_or_an_error(
    box: Sandbox, source: str, run: Run
) -> None:
    assert ran(box, source) == run


def test_a_program_that_is_no_python_has_an_error_with_its_line(box: Sandbox) -> None:
    found = ran(box, "x = 1\ndef (")
    assert not found.ok
    assert found.error is not None
    assert found.error.startswith("SyntaxError: ")
    assert found.error.endswith("(line 2)")


def test_tests_run_after_the_program_in_its_namespace(box: Sandbox) -> None:
    source = "def double(n):\n    return 2 * n\n\ndouble(4)"
    assert ran(box, source, tests="assert double(3) == 6\nprint('fine')") == Run(True, 8, "fine\n")
    found = ran(box, source, tests="assert double(3) == 6\nassert double(3) == 7")
    assert not found.ok
    assert found.error is not None
    assert found.error.startswith("AssertionError")
    assert found.error.endswith("(line 2 of the tests)")


def test_inputs_are_variables_and_never_source(box: Sandbox) -> None:
    given = {"n": 3, "text": "'); 1/0 #", "table": {"a": [1, None]}}
    assert ran(box, "[n, text, table['a']]", inputs=given).value == [3, "'); 1/0 #", [1, None]]


def test_a_program_that_takes_too_long_is_ended(box: Sandbox) -> None:
    found = ran(box, "print('a')\nwhile True: pass", seconds=0.3)
    assert found.error == "TimeoutError: it took longer than 0.3 seconds"
    assert not found.ok


def test_tests_have_as_much_time_as_the_program(box: Sandbox) -> None:
    found = ran(box, "x = 1", tests="while True: pass", seconds=0.3)
    assert found.error == "TimeoutError: it took longer than 0.3 seconds"


@pytest.mark.slow
def test_a_program_that_prints_too_much_is_ended_with_what_fits(box: Sandbox) -> None:
    # Some sandboxes end it with its time: it prints in the first millisecond of that.
    found = ran(box, "while True: print('y' * 99)", output=1000, seconds=4.0)
    assert found.error == "the output has more than 1000 characters"
    assert len(found.stdout) == 1000


def test_a_value_that_is_too_long_is_left_out(box: Sandbox) -> None:
    found = ran(box, "'y' * 2000", output=1000)
    assert found == Run(True, None, "", "the value is left out: more than 1000 characters")


def test_a_program_that_needs_too_much_memory_has_an_error(box: Sandbox) -> None:
    found = ran(box, "x = [0] * 10**9\nlen(x)", memory=128)
    assert not found.ok
    assert found.error is not None
    assert found.error.startswith("MemoryError")


def test_clocks_stand_still_and_random_numbers_come_from_the_seed(box: Sandbox) -> None:
    source = (
        "import random, time, datetime\ntime.sleep(100)\n"
        "[time.time(), str(datetime.datetime.now()), str(datetime.date.today()),"
        " time.monotonic() - time.monotonic(), random.random(), random.randint(0, 10**9)]"
    )
    one, again, other = (ran(box, source, seed=seed) for seed in (7, 7, 8))
    assert one == again
    assert one.value[:4] == [NOW, "2026-01-01 00:00:00", "2026-01-01", 0]
    assert one.value[4:] != other.value[4:]


def test_sets_have_one_order_in_each_process(box: Sandbox) -> None:
    source = "list({'a', 'bc', 'def', 'g', 'hi', 'jkl'})"
    assert ran(box, source).value == ran(box, source).value


def test_programs_do_not_see_each_other(box: Sandbox) -> None:
    ran(box, "x = 5\nimport json\njson.dumps = None")
    assert not ran(box, "x").ok
    assert ran(box, "import json\njson.dumps([1])").value == "[1]"


def test_threads_may_run_programs_at_once(box: Sandbox) -> None:
    found: dict[int, object] = {}

    def work(number: int) -> None:
        found[number] = ran(box, "n * n", inputs={"n": number}).value

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == {number: number * number for number in range(8)}


def test_lone_surrogates_are_replaced() -> None:
    assert as_json_value({"a\ud800": "\ud800b"}) == {"a?": "?b"}
