"""Every table of the benchmarks can be made, at sizes that say nothing of speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import workloads
from benchmarks.__main__ import README, TABLES, main


@pytest.mark.slow
def test_the_tables_can_be_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Those that ask a server take minutes, and are not there where tests usually run.
    monkeypatch.setattr(workloads, "THEIRS", tmp_path / "python")
    before = README.read_text(encoding="utf-8")
    main(["--quick"])
    shown = capsys.readouterr().out
    for name in TABLES:
        table = shown.split(f"## {name}\n")[1].split("\n## ")[0]
        assert "|---" in table.replace("| ", "|")
    assert README.read_text(encoding="utf-8") == before


def test_every_table_has_its_place() -> None:
    page = README.read_text(encoding="utf-8")
    for name in TABLES:
        assert page.count(f"<!-- begin: {name} -->") == page.count(f"<!-- end: {name} -->") == 1
