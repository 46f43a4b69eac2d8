"""Evaluation: metrics, evaluations with intervals, paired comparisons."""

from chainlang.evaluation.compare import compare
from chainlang.evaluation.comparison import Comparison, Pair
from chainlang.evaluation.evaluate import evaluate, score_run
from chainlang.evaluation.evaluation import Evaluation
from chainlang.evaluation.judge import Judge
from chainlang.evaluation.marks import Mark, Metric
from chainlang.evaluation.metrics import choice, contains, exact, f1, number, regex, text
from chainlang.evaluation.scores import Score
from chainlang.evaluation.shares import Agreement, Share

__all__ = [
    "Agreement",
    "Comparison",
    "Evaluation",
    "Judge",
    "Mark",
    "Metric",
    "Pair",
    "Score",
    "Share",
    "choice",
    "compare",
    "contains",
    "evaluate",
    "exact",
    "f1",
    "number",
    "regex",
    "score_run",
    "text",
]
