"""Runs that go on after `max_tokens` or the context was raised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chainlang import load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SourceError
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Completion, Failure, Fingerprint, Request
from chainlang.session.sample_cache import close_caches
from chainlang.session.summary import Summary
from tests.laws import seeds
from tests.store.test_folder import files

ROWS = [{"id": f"r{number}", "query": "long " * number} for number in range(1, 9)]
"""Prompts of two tokens and more."""
TYPED = """
op note : generate -> {{ text: str }} {{
  user = "Note: {{{{ query }}}}" describe = "none"{bound}
}}
main = 2:note::0.7 >> M
"""


def reply(request: Request, index: int) -> str:
    """Return a JSON object of 6 to 18 tokens."""
    return json.dumps({"text": "x" * (12 + (request.seed + index) % 50)})


class Counting(FakeEngine):
    """An engine that counts samples, by whether they were cut."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(answers=reply, **settings)
        self.cut, self.whole = 0, 0

    def complete(self, request: Request) -> Completion | Failure:
        found = super().complete(request)
        if isinstance(found, Completion):
            cut = sum(one.finish == "length" for one in found.samples)
            self.cut, self.whole = self.cut + cut, self.whole + len(found.samples) - cut
        return found

    @property
    def drawn(self) -> int:
        return self.cut + self.whole


def ran(path: Path, engine: FakeEngine, bound: int | None = None, **settings: Any) -> Summary:
    """Run a typed op over the rows, with a `max_tokens`."""
    text = TYPED.format(bound="" if bound is None else f"\n max_tokens = {bound}")
    return load(text=text).run(ROWS, path, engine=engine, **settings)


def tables(path: Path) -> dict[str, bytes]:
    """Return the tables of a run."""
    return {name: data for name, data in files(path).items() if name.endswith(".jsonl")}


@pytest.mark.parametrize("retry", [False, True], ids=["rerun", "retry_failed"])
def test_more_tokens_resample_what_was_cut(tmp_path: Path, retry: bool) -> None:
    narrow, wide = Counting(), Counting()
    assert 0 < ran(tmp_path / "run", narrow, 10).failed < len(ROWS)
    summary = ran(tmp_path / "run", wide, 100, retry_failed=retry)
    assert (summary.failed, wide.cut, wide.whole) == (0, 0, narrow.cut)
    assert summary.recorded == narrow.whole
    ran(tmp_path / "fresh", Counting(), 100)
    assert tables(tmp_path / "run") == tables(tmp_path / "fresh")
    assert ran(tmp_path / "run", again := Counting(), 100).failed == again.drawn == 0


@pytest.mark.parametrize("retry", [False, True], ids=["rerun", "retry_failed"])
def test_a_larger_context_runs_the_rows_that_were_too_long(tmp_path: Path, retry: bool) -> None:
    narrow, wide = Counting(context=22), Counting(context=100)
    assert 0 < ran(tmp_path / "run", narrow).failed < len(ROWS)
    summary = ran(tmp_path / "run", wide, retry_failed=retry)
    assert (summary.failed, wide.drawn) == (0, 2 * len(ROWS) - narrow.whole)
    assert summary.recorded == narrow.whole > 0
    assert (
        json.loads((tmp_path / "run" / "metadata.json").read_text())["models"]["tiny"][
            "fingerprint"
        ]["context"]
        == 100
    )


def test_fewer_tokens_keep_what_fits(tmp_path: Path) -> None:
    ran(tmp_path, wide := Counting(), 100)
    ran(tmp_path, narrow := Counting(), 10)
    assert (narrow.whole, narrow.cut + wide.whole) == (0, narrow.cut + 2 * len(ROWS))
    assert 0 < narrow.cut < 2 * len(ROWS)


def test_a_cut_reply_at_the_same_bounds_is_retried_under_another_key(tmp_path: Path) -> None:
    first = Counting()
    failed = ran(tmp_path, first, 10).failed
    ran(tmp_path, again := Counting(), 10, retry_failed=True)
    assert again.drawn == 2 * failed


def test_bounds_of_a_model_item_make_no_other_run(tmp_path: Path) -> None:
    def text(size: int) -> str:
        return f'model m = openai("m", max_model_len={size})\nmain = E:m'

    for size in (100, 200):
        load(text=text(size)).run(ROWS, tmp_path, engine=(engine := FakeEngine()))
    assert engine.submitted == 0


