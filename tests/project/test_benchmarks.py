"""Every table of the benchmarks can be made, at sizes that say nothing of speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import workloads
from benchmarks.__main__ import README, TABLES, main
from benchmarks.chains import OPS
from chainlang import load
from chainlang.ir.declarations import Op
from chainlang.semantics.prelude import prelude
from tests.laws import few_of

ON_VLLM = (
    "grammars",
    "votes",
    "workloads",
    "real_workloads",
    "cache",
    "ensemble",
    "first_result",
    "long_queries",
    "described",
)
"""Tables on vLLM. Most start it anew in processes of their own, so `make test` makes two."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [one for one in TABLES if one not in ON_VLLM])
def test_a_table_can_be_made(
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    made(name, capsys, monkeypatch, tmp_path)


@pytest.mark.slow
@pytest.mark.vllm
@few_of("name", 2, ON_VLLM)
def test_a_table_of_vllm_can_be_made(
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    made(name, capsys, monkeypatch, tmp_path)


def made(
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # Those that ask a server take minutes, and are not there where tests usually run.
    monkeypatch.setattr(workloads, "THEIRS", tmp_path / "python")
    before = README.read_text(encoding="utf-8")
    main(["--quick", name])
    shown = capsys.readouterr().out
    table = shown.split(f"## {name}\n")[1]
    assert "|---" in table.replace("| ", "|")
    assert README.read_text(encoding="utf-8") == before


def test_every_table_has_its_place() -> None:
    page = README.read_text(encoding="utf-8")
    for name in TABLES:
        assert page.count(f"<!-- begin: {name} -->") == page.count(f"<!-- end: {name} -->") == 1


@pytest.mark.parametrize(("name", "of"), [("draft", "E"), ("judge", "J"), ("verify", "V")])
def test_ops_of_workloads_have_the_prompts_of_the_prelude(name: str, of: str) -> None:
    made = load(text=f"{OPS[name]}main = {name}")
    (op,) = made.items
    assert isinstance(op, Op)
    assert setting(op, "user") == setting(prelude()[of], "user")


def setting(op: Op, name: str) -> object:
    return next(one.value for one in op.settings if one.name == name)
