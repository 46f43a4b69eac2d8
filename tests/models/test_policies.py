"""Policies: what they choose, why, and that a resumed run chooses the same."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chainlang import ChainlangError, chain, load, models
from chainlang.engines.fake import FakeEngine
from chainlang.errors import StopError
from chainlang.models.bandit import Bandit
from chainlang.models.machine import Machine
from chainlang.models.policy import Policy
from chainlang.session.named_models import with_models
from chainlang.session.policies import choices_of
from chainlang.settings import MapSettings
from chainlang.store.journal import Journal
from chainlang.store.safe_files import Folder
from tests.laws import fewer

YAML = Path(__file__).parents[1] / "fixtures" / "models" / "models.yaml"
Q = "Why?"
BIG, SMALL = Machine(64, 24, 16), Machine(8, 0, 4)


def fake(name: str, cost: float, accuracy: float, latency: float = 1.0, **facts: Any):
    price = {"input": cost, "output": cost}
    return models.fake(name, price=price, facts={"accuracy": accuracy, "latency": latency, **facts})


THREE = {"a": fake("a", 1, 0.6), "b": fake("b", 10, 0.8), "c": fake("c", 5, 0.9, 9.0)}


def chosen(text: str) -> tuple[str, ...]:
    return with_models(chain(text).program(), MapSettings.of({})).models


# ---------------------------------------------------------------- an Orchestrator's file


@pytest.mark.parametrize(
    ("text", "machine", "model"),
    [
        # cost 0.6, accuracy 0.3, latency 0.1, each from 0 to 1 over the four models that fit:
        # gpt-4o 0 + 0.3 + 0.02, claude 0 + 0.285 + 0, mini 0.56 + 0.15 + 0.085, llama 0.6 + 0 + 0.1
        ("E:@cost_optimized", BIG, "gpt-4o-mini"),
        # latency 0.5, accuracy 0.4, cost 0.1: 0.1 + 0.4 + 0, 0 + 0.38 + 0, 0.425 + 0.2 + 0.093,
        # 0.5 + 0 + 0.1
        ("E:@performance_optimized", BIG, "gpt-4o-mini"),
        # without a GPU only the servers are left, and mini is best in cost and latency
        ("E:@cost_optimized", SMALL, "gpt-4o-mini"),
    ],
)
def test_the_weighted_policies_of_an_orchestrator_choose_as_by_hand(
    place: Path, monkeypatch: pytest.MonkeyPatch, text: str, machine: Machine, model: str
) -> None:
    monkeypatch.setattr(Machine, "here", lambda: machine)
    (place / "models.yaml").write_text(YAML.read_text())
    assert chosen(text) == (model,)


def test_the_scores_are_those_of_a_hand_calculation(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "here", lambda: BIG)
    (place / "models.yaml").write_text(YAML.read_text())
    (choice,) = choices_of(chain("E:@cost_optimized").program(), MapSettings.of({}))
    by_hand = {"gpt-4o": 0.32, "claude-4-opus": 0.285, "gpt-4o-mini": 0.795, "llama2-7b": 0.7}
    assert choice.selection.scores == pytest.approx(by_hand)
    assert list(choice.selection.ruled_out) == ["llama2-7b-int4"]
    (typed,) = choices_of(chain("J:@cost_optimized").program(), MapSettings.of({}))
    assert "has no structured_output" in typed.selection.ruled_out["llama2-7b"]
    monkeypatch.setattr(Machine, "here", lambda: SMALL)
    (small,) = choices_of(chain("E:@cost_optimized").program(), MapSettings.of({}))
    assert small.selection.ruled_out["llama2-7b"] == ("it needs 16 GB of memory, and there are 8")


def test_its_ucb_policy_chooses_as_by_hand(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "here", lambda: BIG)
    found = models.read_yaml(YAML)
    policy = found["default"]
    assert isinstance(policy, Policy)
    assert (policy.strategy, policy.exploration) == ("ucb", 2.0)
    bandit = Bandit(policy, policy.models[:4])
    assert bandit.bound("gpt-4o") == math.inf
    rewards = {"gpt-4o": 1.0, "claude-4-opus": 0.0, "gpt-4o-mini": 1.0, "llama2-7b": 0.0}
    order = []
    for reward in rewards.values():  # each of them once, in the order of the file
        order.append(arm := bandit.choose("row"))
        bandit.begin(arm)
        bandit.learn(arm, reward)
    assert order == list(rewards)
    # each was tried once: 1 + 2 sqrt(ln 5), and of two equal ones the first
    assert bandit.bound("gpt-4o-mini") == pytest.approx(1 + 2 * math.sqrt(math.log(5)))
    assert bandit.choose("row") == "gpt-4o"
    bandit.begin("gpt-4o")
    bandit.learn("gpt-4o", 0.0)
    # 0.5 + 2 sqrt(ln 6 / 2) = 2.39, 0 + 2 sqrt(ln 6) = 2.68, 1 + 2.68, 0 + 2.68
    assert bandit.bound("gpt-4o") == pytest.approx(0.5 + 2 * math.sqrt(math.log(6) / 2))
    assert bandit.choose("row") == "gpt-4o-mini"


def test_a_variant_is_chosen_where_no_whole_model_fits(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "here", lambda: Machine(12, 6, 4))
    found = models.read_yaml(YAML)
    found["local"] = models.weighted(["llama2-7b", "llama2-7b-int4"], cost=1)
    models.define(found)
    assert chosen("E:@local") == ("llama2-7b-int4",)
    assert "int4" in str(chain("E:@local").explain())
    monkeypatch.setattr(Machine, "here", lambda: BIG)
    assert chosen("E:@local") == ("llama2-7b",)


# ---------------------------------------------------------------- static policies


def test_a_static_policy_is_the_model_that_it_chooses() -> None:
    with models.use(
        THREE,
        cheap=models.weighted(list(THREE), cost=1),
        good=models.weighted(list(THREE), accuracy=1),
    ):
        for text in ("3:E:{} >> M", "2:E:{}:0.7 >> J:{}", "fallback(E:{}:0.2, E:b)"):
            policy, plain = (chain(text.format(*[name] * 2)) for name in ("@good", "c"))
            assert policy(Q).answer == plain(Q).answer
            assert policy.explain().compiled.plan.models == plain.explain().compiled.plan.models
        page = str(chain("E:@cheap >> J:@good").explain())
    assert "@cheap  a: weighted" in page
    assert "@good  c: weighted" in page
    assert "c  score 1.000" in page


def test_a_run_folder_keeps_what_was_chosen(place: Path) -> None:
    with models.use(THREE, good=models.weighted(list(THREE), accuracy=1)):
        chain("E:@good >> M").run(["a"], place / "out")
    graph = (place / "out" / "graph.json").read_text()
    assert '"c"' in graph
    assert "@good" not in graph
    document = json.loads((place / "out" / "metadata.json").read_text())
    assert document["policies"]["@good"][0] == "@good  c: weighted"
    assert document["chain"].strip() == "E:@good >> M"


def test_a_resumed_run_keeps_what_was_chosen(place: Path) -> None:
    made = chain("(E:@cheap:0.7 >> J:@cheap) & E:a")
    given = {"cheap": models.weighted(list(THREE), cost=1)}
    made.run(["x"], place / "out", models={**THREE, **given})
    changed = {**THREE, "a": fake("a", 100, 0.6), **given}
    found = made.run(["x", "y"], place / "out", models=changed)
    assert (found.rows, set(found.by_model)) == (2, {"a"})
    document = json.loads((place / "out" / "metadata.json").read_text())
    assert document["policies"]["@cheap"][0] == "@cheap  a: weighted"
    anew = made.run(["x"], place / "out", models=changed, overwrite=True)
    assert set(anew.by_model) == {"c", "a"}


def test_a_policy_chooses_for_each_type_of_stage_by_what_it_needs(place: Path) -> None:
    plain = fake("plain", 1, 0.5, structured_output=False)
    given = {"plain": plain, "typed": fake("typed", 2, 0.5)}
    given["cheap"] = models.weighted(["plain", "typed"], cost=1)
    with models.use(given):
        made = chain("3:E:@cheap:0.7 >> J:@cheap")
        assert made(Q).ok
        page = str(made.explain())
        assert made.explain().compiled.plan.models == ("plain", "typed")
        made.run(["a"], place / "out")
        assert chosen("J:@cheap") == ("typed",)
    assert "@cheap of E  plain: weighted" in page
    assert "@cheap of J  typed: weighted" in page
    assert "plain  ruled out: it has no structured_output (its declaration)" in page
    plain = fake("plain", 500, 0.5, structured_output=False)
    dearer = {**given, "typed": fake("typed", 200, 0.5), "plain": plain}
    again = made.run(["a", "b"], place / "out", models=dearer)
    assert set(again.by_model) == {"plain", "typed"}


def test_an_op_and_a_definition_may_name_a_policy() -> None:
    text = (
        'op o : generate -> { n: int } { user = "{{ query }}" model = "@good" }\n'
        "part = o\nmain = $part"
    )
    with models.use(THREE, good=models.weighted(list(THREE), accuracy=1)):
        assert load(text=text)(Q).ok
        assert load(text=text).explain().compiled.plan.models == ("c",)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (models.weighted(["a", "b"], cost=1, needs={"context": 1000}), "a: context is not known"),
        (models.weighted(["a"], cost=1, needs={"accuracy": 0.7}), "accuracy is 0.6, and 0.7 is"),
        (models.weighted(["a"], cost=1, needs={"tasks": "code"}), "tasks is not known"),
        (models.weighted(["d"], cost=1), "d: cost is not known"),
    ],
)
def test_a_policy_without_a_model_says_why(policy: Policy, reason: str) -> None:
    given = {**THREE, "d": models.fake("d"), "p": policy}
    with pytest.raises(ChainlangError, match="the policy @p has no model") as caught:
        chain("E:@p")(Q, models=given)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.weighted(["a"]), "it has no weights"),
        (lambda: models.weighted(["a"], price=1), "invalid weight price=1"),
        (lambda: models.weighted([], cost=1), "no models to choose from"),
        (lambda: models.weighted(["a"], cost=1, needs={"speed": 1}), "can't need speed=1"),
        (lambda: models.ucb(["a"]), "no reward to learn from"),
        (lambda: models.ucb(["a"], reward="verdict =="), "reward:"),
        (
            lambda: models.thompson(["a"], reward="ok", exploration=1),
            "unknown setting 'exploration'",
        ),
        (lambda: chain("E")(Q, model="@p"), "can't be the default model"),
        (lambda: chain("E:@nope")(Q), "unknown model '@nope'"),
        (
            lambda: chain("E:x")(Q, models={"x": "@p", "p": models.weighted(["a"], cost=1)}),
            "'x' can't be a policy: @p chooses the model of a stage",
        ),
    ],
)
def test_what_is_no_policy_is_refused(make, message: str) -> None:
    with pytest.raises(ChainlangError) as caught:
        make()
    assert message in str(caught.value)


def test_a_file_has_policies_of_its_models(place: Path) -> None:
    (place / "models.toml").write_text(
        "[models.a]\nengine = 'fake'\nprice = { input = 1, output = 1 }\n"
        "[models.b]\nengine = 'fake'\nprice = { input = 2, output = 1 }\n"
        "[policies.cheap]\nstrategy = 'weighted'\nweights = { cost = 1 }\n"
    )
    assert chosen("E:@cheap") == ("a",)
    (place / "models.toml").write_text("[policies.cheap]\nstrategy = 'random'\n")
    with pytest.raises(ChainlangError, match=r"unknown strategy 'random' in \[policies.cheap\]"):
        chain("E:@cheap")(Q)


def test_what_a_model_is_known_not_to_do_is_refused_before_the_first_row() -> None:
    plain = models.fake("p", facts={"structured_output": False, "output": 100})
    with models.use(p=plain):
        with pytest.raises(ChainlangError, match="'p' has no structured output, which J asks"):
            chain("J:p(max_tokens=100)")(Q)
        with pytest.raises(ChainlangError, match="max_tokens is 1,024, and a reply of 'p' has 100"):
            chain("E:p")(Q)
        assert chain("E:p(max_tokens=100)")(Q).ok


def test_a_context_without_room_for_a_prompt_is_refused_before_the_first_row() -> None:
    facts = {"context": 2_000}
    server = models.openai("gpt", base_url="http://127.0.0.1:9", api_key="none", facts=facts)
    with models.use(p=server, q=models.fake("q", facts=facts)):
        with pytest.raises(ChainlangError, match="context of 'p' has 2,000 tokens for a prompt"):
            chain("E:p(max_tokens=2000)")(Q)
        with pytest.raises(ChainlangError) as error:
            chain("E:p(max_tokens=1999)")(Q, patience=0)
        assert "context" not in str(error.value)
        assert chain("E:q(max_tokens=2000)")(Q).ok  # which cuts it by its own context


# ---------------------------------------------------------------- online policies


def regret(strategy: str, seed: int) -> float:
    """Return what a bandit has lost in 2,000 rows against the best of three models."""
    means = {"a": 0.9, "b": 0.8, "c": 0.6}
    settings = {"exploration": math.sqrt(2)} if strategy == "ucb" else {}  # UCB1
    policy = getattr(models, strategy)(list(means), reward="ok", **settings)
    bandit, chance, lost = Bandit(policy, tuple(means)), random.Random(seed), 0.0
    for row in range(2000):
        arm = bandit.choose(f"{seed} {row}")
        bandit.begin(arm)
        bandit.learn(arm, float(chance.random() < means[arm]))
        lost += 0.9 - means[arm]
    return lost


@pytest.mark.parametrize(("strategy", "most"), [("ucb", 69), ("thompson", 12)])
def test_the_regret_is_as_low_as_is_known(strategy: str, most: float) -> None:
    count = fewer(20, 5)
    assert sum(regret(strategy, seed) for seed in range(count)) / count <= most


def decisions(out: Path) -> list[Any]:
    """Return the models of the rows, and then the rewards, as the journal has them."""
    with closing(Folder.open(out)) as folder, closing(Journal.open(folder)) as journal:
        return [*journal.notes("choice:").values(), *journal.notes("reward:").values()]


ROWS = [f"row {number}" for number in range(24)]
ONLINE = {
    **THREE,
    "pick": models.thompson(list(THREE), reward="answer in '02468'"),
    "bound": models.ucb(list(THREE), reward="answer in '02468'"),
}


@pytest.mark.parametrize("policy", ["@pick", "@bound"])
def test_a_resumed_run_chooses_the_same(place: Path, policy: str) -> None:
    made = chain(f"E:{policy}:0.7 >> E:{policy}:0")
    with models.use(ONLINE):
        whole = made.run(ROWS, place / "whole", window=1)
        for calls in (7, 13, None):
            try:
                made.run(ROWS, place / "parts", window=1, run_calls=calls)
            except StopError:
                continue
    assert decisions(place / "parts") == decisions(place / "whole")
    assert len(whole.by_model) == 3
    tables = [(place / name / "flattened").glob("*") for name in ("whole", "parts")]
    assert len({"".join(path.read_text() for path in sorted(table)) for table in tables}) == 1
    document = json.loads((place / "whole" / "metadata.json").read_text())
    assert "depend on the order of the rows" in document["policies"][policy][0]


KILLED = """
import os, sys
from chainlang import chain, models
from chainlang.engines.fake import FakeEngine
from tests.models.test_policies import ONLINE, ROWS
submit = FakeEngine.submit
def kill(self, requests):
    submit(self, requests)
    if self.submitted > 9:
        os._exit(9)
