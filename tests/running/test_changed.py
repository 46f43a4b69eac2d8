"""Changed chains in the folder of a run before: what is said before anything is sampled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SourceError
from chainlang.protocol.messages import Completion, Failure, Request

ROWS = [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(20)]


class Engine(FakeEngine):
    """An engine that tells when it is asked first."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(answers=reply)
        self.said = said
        self.samples = self.cut = 0

    def submit(self, requests: Any) -> None:
        requests = list(requests)
        if not self.samples:
            self.said.append("sampled")
        self.samples += sum(one.drawn for one in requests)
        super().submit(requests)

    def complete(self, request: Request) -> Completion | Failure:
        found = super().complete(request)
        if isinstance(found, Completion):
            self.cut += sum(one.finish == "length" for one in found.samples)
        return found


def reply(request: Request, index: int) -> str:
    """Return a text of 3 to 7 tokens."""
    return "x" * (12 + (request.seed + index) % 17)


def ran(path: Path, text: Any, rows: Any = ROWS, **settings: Any) -> tuple[list[str], Any, Engine]:
    said: list[str] = []
    engine = Engine(said)
    made = chain(text) if isinstance(text, str) else text
    settings = {"changed": True, "window": 3, **settings}
    summary = made.run(rows, path, engine=engine, progress=said.append, **settings)
    return said, summary, engine


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "now", "fit", "anew", "more"),
    [
        ("5:E >> M", "5:E >> M >> E", 100, 20, True),
        ("5:E", "7:E", 100, 40, False),
        ("5:E", "3:E", 60, 0, False),
        ("5:E", "5:E:tiny:0.5", 0, 100, False),
        ("2:E >> 3:E", "2:E >> 3:E(top_p=0.5)", 40, 60, True),
        ("2:E >> 3:E", "(2:E(top_p=0.5)) >> 3:E", 0, 40, True),
        ("fallback(E, 2:E)", "fallback(E(top_p=0.5), 2:E)", 0, 20, True),
        ("timeout(E, seconds=600)", "timeout(2:E, seconds=600)", 20, 20, False),
        ("retry(E, times=3, backoff=600)", "retry(2:E, times=3, backoff=600)", 20, 20, False),
        ("E(max_tokens=4)", "E(max_tokens=5)", None, None, False),
    ],
)
def test_samples_are_counted_before_one_is_drawn(
    tmp_path: Path, before: str, now: str, fit: int | None, anew: int | None, more: bool
) -> None:
    _, _, engine = ran(tmp_path, before)
    there, cut = engine.samples, engine.cut
    said, summary, engine = ran(tmp_path, now)
    if fit is None:
        fit, anew = 20 - cut, cut
        assert 0 < fit < 20
    follows = ", and what depends on them" if anew and more else ""
    counted = f"samples in the folder: {there}; {fit} fit, {anew} are sampled anew{follows}"
    assert counted in said
    assert ("sampled" not in said) or said.index(counted) < said.index("sampled")
    assert summary.recorded >= fit
    assert engine.samples == anew or more


def test_bounds_alone_are_counted_without_changed(tmp_path: Path) -> None:
    _, _, engine = ran(tmp_path, "E(max_tokens=4)")
    said, _, _ = ran(tmp_path, "E(max_tokens=5)", changed=False)
    assert any(f"{engine.cut} are sampled anew" in one for one in said)
    said, _, _ = ran(tmp_path, "E(max_tokens=5)", changed=False)
    assert said == []


def test_the_difference_of_the_chains_is_shown(tmp_path: Path) -> None:
    ran(tmp_path, "5:E >> M")
    said, _, _ = ran(tmp_path, "7:E >> M")
    assert said[0] == (
        "the chain differs from that of the run in the folder:\n  - 5:E >> M\n  + 7:E >> M"
    )


def test_a_chain_that_calls_functions_runs_none_of_them_beforehand(tmp_path: Path) -> None:
    called: list[str] = []

    def note(answer: str) -> str:
        called.append(answer)
        return answer

    made = [load(text=f"main = E >> @note >> {end}", functions={"note": note}) for end in "JV"]
    ran(tmp_path, made[0])
    said, _, _ = ran(tmp_path, made[1])
    assert len(called) == 40
    assert "the chain calls functions, so it is not known how many fit" in said[1]


def test_rows_that_can_be_read_once_are_not_looked_up(tmp_path: Path) -> None:
    ran(tmp_path, "E", iter(ROWS))
    said, summary, _ = ran(tmp_path, "2:E", iter(ROWS))
    assert "the rows can be read only once, so it is not known how many fit" in said[1]
    assert (summary.rows, summary.recorded) == (20, 20)


def test_equal_rows_and_rows_that_are_none_are_counted_as_they_run(tmp_path: Path) -> None:
    rows: list[Any] = [{"query": "a"}, {"query": "a"}, {"query": None}, {"query": "b"}]
    ran(tmp_path, "E", rows)
    said, _, engine = ran(tmp_path, "2:E", rows)
    assert "samples in the folder: 2; 2 fit, 2 are sampled anew" in said
    assert engine.samples == 2


def test_no_word_is_said_of_the_same_run(tmp_path: Path) -> None:
    ran(tmp_path, "E")
    assert ran(tmp_path, "E", changed=False)[0] == []


LONG = """op ask : generate {{ user = "{}Say {}: {{{{ query }}}}" }}
op tell : generate {{ user = "{{{{ query }}}}" }}
main = ask >> tell"""


def test_the_error_shows_where_two_chains_differ_and_not_how_they_begin(tmp_path: Path) -> None:
    begin = "Answer the question in a few plain words. " * 9
    one, other = (load(text=LONG.format(begin, word)) for word in ("yes", "no"))
    ran(tmp_path, one, changed=False)
    with pytest.raises(SourceError) as caught:
        ran(tmp_path, other, changed=False, seed=3)
    page = str(caught.value).replace(str(tmp_path), "runs/a")
    assert page == PAGE.strip()
    (found,) = caught.value.diagnostics
    assert found.to_dict()["lines"] == list(found.lines)


PAGE = """
error[file]: runs/a: this folder contains a different run: the chain differs; seed was 0 and is now 3
  |
  |   op ask : generate {
  | - …ion in a few plain words. Say yes: {{ query }}"
  | + …ion in a few plain words. Say no: {{ query }}"
  |   }
  |
  = hint: write the new run into another folder
  = hint: or run the new chain here and reuse the samples that are the same: --changed, in Python changed=True
  = hint: or delete the run in the folder: --overwrite, in Python overwrite=True
"""  # noqa: E501
