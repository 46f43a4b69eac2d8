"""Files of an evaluation in the folder of its run: ``scores.jsonl``, ``evaluation.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict

from chainlang.data import BadRow, read_rows
from chainlang.errors import error_of
from chainlang.evaluation.evaluation import Evaluation, line_of
from chainlang.evaluation.scores import Score
from chainlang.protocol.messages import Usage
from chainlang.store.cleanup import EVALUATION, SCORES
from chainlang.store.safe_files import Folder
from chainlang.store.stored_results import metadata_of
from chainlang.store.table_formats import json_line

FORMAT = 1
_AGAIN = "score the run again: chainlang eval FOLDER --target COLUMN"


def save(evaluation: Evaluation, folder: Path) -> None:
    """Write the scores of a run into its folder, in place of earlier ones."""
    root = Folder.open(folder)
    try:
        root.write(SCORES, b"".join(json_line(line_of(one)) for one in evaluation.scores))
        about: dict[str, Any] = {
            "format": FORMAT,
            "run_ended": metadata_of(folder)["ended"],
            "metric": evaluation.metric,
            "rows": evaluation.rows,
            "accuracy": evaluation.accuracy,
            "interval": evaluation.interval,
            "outcomes": dict(evaluation.counts),
            "groups": {name: asdict(one) for name, one in evaluation.groups.items()},
            "usage": evaluation.usage.as_json(),
            "judge_usage": evaluation.judge_usage.as_json(),
        }
        text = json.dumps(about, indent=2, ensure_ascii=False)
        root.write(EVALUATION, f"{text}\n".encode())
    finally:
        root.close()


def is_scored(folder: Path) -> bool:
    """Return whether a run folder has scores."""
    return (folder / EVALUATION).is_file() and (folder / SCORES).is_file()


def saved(folder: Path) -> Evaluation:
    """Return the evaluation in a run folder. Raises `SourceError` if its files can't be read."""
    path = folder / EVALUATION
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise error_of("file", f"{path}: the format {about['format']} is of another version")
        if about["run_ended"] != metadata_of(folder)["ended"]:
            what = f"{folder}: the run has gone on since it was scored"
            raise error_of("file", what, _AGAIN)
        scores = []
        for row in read_rows(folder / SCORES):
            if isinstance(row, BadRow):
                raise error_of("file", f"{folder / SCORES}: {row.message}")
            scores.append(Score(**{"read": None, **row.fields}))
        if len(scores) != about["rows"]:
            raise ValueError
        return Evaluation(
            str(folder),
            about["metric"],
            tuple(scores),
            Usage.of_json(about["usage"]),
            Usage.of_json(about["judge_usage"]),
            folder=folder,
        )
    except OSError as error:
        raise error_of("file", f"{path}: {error.strerror}", _AGAIN) from error
    except (ValueError, KeyError, TypeError) as error:
        what = f"{folder}: {SCORES} and {EVALUATION} are not what chainlang eval has written"
        raise error_of("file", what, _AGAIN) from error
