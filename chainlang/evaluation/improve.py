"""`improve`: better prompts for a chain, found by GEPA under a budget of tokens."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from attrs import define, evolve, field, frozen

from chainlang.analysis.check_templates import template_fault
from chainlang.api.chain import Chain, ChainLike, lift
from chainlang.errors import MeaningError, error_of, raise_errors
from chainlang.evaluation.comparison import Comparison, compared
from chainlang.evaluation.evaluate import MetricLike, Scoring, evaluated
from chainlang.evaluation.evaluation import Evaluation
from chainlang.evaluation.scores import Score
from chainlang.evaluation.shares import percent
from chainlang.ir.declarations import Op

if TYPE_CHECKING:
    from chainlang.api.keywords import MapKeywords

Texts: TypeAlias = Mapping[str, str]
"""Texts of the prompts of a chain: ``ask.system``, ``ask.user``."""
_PROMPTS = ("system", "user")


@frozen(repr=False)
class Improvement:
    """The outcome of `improve`."""

    chain: Chain
    """The chain with the best texts."""
    texts: Texts = field(hash=False)
    """Its texts, also those that have not changed."""
    comparison: Comparison
    """The first chain and this one, on the rows that were held out."""
    tried: int
    """Number of versions of the texts that were tried on all rows to choose by."""
    spent: int
    """Tokens spent before the comparison, those of the reflecting chain too."""

    def __str__(self) -> str:
        lines = [f"{self.tried:,} versions tried, {self.spent:,} tokens"]
        lines += [f"{name}: {text!r}" for name, text in self.texts.items()]
        return "\n".join([*lines, str(self.comparison)])

    def __repr__(self) -> str:
        first, second = self.comparison.first.accuracy, self.comparison.second.accuracy
        return f"<Improvement from {percent(first)} to {percent(second)}>"


def texts_of(chain: Chain) -> dict[str, str]:
    """Return the texts of the prompts of a chain's ops, by name.

    >>> from chainlang import load
    >>> texts_of(load(text='op ask : generate { user = "Q: {{ query }}" }  main = ask'))
    {'ask.user': 'Q: {{ query }}'}
    """
    return {
        f"{item.name}.{one.name}": one.value
        for item in chain.items
        if isinstance(item, Op)
        for one in item.settings
        if one.name in _PROMPTS and isinstance(one.value, str)
    }


def with_texts(chain: Chain, texts: Texts) -> Chain:
    """Return a chain with other texts. Raises `MeaningError` for a wrong template."""
    items = []
    for item in chain.items:
        if isinstance(item, Op):
            settings = tuple(
                evolve(one, value=texts.get(f"{item.name}.{one.name}", one.value), span=None)
                for one in item.settings
            )
            item = evolve(item, settings=settings)  # noqa: PLW2901
        items.append(item)
    raise_errors(one for text in texts.values() if (one := template_fault(text)) is not None)
    return Chain(chain.body, tuple(items), bound=chain.bound)


def improve(
    chain: ChainLike,
    rows: Sequence[Mapping[str, Any]],
    metric: MetricLike = "exact",
    *,
    reflect: ChainLike,
    budget: int,
    texts: Sequence[str] | None = None,
    holdout: float = 0.3,
    target: str = "answer",
    answer: str = "answer",
    **settings: Unpack[MapKeywords],
) -> Improvement:
    """Look for better texts of a chain's prompts, by reflection on rows that went wrong.

    `reflect` is a chain that answers a text, which names the present prompt and what came of it;
    the largest model at hand is the best for it. `texts` are the names of the texts that may change
    (`texts_of`), by default all. `budget` bounds the tokens that are spent before the last
    comparison; it is looked at before each batch and each reflection. A share `holdout` of the rows
    is used for that comparison alone. The search is that of GEPA (Agrawal et al., 2025), which has
    to be installed: ``pip install 'chainlang[tune]'``.

    Raises `OperandError` for a chain without ops, or an unknown text.
    """
    made, reflecting = lift(chain), lift(reflect)
    scoring = Scoring.of(metric, target=target, answer=answer)
    known = texts_of(made)
    chosen = _chosen(known, texts)
    gepa = _gepa()
    ordered = [dict(one) for one in rows]
    seed = settings.get("seed", 0)
    random.Random(seed).shuffle(ordered)  # noqa: S311  # no secret
    held = round(len(ordered) * holdout)
    if held < 1 or len(ordered) - held < 4:
        raise error_of("operand", f"{len(ordered):,} rows are too few", "give at least ten")
    rest = ordered[held:]
    half = len(rest) // 2
    search = _Search(made, scoring, dict(settings), budget, reflecting, rest[half:])
    first = {name: known[name] for name in chosen}
    with suppress(_Spent):  # the best version so far is kept below
        gepa.optimize(
            seed_candidate=first,
            trainset=rest[:half],
            valset=rest[half:],
            adapter=search,
            reflection_lm=search.reflect,
            stop_callbacks=lambda _: search.is_spent,
            logger=_Quiet(),
            seed=seed,
        )
    found = with_texts(made, search.best or first)
    before, after = (
        evaluated(one, ordered[:held], scoring, None, settings) for one in (made, found)
    )
    return Improvement(
        found, texts_of(found), compared(before, after), len(search.tried), search.spent
    )


class _Spent(Exception):
    """The budget is used up."""


class _Quiet:
    """A logger of GEPA that writes nothing."""

    def log(self, message: str) -> None:
        """Drop a message."""


@define(eq=False)
class _Search:
    """The adapter of GEPA: it evaluates versions of the texts, and says what went wrong."""

    chain: Chain
    scoring: Scoring
    settings: Mapping[str, Any]
    budget: int
    reflecting: Chain
    rows: Sequence[Mapping[str, Any]]
    """Rows to choose by."""
    spent: int = 0
    tried: dict[tuple[tuple[str, str], ...], float] = field(factory=dict)
    """Accuracy of each version on all rows to choose by."""
    propose_new_texts: Callable[..., Any] | None = None
    """GEPA proposes texts itself."""

    @property
    def is_spent(self) -> bool:
        """Whether the budget is used up."""
        return self.spent >= self.budget

    @property
    def best(self) -> dict[str, str] | None:
        """The version with the highest accuracy; of equal ones the first."""
        if not self.tried:
            return None
        best, _ = max(self.tried.items(), key=lambda one: one[1])
        return dict(best)

    def evaluate(
        self, batch: Sequence[Mapping[str, Any]], candidate: Texts, capture_traces: bool = False
    ) -> Any:
        """Return the scores of a version on some rows, as GEPA wants them."""
        from gepa.core.adapter import EvaluationBatch

        found = self._evaluation(batch, candidate)
        if isinstance(found, str):  # its texts are no templates: each row is wrong
            lines = [{"Feedback": found}] * len(batch)
            outputs, scores = [None] * len(batch), [0.0] * len(batch)
        else:
            outputs = [one.answer for one in found.scores]
            scores = [one.score for one in found.scores]
            lines = [_line(row, one) for row, one in zip(batch, found.scores, strict=True)]
        if len(batch) == len(self.rows):
            key: tuple[tuple[str, str], ...] = tuple(sorted(candidate.items()))
            self.tried.setdefault(key, sum(scores) / len(scores))
        return EvaluationBatch(outputs, scores, lines if capture_traces else None)

    def _evaluation(self, batch: Sequence[Any], candidate: Texts) -> Evaluation | str:
        self._check()
        try:
            made = with_texts(self.chain, candidate)
            found = evaluated(made, batch, self.scoring, None, self.settings)
        except MeaningError as error:  # of the chain with these texts
            return str(error)
        self.spent += found.tokens
        return found

    def make_reflective_dataset(
        self,
        candidate: Texts,  # noqa: ARG002  # of GEPA
        batch: Any,
        components: Sequence[str],
    ) -> dict[str, list[dict[str, Any]]]:
        """Return what went right and wrong in a batch, for each text that may change."""
        return {name: list(batch.trajectories) for name in components}

    def reflect(self, prompt: Any) -> str:
        """Return the answer of the reflecting chain."""
        self._check()
        text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        kept = {name: one for name, one in self.settings.items() if name not in _OF_ROWS}
        result = self.reflecting(text, **kept)
        self.spent += result.usage.prompt_tokens + result.usage.output_tokens
        return str(result.answer)

    def _check(self) -> None:
        if self.is_spent:
            raise _Spent


_OF_ROWS = frozenset({"encoding", "delimiter", "rename", "limit", "window", "ordered", "outputs"})


def _line(row: Mapping[str, Any], score: Score) -> dict[str, Any]:
    said = {
        "correct": "correct",
        "wrong": f"wrong: expected {score.target}, read {score.read}",
        "unread": f"no answer could be read; expected {score.target}",
        "failed": f"failed: {score.error}",
    }
    return {
        "Inputs": dict(row),
        "Generated Outputs": str(score.answer),
        "Feedback": said[score.outcome],
    }


def _chosen(known: Texts, texts: Sequence[str] | None) -> Sequence[str]:
    if not known:
        message = "this chain has no op, and so no text that could change"
        raise error_of("operand", message, 'write its prompt as an op: op("ask", user=...)')
    for name in texts or ():
        if name not in known:
            message = f"the chain has no text {name!r}"
            raise error_of("operand", message, f"its texts: {', '.join(known)}")
    return tuple(known) if texts is None else tuple(texts)


def _gepa() -> Any:
    try:
        import gepa
    except ImportError:
        hint = "pip install 'chainlang[tune]'"
        raise error_of("operand", "improve needs gepa", hint) from None
    return gepa
