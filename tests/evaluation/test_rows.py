"""Named data sets and samples: what items become, and what is said of a set that is not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError
from chainlang.evaluation import data_set, data_sets, evaluate, rows
from chainlang.evaluation.named_sets import SETS
from tests.hub_server import hub

ITEMS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "mmlu": (
        {"question": "2+2?", "choices": ["3", "4"], "answer": 1, "subject": "algebra"},
        [{"query": "2+2?", "choices": {"A": "3", "B": "4"}, "answer": "B", "subject": "algebra"}],
    ),
    "truthful_qa": (
        {"question": "Q?", "mc1_targets": {"choices": ["x", "y"], "labels": [0, 1]}},
        [{"query": "Q?", "choices": {"A": "x", "B": "y"}, "answer": "B"}],
    ),
    "commonsense_qa": (
        {"question": "Q?", "choices": {"label": ["A", "B"], "text": ["x", "y"]}, "answerKey": "A"},
        [{"query": "Q?", "choices": {"A": "x", "B": "y"}, "answer": "A"}],
    ),
    "short_answer": (
        {"question": "Q?", "answer": "x"},
        [{"query": "Q?", "answer": "x"}],
    ),
    "gsm8k": (
        {"question": "Q?", "answer": "so\n#### 18"},
        [{"query": "Q?", "answer": "so\n#### 18"}],
    ),
    "aime": (
        {"ID": "2024-II-4", "Problem": "P", "Answer": 33, "Solution": "s"},
        [{"query": "P", "answer": 33, "id": "2024-II-4", "year": 2024, "contest": "II"}],
    ),
}


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_becomes_rows(name: str, tmp_path: Path) -> None:
    item, expected = ITEMS[name]
    assert list(rows(name, items=[item])) == expected
    file = tmp_path / "items.jsonl"
    file.write_text(json.dumps(item) + "\n")
    assert list(rows(name, path=file)) == expected


def test_halueval_makes_two_rows_of_an_item() -> None:
    item = {"knowledge": "K", "question": "Q?", "right_answer": "r", "hallucinated_answer": "h"}
    found = list(rows("halueval", items=[item]))
    assert [one["answer"] for one in found] == ["A", "B"]
    assert ["Answer: r" in found[0]["query"], "Answer: h" in found[1]["query"]] == [True, True]


def test_the_right_choice_of_gpqa_stands_at_every_place() -> None:
    items = [
        {"Question": f"Q{n}?", "Correct Answer": "right", "High-level domain": "Physics"}
        | {f"Incorrect Answer {k}": f"wrong {k}" for k in (1, 2, 3)}
        for n in range(40)
    ]
    found = list(rows("gpqa", items=items))
    assert all(one["choices"][one["answer"]] == "right" for one in found)
    assert {one["answer"] for one in found} == {*"ABCD"}
    assert found[0]["subject"] == "Physics"
    assert found == list(rows("gpqa", items=items))


def test_codeforces_has_its_samples() -> None:
    item = {
        "description": "Add.", "examples": [{"input": "1 2", "output": "3"}],
        "rating": 800, "tags": ["math"], "title": "Sum",
    }  # fmt: skip
    (found,) = rows("codeforces", items=[item]).filter(lambda one: "math" in one["tags"])
    assert found["answer"] == [{"input": "1 2", "output": "3"}]
    assert "Input:\n1 2\nOutput:\n3" in found["query"]
    assert found["difficulty"] == 800


def test_a_set_answers_to_its_metric() -> None:
    several = rows("commonsense_qa", items=[ITEMS["commonsense_qa"][0]])
    assert several.metric == "choice"
    engine = FakeEngine(answers={"": "The answer is (A)."})
    assert evaluate(chain("E:m"), several, several.metric, engine=engine).accuracy == 1


@pytest.mark.parametrize(
    ("name", "item", "message"),
    [
        ("mmlu", {"question": "Q?"}, "item 1 of mmlu has no 'choices', 'answer'"),
        ("mmul", {}, "no data set is called 'mmul'\n  = hint: did you mean 'mmlu'?"),
    ],
)
def test_a_wrong_name_or_item_is_an_error(name: str, item: dict[str, Any], message: str) -> None:
    with pytest.raises(ChainlangError) as error:
        list(rows(name, items=[item]))
    assert message in str(error.value)


# ---------------------------------------------------------------- the hub


class Hub:
    """A stand-in for the package `datasets`, which the tests can't reach the hub with."""

    def __init__(self, does: Any) -> None:
        self.does = does
        self.asked: list[Any] = []

    def load_dataset(self, source: str, subset: str | None, **more: Any) -> Any:
        self.asked.append((source, subset, more))
        if isinstance(self.does, Exception):
            raise self.does
        return self.does


