"""The report of the long run: a row for each suite, which it keeps until it runs again."""

from __future__ import annotations

from tests.soak import ALONE, ROOT, SUITES, Result, Size, page, row, rows_of


def a_row(name: str, counted: str, status: int = 0) -> str:
    size = Size(0.5, "ab12")
    return row(Result(name, "python", size.scale, status, 90.0, counted), size, "0123abc")


def test_suites_that_are_not_run_keep_their_rows() -> None:
    rows = {"kills": a_row("kills", "4 kills | 2 runs"), "laws on vLLM": a_row("laws on vLLM", "6")}
    before = "\n".join(page(rows, []))
    assert "| 0.5 | 4 kills \\| 2 runs | 0123abc, " in before
    assert rows_of(before) == rows
    failed = Result("kills", "python -m tests.crash", 0.5, 1, 90.0, "seed ab12\nit lost a row")
    after = "\n".join(page({**rows, "kills": a_row("kills", "it lost a row", 1)}, [failed]))
    assert rows_of(after)["laws on vLLM"] == rows["laws on vLLM"]
    assert rows_of(after)["kills"].endswith("| 1.5 | failed |")
    assert "$ python -m tests.crash\nseed ab12\nit lost a row\n" in after


def test_laws_that_are_suites_have_their_files() -> None:
    for name in ALONE:
        (file,) = (one for one in SUITES[name].arguments(Size(1, "0")) if one.endswith(".py"))
        assert (ROOT / file).is_file()
