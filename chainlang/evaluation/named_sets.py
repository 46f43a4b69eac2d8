"""Named data sets: where each is published, and the rows that its items make.

A row has `query`, for multiple choice `choices` (texts by letter), and `answer`, the target. The
other fields say more of the item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeAlias

from attrs import field, frozen

from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import error_of

Row: TypeAlias = dict[str, Any]
Prepare: TypeAlias = Callable[[Mapping[str, Any]], Iterable[Row]]
"""Function of an item that returns its rows: none drops the item."""
ENTRY_POINTS = "chainlang.data_sets"
"""Group of entry points, each of which is a `DataSet`."""
_LETTERS = "ABCDEFGHIJ"


@frozen
class DataSet:
    """A data set with a name."""

    name: str
    source: str
    """Name on the Hugging Face hub."""
    prepare: Prepare = field(repr=False)
    requires: tuple[str, ...]
    """Fields of each item."""
    metric: str
    """Name of the metric that fits its targets."""
    subset: str | None = None
    split: str = "test"
    is_gated: bool = False
    """Whether the hub asks to accept its terms, and to log in."""
    about: str = ""


def _letters(texts: Iterable[Any]) -> dict[str, str]:
    return dict(zip(_LETTERS, map(str, texts), strict=False))


def _mmlu(item: Mapping[str, Any]) -> list[Row]:
    answer = item["answer"]
    letter = _LETTERS[answer] if isinstance(answer, int) else str(answer)
    more = {"subject": item["subject"]} if "subject" in item else {}
    return [
        {"query": item["question"], "choices": _letters(item["choices"]), "answer": letter} | more
    ]


def _truthful_qa(item: Mapping[str, Any]) -> list[Row]:
    targets = item["mc1_targets"]
    right = [at for at, label in enumerate(targets["labels"]) if label == 1]
    if not right:
        return []
    choices = _letters(targets["choices"])
    return [{"query": item["question"], "choices": choices, "answer": _LETTERS[right[0]]}]


def _commonsense_qa(item: Mapping[str, Any]) -> list[Row]:
    given = item["choices"]
    choices = {str(one): str(text) for one, text in zip(given["label"], given["text"], strict=True)}
    return [{"query": item["question"], "choices": choices, "answer": item["answerKey"]}]


def _halueval(item: Mapping[str, Any]) -> list[Row]:
    """Return two rows: with the right answer, and with the invented one."""
    choices = {"A": "Not Hallucinated", "B": "Hallucinated"}
    shared = {"knowledge": item["knowledge"], "question": item["question"], "choices": choices}
    return [
        {
            "query": f"{item['knowledge']}\nQuestion: {item['question']}\nAnswer: {item[name]}\n"
            "Is this answer hallucinated?",
            "answer": letter,
            **shared,
        }
        for name, letter in (("right_answer", "A"), ("hallucinated_answer", "B"))
    ]


def _question(item: Mapping[str, Any]) -> list[Row]:
    return [{"query": item["question"], "answer": item["answer"]}]


def _aime(item: Mapping[str, Any]) -> list[Row]:
    year, contest, _ = (f"{item['ID']}--").split("-", 2)
    found = {"query": item["Problem"], "answer": int(item["Answer"]), "id": str(item["ID"])}
    return [found | {"year": int(year) if year.isdigit() else None, "contest": contest}]


def _gpqa(item: Mapping[str, Any]) -> list[Row]:
    """Return a row whose right choice stands at a place that follows from the question."""
    wrong = [item[f"Incorrect Answer {number}"] for number in (1, 2, 3)]
    place = sum(map(ord, item["Question"])) % 4
    texts = [*wrong[:place], item["Correct Answer"], *wrong[place:]]
    more = {name: item[key] for name, key in _GPQA_MORE.items() if key in item}
    found = {"query": item["Question"], "choices": _letters(texts), "answer": _LETTERS[place]}
    return [found | more]


_GPQA_MORE = {"subject": "High-level domain", "difficulty": "Writer's Difficulty Estimate"}


def _codeforces(item: Mapping[str, Any]) -> list[Row]:
    samples = item.get("examples") or []
    shown_samples = "\n\n".join(
        f"Input:\n{one['input']}\nOutput:\n{one['output']}" for one in samples
    )
    text = "\n\n".join(part for part in (item["description"], shown_samples) if part)
    return [
        {
            "query": text,
            "answer": samples,
            "title": item.get("title"),
            "difficulty": item.get("rating"),
            "tags": item.get("tags") or [],
        }
    ]


def _gsm8k(item: Mapping[str, Any]) -> list[Row]:
    return [{"query": item["question"], "answer": item["answer"]}]


SETS: Mapping[str, DataSet] = {
    one.name: one
    for one in (
        DataSet(
            "aime", "Maxwell-Jia/AIME_2024", _aime, ("ID", "Problem", "Answer"), "number",
            split="train", about="30 problems of 2024, whose answers are numbers from 0 to 999",
        ),
        DataSet(
            "codeforces", "open-r1/codeforces", _codeforces, ("description",), "code",
            split="train", about="programming problems with samples, difficulty and tags",
        ),
        DataSet(
            "commonsense_qa", "tau/commonsense_qa", _commonsense_qa,
            ("question", "choices", "answerKey"), "choice",
            split="validation", about="multiple choice about everyday knowledge",
        ),
        DataSet(
            "gpqa", "Idavidrein/gpqa", _gpqa, ("Question", "Correct Answer", "Incorrect Answer 1"),
            "choice", subset="gpqa_diamond", split="train", is_gated=True,
            about="198 questions that experts wrote, multiple choice",
        ),
        DataSet(
            "gsm8k", "openai/gsm8k", _gsm8k, ("question", "answer"), "number", subset="main",
            about="word problems of grade school",
        ),
        DataSet(
            "halueval", "pminervini/HaluEval", _halueval,
            ("knowledge", "question", "right_answer", "hallucinated_answer"), "choice",
            subset="qa", split="data", about="right and invented answers, two rows for each item",
        ),
        DataSet(
            "mmlu", "cais/mmlu", _mmlu, ("question", "choices", "answer"), "choice", subset="all",
            about="multiple choice of 57 subjects; the subset is the subject",
        ),
        DataSet(
            "short_answer", "short_answer", _question, ("question", "answer"), "text",
            about="questions with short answers, from a file of one's own",
        ),
        DataSet(
            "truthful_qa", "truthfulqa/truthful_qa", _truthful_qa, ("question", "mc1_targets"),
            "choice", subset="multiple_choice", split="validation",
            about="questions that people answer wrongly out of habit, with one right choice",
        ),
    )
}  # fmt: skip
"""Data sets that are known by name."""
_OTHER_NAMES = {"my_shortanswer_ds": "short_answer"}
_own: dict[str, DataSet] = {}


def data_set(
    name: str,
    *,
    source: str,
    requires: Iterable[str],
    metric: str = "exact",
    subset: str | None = None,
    split: str = "test",
    is_gated: bool = False,
    about: str = "",
) -> Callable[[Prepare], Prepare]:
    """Declare a data set under a name, with the function that makes rows of an item.

    >>> from chainlang.evaluation import data_set, rows
    >>> @data_set("capitals", source="me/capitals", requires=["country", "capital"])
    ... def capitals(item):
    ...     return [{"query": f"The capital of {item['country']}?", "answer": item["capital"]}]
    >>> list(rows("capitals", items=[{"country": "Peru", "capital": "Lima"}]))
    [{'query': 'The capital of Peru?', 'answer': 'Lima'}]
    """

    def declare(prepare: Prepare) -> Prepare:
        if name in SETS:
            raise error_of("operand", f"{shown(name)} is a data set already", "name it otherwise")
        _own[name] = DataSet(
            name, source, prepare, tuple(requires), metric, subset, split, is_gated, about
        )
        return prepare

    return declare


def data_sets() -> dict[str, DataSet]:
    """Return all data sets that are known by name: the shipped ones, plugins, and one's own."""
    found = dict(SETS)
    for point in entry_points(group=ENTRY_POINTS):
        if point.name not in found:
            found[point.name] = point.load()
    return found | _own


def named_set(name: str) -> DataSet:
    """Return the data set of a name. Raises `OperandError` for an unknown one."""
    name = _OTHER_NAMES.get(name, name)
    known = SETS.get(name) or _own.get(name)
    if known is not None:
        return known
    every = data_sets()
    if name not in every:
        hint = suggest(name, every) or ""
        raise error_of("operand", f"no data set is called {shown(name)}", hint)
    return every[name]
