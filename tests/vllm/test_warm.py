"""A warm model: the server of `chainlang warmup`, beside the same model in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainlang import Chain, chain, load
from chainlang.cli import execute
from chainlang.store.warm_models import WarmModel, warm_models

pytestmark = pytest.mark.slow

ROWS = [{"id": str(one), "query": f"What is {one} + {one + 3}?"} for one in range(11, 17)]
TYPED = """
op sum : generate -> { answer: int(0..99) } { user = "{{ query }}" max_tokens = 40 }
main = 3:sum::0.8 >> M
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmModel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        assert execute(["warmup", "--json"]) == 0
        (state,) = warm_models()
        yield state
        assert execute(["kill"]) == 0
        assert not state.processes
        assert not list(Path(state.log).parent.glob("*.json"))


def texts(made: Chain, *, use_warm: bool) -> list[list[str]]:
    results = made.map(ROWS, use_warm=use_warm, seed=3)
    return [[one.text for step in row.trace for one in step.candidates] for row in results]


@pytest.mark.parametrize("text", ["3:E::0.8 >> M", "2:E::0 >> 3:E::1.0"])
def test_it_answers_as_a_model_in_this_process(warm: WarmModel, text: str) -> None:
    made = chain(text)
    assert texts(made, use_warm=True) == texts(made, use_warm=False)


def test_replies_fit_their_type(warm: WarmModel) -> None:
    results = load(text=TYPED).map(ROWS, use_warm=True)
    assert all(row.ok and 0 <= row.answer <= 99 for row in results)


def test_its_fingerprint_differs_by_the_server_alone(warm: WarmModel, tmp_path: Path) -> None:
    found = []
    for use_warm in (True, False):
        out = tmp_path / str(use_warm)
        chain("E").run(ROWS[:1], out, use_warm=use_warm)
        found.append(json.loads((out / "metadata.json").read_text())["models"]["tiny"])
    served, own = (one["fingerprint"] for one in found)
    assert {name for name in {**served, **own} if served.get(name) != own.get(name)} == {
        "engine", "client",
    }  # fmt: skip
    assert served["engine"] == "vllm serve"


def test_warmup_finds_what_is_warm(warm: WarmModel, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["warmup", "tiny"]) == 0
    assert f"tiny is warm already: {warm.url}, pid {warm.pid}" in capsys.readouterr().out


def test_others_see_no_key(warm: WarmModel) -> None:
    for one in warm.processes:
        assert warm.key.encode() not in Path(f"/proc/{one}/cmdline").read_bytes()
    assert warm.key not in Path(warm.log).read_text()
