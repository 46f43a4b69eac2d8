"""Naive and optimized plans on real vLLM (float32, CPU): equal in what is asked for, to the token.

test_same_tokens.py has chains of which everything is asked for, and in which less can be done. No
token stands here: both sides are computed, on a model with random weights.
"""

from __future__ import annotations

import warnings
from collections import Counter

import pytest

from chainlang import ChainlangWarning, load
from chainlang.analysis.program import Program
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.optimizer.compile import Compiled, compiled
from chainlang.optimizer.registry import NAMES
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Flow, Record
from tests.vllm.test_same_tokens import FUNCTIONS as SHARED_FUNCTIONS
from tests.vllm.test_same_tokens import OPS as SHARED_OPS
from tests.vllm.test_same_tokens import ROWS


def doubled(answer: int) -> list[int]:
    return [answer, answer]


FUNCTIONS = {**SHARED_FUNCTIONS, "doubled": doubled}

KEPT = (
    'tell >> E(fresh=true, max_tokens=9, cut="keep") '
    '>> 2:E(fresh=true, max_tokens=5, cut="keep") >> pick'
)
# Chains in which there is something to do, each with what is looked at; `*` stands for all of it.
IMPROVABLE = [
    ("5:tell >> M", "answer"),
    ("9:tell::1.3 >> M", "answer"),
    ("2:tell >> 5:pick::1.3(max_tokens=40) >> M", "answer"),
    ("(a = 3:tell >> M) | (b = 4:tell::1.0 >> M) | tell", "answer"),
    ("tell >> ((5:tell >> M) | rate::0.7)", "answer"),
    ('5:mood::1.3 >> E(fresh=true, max_tokens=9, cut="keep")', "answer"),
    ("(draft = 2:tell) >> pick::0.7", "answer"),
    ('(draft = 2:tell) >> E(fresh=true, max_tokens=9, cut="keep") >> pick', "answer, draft"),
    ('3:tell >> tell::0 >> E(max_tokens=7, cut="keep")', "*"),
    (KEPT, "*"),
    ("(x = 3:tell) >> rate >> pick", "x"),
    ("tell::0 & tell::0 & 2:tell::0", "*"),
    ("3 * (tell::0 >> rate) >> M(by='score')", "*"),
    ("2:tell::0 >> (pick | rate | pick)", "candidates"),
    ("2:tell >> route(by=\"'b'\", arms={\"a\": pick, \"b\": rate::0.7})", "*"),
    ('tell >> loop(rate::0.7, until="true") >> pick', "*"),
    ("2:tell >> retry(rate::0.7, times=1)", "trace"),
    ("5:mood::1.3 >> M", "answer"),
    ("2:tell >> 3:score::1.0 >> choose::0.7", "answer"),
    ("tell >> retry(3:score::1.3(max_tokens=9), times=4) >> @doubled >> M", "answer"),
    ("fallback(4:mood::1.0(max_tokens=3), 3:mood::1.5) >> choose", "answer"),
    ("3:tell >> @halves >> (most = @halves >> M) >> rate", "*"),
    ("7:tell::1.5(max_tokens=2) >> M(normalize=\"casefold\")", "answer"),
]  # fmt: skip
OPS = f"""{SHARED_OPS}
op mood : generate -> "good" | "bad" | "neither of them" {{ user = "{{{{ query }}}} Mood?" }}
op score : map -> {{ answer: int(1..15), sure: bool }} {{ user = "{{{{ candidate.answer }}}}?" }}
op choose : fold -> {{ number: int }} {{ choose = "number"  user = "{{{{ query }}}} Which?" }}
"""
FIRED: Counter[str] = Counter()


@pytest.mark.parametrize(("text", "wanted"), IMPROVABLE)
def test_passes_change_no_token(text: str, wanted: str, random_engine: VllmEngine) -> None:
    program = program_of(text)
    outputs = None if wanted == "*" else wanted.split(", ")
    rows = [*ROWS[:2], {**ROWS[0], "id": "again"}]
    found = compiled(program, outputs=outputs)
    FIRED.update(one.name for one in found.applied if one.fired)
    assert results(found, rows, random_engine) == results(
        compiled(program, passes=(), outputs=outputs), rows, random_engine
    )


def program_of(text: str) -> Program:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainlangWarning)
        named = {name: one for name, one in FUNCTIONS.items() if f"@{name}" in text}
        return load(text=f"{OPS}\nmain = {text}", functions=named).program()


def results(
    found: Compiled, rows: list[dict[str, object]], engine: VllmEngine
) -> dict[str, Flow | str | None]:
    records = [record_of(row) for row in rows]
    engines = dict.fromkeys(found.naive.models, engine)
    return {
        outcome.row_id: outcome.flow if outcome.failure is None else outcome.failure.message
        for outcome in run(Prepared(found.plan, engines), records)
    }


SMALL_AND_LARGE = (
    '(3:E:small(max_tokens=1, top_k=1, cut="keep") & 3:E:large(max_tokens=1, cut="keep")) >> M'
)


@pytest.mark.parametrize(
    ("text", "name", "drawn"),  # all samples agree
    [
        ('15:E(max_tokens=1, top_k=1, cut="keep") >> M', "adaptive_consistency", 4),
        ('15:E(max_tokens=1, top_k=1, cut="keep") >> M', "early_stopping_consistency", 5),
        (SMALL_AND_LARGE, "ask_until_agreement", 3),
    ],
)
def test_a_lossy_pass_draws_the_first_samples_and_says_so(
    text: str, name: str, drawn: int, random_engine: VllmEngine
) -> None:
    program = program_of(text)
    found = compiled(program, passes=("default", name))
    FIRED.update(one.name for one in found.applied if one.fired)
    naive = results(compiled(program, passes=()), ROWS[:2], random_engine)
    for row_id, ended in results(found, ROWS[:2], random_engine).items():
        whole = naive[row_id]
        assert isinstance(ended, Record)
        assert isinstance(whole, Record)
        first = [one for stop in whole.trace[:-1] for one in stop.candidates][:drawn]
        assert [one for stop in ended.trace[:-1] for one in stop.candidates] == first
        assert ended.candidates[0].answer == first[0].answer
        (event,) = (one for one in ended.events if one.kind != "cut")
        assert event.kind == "lossy"
        assert event.message.startswith(name)


def test_every_pass_has_fired() -> None:
    assert set(FIRED) == set(NAMES)