def test_items_come_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    hub = Hub(datasets.Dataset.from_list([ITEMS["mmlu"][0]]))
    monkeypatch.setattr(datasets, "load_dataset", hub.load_dataset)
    assert list(rows("mmlu", subset="algebra", split="dev")) == ITEMS["mmlu"][1]
    assert hub.asked == [("cais/mmlu", "algebra", {"split": "dev", "streaming": False})]


@pytest.mark.parametrize(
    ("name", "fault", "message"),
    [
        ("mmlu", OSError("no network"), "or give a file: rows('mmlu', path='items.jsonl')"),
        ("gpqa", ValueError("Access denied"), "huggingface.co/datasets/Idavidrein/gpqa, then: hf"),
        ("mmlu", RuntimeError(), "the data set mmlu can't be read: RuntimeError"),
    ],
)
def test_a_set_that_is_not_there_says_how_to_get_it(
    name: str, fault: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", Hub(fault).load_dataset)
    with pytest.raises(ChainlangError) as error:
        list(rows(name))
    assert message in str(error.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(ChainlangError, match=r"pip install 'chainlang\[data\]'"):
        list(rows("mmlu"))


# ---------------------------------------------------------------- samples

NUMBERS = rows([{"query": str(n), "kind": "abc"[n % 3 // (1 + n % 2)]} for n in range(100)])


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    one = [row["query"] for row in NUMBERS.sample(20)]
    assert one == [row["query"] for row in NUMBERS.sample(20)]
    assert one != [row["query"] for row in NUMBERS.sample(20, seed=1)]
    assert len({*one}) == 20
    assert len(list(NUMBERS.sample(1_000))) == 100


def test_a_stratified_sample_has_the_shares_of_all_rows() -> None:
    every = Counter(row["kind"] for row in NUMBERS)
    found = Counter(row["kind"] for row in NUMBERS.stratified(30, "kind"))
    assert found.total() == 30
    assert all(abs(found[name] - 0.3 * count) < 1 for name, count in every.items())
    with pytest.raises(ChainlangError, match="did you mean 'kind'"):
        list(NUMBERS.stratified(3, "knd"))


def test_steps_apply_as_they_are_written() -> None:
    odd = NUMBERS.limit(10).filter(lambda row: int(row["query"]) % 2)
    assert [row["query"] for row in odd] == list("13579")
    assert len(list(NUMBERS.filter(lambda row: int(row["query"]) % 2).limit(10))) == 10
    twice = NUMBERS.transform(lambda row: {"n": 2 * int(row["query"])}).limit(2)
    assert list(twice) == list(twice) == [{"n": 0}, {"n": 2}]  # read anew each time


def test_a_set_of_ones_own_has_a_name() -> None:
    @data_set("test_of_rows", source="me/x", requires=["a"], metric="number")
    def prepared(item: Any) -> list[dict[str, Any]]:
        return [{"query": item["a"]}] if item["a"] != "drop" else []

    found = rows("test_of_rows", items=[{"a": "x"}, {"a": "drop"}, {"a": "y"}])
    assert [row["query"] for row in found] == ["x", "y"]
    assert found.metric == "number"
    assert {*SETS, "test_of_rows"} <= data_sets().keys()
    with pytest.raises(ChainlangError, match="'mmlu' is a data set already"):
        data_set("mmlu", source="x", requires=[])(prepared)


def test_results_become_a_data_set_again() -> None:
    found = chain("3:E:m >> M").map(["a", "b"], engine=FakeEngine()).to_dataset()
    assert found.column_names[:2] == ["id", "query"]
    assert found["query"][:] == ["a", "b"]
    mixed = chain("E:m").map(
        [{"query": "a", "x": 1}, {"query": "b", "x": "y"}], engine=FakeEngine()
    )
    assert mixed.to_dataset()["x"][:] == ["1", "y"]


PUSHES = """
from chainlang import chain
from chainlang.engines.fake import FakeEngine

found = chain("3:E:m >> M").map([{"query": "a", "x": 1}, "b"], engine=FakeEngine())
found.to_dataset().push_to_hub("me/results", token="secret")
"""


@pytest.mark.slow
def test_results_are_pushed_to_a_hub(tmp_path: Path) -> None:
    own = {"HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    with hub() as server:  # whose address is read when its client is imported
        environment = {**os.environ, **own, "HF_ENDPOINT": server.url}
        subprocess.run([sys.executable, "-c", PUSHES], env=environment, check=True, timeout=120)
    (data,) = (one for name, one in server.files.items() if name.endswith(".parquet"))
    table = parquet.read_table(BytesIO(data)).to_pylist()
    assert [one["query"] for one in table] == ["a", "b"]
    assert [one["x"] for one in table] == [1, None]
    assert "Bearer secret" in server.tokens
