"""The examples in which the bundled model answers. No token of its replies stands here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.project.examples import answered_by

Names = dict[str, Any]


def self_consistency(names: Names, printed: str) -> None:
    votes = names["result"]["votes"]
    assert sum(votes.values()) == 9
    assert names["result"]["confidence"] == max(votes.values()) / 9
    assert "again: True" in printed


def mixture_of_agents(names: Names, printed: str) -> None:
    result = names["result"]
    assert [len(result[layer].candidates) for layer in ("first", "second")] == [4, 3]
    assert result.usage.calls == 8
    assert result.answer


def judge_and_verify(names: Names, printed: str) -> None:
    assert names["result"]["verdict"] in ("correct", "incorrect")
    assert printed.count("verdict") == 2


def nested_networks(names: Names, printed: str) -> None:
    result = names["result"]
    assert {name: len(part.candidates) for name, part in result.history.items()} == {
        "one": 2,
        "two": 2,
        "vote": 1,
    }
    assert 11 <= result.usage.calls <= 14  # verifiers that are asked the same share a reply


def route_by_topic(names: Names, printed: str) -> None:
    assert [line.split()[-2] for line in printed.splitlines()] == ["9", "6", "9"]
    assert "judge" in printed


def repair_until_valid(names: Names, printed: str) -> None:
    result = names["result"]
    verdicts = [stop.candidates[0].fields["verdict"] for stop in result.trace[1:]]
    assert 1 <= len(verdicts) <= 3
    assert all(verdict == "incorrect" for verdict in verdicts[:-1])
    assert bool(result.events) == (verdicts[-1] == "incorrect")


def map_reduce(names: Names, printed: str) -> None:
    assert names["result"].usage.calls == 15
    assert isinstance(names["result"].answer, int)


def thinking(names: Names, printed: str) -> None:
    shares, prices = names["shares"], names["prices"]
    assert list(prices.values()) == sorted(prices.values())  # a larger budget costs more
    assert shares["any"] > shares["none"] + 0.1
    assert names["results"][0].candidates[0].reasoning in printed


def is_it_better(names: Names, printed: str) -> None:
    assert names["swept"].best.chain == "3:E:tiny:0.7 >> J:tiny"
    assert names["compared"].won > names["compared"].lost
    assert names["compared"].p_value < 0.01
    assert "won 1" in printed


def a_served_chain(names: Names, printed: str) -> None:
    reply = names["reply"]
    assert sum(reply["chainlang"]["votes"].values()) == reply["chainlang"]["calls"] == 9
    assert names["lines"][-1] == "data: [DONE]"
    assert "the same id: True" in printed


CHECKS = (
    self_consistency,
    mixture_of_agents,
    judge_and_verify,
    nested_networks,
    route_by_topic,
    repair_until_valid,
    map_reduce,
    thinking,
    is_it_better,
    a_served_chain,
)


def test_every_example_on_the_bundled_model_is_checked() -> None:
    assert [check.__name__ for check in CHECKS] == list(answered_by("`tiny`"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_example_on_the_bundled_model_shows_what_it_says(
    check: Callable[[Names, str], None],
) -> None:
    check(*answered_by("`tiny`")[check.__name__].run())