def test_another_option_beside_a_bound_is_another_run(tmp_path: Path) -> None:
    ran(tmp_path, Counting(), 10)
    text = TYPED.format(bound="\n max_tokens = 99\n top_p = 0.5")
    with pytest.raises(SourceError, match="different run"):
        load(text=text).run(ROWS, tmp_path, engine=Counting())


def test_a_cache_serves_other_bounds(tmp_path: Path) -> None:
    cache: dict[str, Any] = {"cache": "write", "cache_folder": tmp_path / "cache"}
    ran(tmp_path / "narrow", narrow := Counting(), 10, **cache)
    close_caches()
    summary = ran(tmp_path / "wide", wide := Counting(), 100, **cache)
    close_caches()
    assert (wide.drawn, summary.cached) == (narrow.cut, narrow.whole)


@seeds(20)
def test_raised_bounds_resample_exactly_what_was_cut(tmp_path: Path, seed: int) -> None:
    first, more = 6 + seed % 12, 1 + seed % 7
    narrow, wide = Counting(), Counting()
    ran(tmp_path / "run", narrow, first, seed=seed)
    summary = ran(tmp_path / "run", wide, first + more, seed=seed)
    assert (wide.drawn, summary.recorded) == (narrow.cut, narrow.whole)
    ran(tmp_path / "fresh", Counting(), first + more, seed=seed)
    assert tables(tmp_path / "run") == tables(tmp_path / "fresh")


# ---------------------------------------------------------------- engines of other versions


class Later(FakeEngine):
    """An engine of another version: other entries of its description."""

    def __init__(self, **said: bool) -> None:
        super().__init__()
        self.said = said

    @property
    def capabilities(self) -> Capabilities:
        return evolve(super().capabilities, **self.said)


class Described(FakeEngine):
    """An engine with another fingerprint."""

    def __init__(self, said: Fingerprint) -> None:
        super().__init__()
        self.said = said

    @property
    def fingerprint(self) -> Fingerprint:
        return self.said


@pytest.mark.parametrize("name", ["token_ids", "priorities", "deadlines"])
def test_a_capability_that_bears_on_no_result_makes_no_other_run(tmp_path: Path, name: str) -> None:
    ran_by(tmp_path, FakeEngine())
    ran_by(tmp_path, engine := Later(**{name: True}))
    assert engine.submitted == 0


@pytest.mark.parametrize("name", ["schemas", "seeds", "batch_invariant", "plain_values"])
def test_a_capability_that_bears_on_results_does(tmp_path: Path, name: str) -> None:
    ran_by(tmp_path, FakeEngine())
    said = rf"models\.tiny\.capabilities\.{name} was True and is now False"
    with pytest.raises(SourceError, match=said):
        ran_by(tmp_path, Later(**{name: False}))


def test_a_capability_that_one_version_knows_makes_no_other_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose folder was written before `batch_invariant` and `plain_values` were known."""
    from chainlang.session import folder_run

    def described(engine: Any, _adapter: str) -> dict[str, Any]:
        capabilities = {"name": "fake", "schemas": True, "was_dropped": True}
        return {"fingerprint": engine.fingerprint, "capabilities": capabilities}

    with monkeypatch.context() as patched:
        patched.setattr(folder_run, "_promised", described)
        ran_by(tmp_path, FakeEngine())
    ran_by(tmp_path, engine := FakeEngine())
    assert engine.submitted == 0


VLLM = {"engine": "vllm", "context": 64}


@pytest.mark.parametrize(
    ("before", "now", "is_same"),
    [
        (VLLM, VLLM, True),
        (VLLM, VLLM | {"context": 99}, True),
        (VLLM, VLLM | {"rope_context": 64}, True),
        (VLLM, VLLM | {"context": 99, "rope_context": 99}, False),
        ({"engine": "openai"}, {"engine": "openai", "context": 99}, True),
        ({"engine": "openai", "url": "a"}, {"engine": "openai", "url": "b"}, False),
        ({"engine": "vllm", "lora": "a"}, {"engine": "vllm"}, False),
    ],
)  # fmt: skip
def test_fingerprints_of_a_folder(
    tmp_path: Path, before: dict[str, Any], now: dict[str, Any], is_same: bool
) -> None:
    first, second = Described(before), Described(now)
    ran_by(tmp_path, first)
    if is_same:
        ran_by(tmp_path, second)
    else:
        with pytest.raises(SourceError, match="different run"):
            ran_by(tmp_path, second)


def ran_by(path: Path, engine: FakeEngine) -> None:
    load(text="main = E").run(ROWS, path, engine=engine)
