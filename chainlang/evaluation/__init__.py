"""Evaluation: metrics, evaluations with intervals, paired comparisons."""

from chainlang.api.family import Family, Member, pick
from chainlang.api.family_text import family
from chainlang.evaluation.code_metrics import code_metric, pass_at
from chainlang.evaluation.compare import compare
from chainlang.evaluation.comparison import Comparison, Pair
from chainlang.evaluation.evaluate import evaluate, score_run
from chainlang.evaluation.evaluation import Evaluation
from chainlang.evaluation.improve import Improvement, improve, texts_of, with_texts
from chainlang.evaluation.judge import Judge
from chainlang.evaluation.marks import Mark, Metric
from chainlang.evaluation.metrics import choice, contains, exact, f1, number, regex, text
from chainlang.evaluation.named_sets import DataSet, data_set, data_sets
from chainlang.evaluation.race import Dropped
from chainlang.evaluation.rows import Rows, rows
from chainlang.evaluation.scores import Score
from chainlang.evaluation.shares import Agreement, Share
from chainlang.evaluation.shots import shots
from chainlang.evaluation.sweep import Sweep, Swept, sweep
from chainlang.evaluation.tune import tune
from chainlang.evaluation.tuning import Entry, Tuning
from chainlang.evaluation.vote_curve import Point, VoteCurve, vote_curve

__all__ = [
    "Agreement",
    "Comparison",
    "DataSet",
    "Dropped",
    "Entry",
    "Evaluation",
    "Family",
    "Improvement",
    "Judge",
    "Mark",
    "Member",
    "Metric",
    "Pair",
    "Point",
    "Rows",
    "Score",
    "Share",
    "Sweep",
    "Swept",
    "Tuning",
    "VoteCurve",
    "choice",
    "code_metric",
    "compare",
    "contains",
    "data_set",
    "data_sets",
    "evaluate",
    "exact",
    "f1",
    "family",
    "improve",
    "number",
    "pass_at",
    "pick",
    "regex",
    "rows",
    "score_run",
    "shots",
    "sweep",
    "text",
    "texts_of",
    "tune",
    "vote_curve",
    "with_texts",
]