FakeEngine.submit = kill
with models.use(ONLINE):
    chain("E:@pick:0.7").run(ROWS, sys.argv[1], window=1)
"""


@pytest.mark.slow
def test_a_killed_run_chooses_the_same(place: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(place / "killed")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, timeout=120)
    assert done.returncode == 9
    made = chain("E:@pick:0.7")
    with models.use(ONLINE):
        made.run(ROWS, place / "killed", window=1)
        made.run(ROWS, place / "whole", window=1)
    assert decisions(place / "killed") == decisions(place / "whole")


def test_a_policy_that_has_learnt_is_frozen(place: Path) -> None:
    def good(result: Any) -> float:
        return float(result.usage.cost or 0) * 1e4  # the dearest model is the best

    with models.use(THREE, pick=models.ucb(list(THREE), reward=good)):
        chain("E:@pick:0.7").run(ROWS, place / "out", window=4)
    with models.use(THREE, frozen=models.ucb(list(THREE), learnt=str(place / "out"))):
        assert chosen("E:@frozen") == ("b",)
        page = str(chain("E:@frozen").explain())
        assert "@frozen  b: ucb" in page
        assert "b  reward 0." in page
    given = {**THREE, "frozen": models.ucb(list(THREE), learnt=str(place / "no"))}
    with pytest.raises(ChainlangError, match="has no rewards to learn from"):
        chain("E:@frozen")(Q, models=given)


def test_calls_learn_from_each_other_and_rows_begin_anew() -> None:
    with models.use(THREE, once=models.ucb(list(THREE), reward="ok")):
        qa = chain("E:@once:0.7")
        assert len({qa(f"{number}").cost for number in range(3)}) == 3  # each model once
        found = chain("E:@once:0.7").explain()
        assert found.choices[0].chosen is None
        first, again = ([one.cost for one in qa.map(ROWS[:6], window=1)] for _ in range(2))
    assert first == again
    assert len(set(first)) == 3


@pytest.mark.parametrize(
    ("text", "reward", "message"),
    [
        ("E:@pick", "verdict == 'correct'", "reward= can't be evaluated: "),
        ("E:@pick", "answer", "which is no number from 0 to 1"),
        ("E:@pick | E:a", "answer == 'x'", "this chain has branches"),
    ],
)
def test_a_reward_that_can_not_be_had_is_an_error(text: str, reward: str, message: str) -> None:
    given = {**THREE, "pick": models.ucb(list(THREE), reward=reward)}
    with pytest.raises(ChainlangError) as caught:
        list(chain(text).map(["x"], models=given))
    assert message in str(caught.value)


def test_two_online_policies_are_refused() -> None:
    with pytest.raises(ChainlangError, match="several policies choose for each row"):
        chain("E:@pick >> J:@bound")(Q, models=ONLINE)


def test_an_engine_of_the_call_answers_for_a_policy() -> None:
    assert chain("E:@pick")(Q, engine=FakeEngine(answers={"": "yes"})).answer == "yes"
