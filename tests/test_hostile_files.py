"""A `.chain` file is data: a hostile one is refused or bounded, and the error names the rule."""

from __future__ import annotations

import re
import resource
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from chainlang import ChainlangError, ChainlangWarning, load
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Request
from tests.cases import Case, cases, each_case

SECRET = "canary-5f1c"
FILES = "hostile/*.cases"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside a secret, in a process whose environment holds secrets."""
    (tmp_path / "secret.chain").write_text(f'secret = E("{SECRET}")\nx = E("{SECRET}")\n')
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "HOME"):
        monkeypatch.setenv(name, SECRET)
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    return inside


@each_case(FILES)
def test_a_hostile_file_is_refused_or_bounded(
    case: Case, folder: Path, golden: Callable[[Case, str], None]
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = case.files(folder)
    prompts: list[str] = []

    def heard(request: Request, sample: int) -> str | None:
        prompts.append(request.messages[-1].text)
        return None if request.schema else "a"

    engine = FakeEngine(answers=heard)
    # Where it names a model, that is opened: no engine stands in for what it would reach.
    own = {} if "model " in case.text else {"engine": engine}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainlangWarning)
        try:
            load(path)("q", **own)
        except ChainlangError as error:
            found = str(error)
        else:
            found = "runs, and asks: " + " ".join(prompts)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400_000, "kilobytes"
    assert SECRET not in found
    golden(case, re.sub(r"(/[\w.-]+)+/a/b", "", found).replace(str(folder), ""))


def test_there_are_forty() -> None:
    assert len(cases(FILES)) >= 40
