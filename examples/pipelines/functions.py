"""Functions of the pipelines beside this file: a search, a parser of code, tables, predictions."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

Table = list[dict[str, Any]]


# ---------------------------------------------------------------- research report


def search(words: str, folder: str, num_results: int = 3) -> dict[str, Any]:
    """Return the paragraphs of a folder of Markdown that have most of some words."""
    wanted = set(re.findall(r"\w+", words.lower()))
    found = [
        (-score, path.name, text.strip())
        for path in sorted(Path(folder).glob("*.md"))
        for text in path.read_text(encoding="utf-8").split("\n\n")
        if (score := len(wanted & set(re.findall(r"\w+", text.lower()))))
    ]
    return {"results": [f"{name}: {text[:400]}" for _, name, text in sorted(found)[:num_results]]}


# ---------------------------------------------------------------- code review


def parse_code(path: str) -> dict[str, Any]:
    """Return the text of a Python file, and the names of its functions. Raises for no Python."""
    text = Path(path).read_text(encoding="utf-8")
    tree = ast.parse(text)
    names = [one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
    return {"parsed_code": text, "functions": names}


def security_analysis(code: str, severity_threshold: str = "low") -> dict[str, Any]:
    """Return the calls that run code or a shell, from a severity on."""
    levels = {"low": 0, "medium": 1, "high": 2}
    severe = {"eval": "high", "exec": "high", "system": "high", "run": "medium", "open": "low"}
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            level = severe.get(name)
            if level is not None and levels[level] >= levels[severity_threshold]:
                found.append(f"line {node.lineno}: {name}() is of {level} severity")
    return {"findings": found}


def style_analysis(code: str, longest_line: int = 100) -> dict[str, Any]:
    """Return the lines that are too long, and the functions without a docstring."""
    found = [
        f"line {number} has {len(line)} characters"
        for number, line in enumerate(code.splitlines(), 1)
        if len(line) > longest_line
    ]
    found += [
        f"line {node.lineno}: {node.name}() has no docstring"
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is None
    ]
    return {"violations": found}


def analyze_complexity(code: str) -> dict[str, Any]:
    """Return the number of branches of each function."""
    branches = (ast.If, ast.For, ast.While, ast.IfExp, ast.Try, ast.comprehension)
    counted = {
        one.name: 1 + sum(isinstance(it, branches) for it in ast.walk(one))
        for one in ast.walk(ast.parse(code))
        if isinstance(one, ast.FunctionDef)
    }
    return {"metrics": counted}


# ---------------------------------------------------------------- data analysis


def load_data(source: str) -> dict[str, Any]:
    """Return the rows of a CSV file, or of JSON lines."""
    import pandas as pd

    read = pd.read_csv if source.endswith(".csv") else lambda path: pd.read_json(path, lines=True)
    return {"data": read(source).to_dict("records")}


def profile_data(data: Table) -> dict[str, Any]:
    """Return the number of rows, the columns, and those that hold numbers."""
    import pandas as pd

    frame = pd.DataFrame(data).convert_dtypes()
    numeric = list(frame.select_dtypes("number").columns)
    columns = {name: int(frame[name].nunique()) for name in frame.columns}
    return {"rows": len(frame), "numeric": numeric, "profile": {"distinct values": columns}}


def analyze_statistics(data: Table, confidence_level: float = 0.95) -> dict[str, Any]:
    """Return mean, deviation and outer quantiles of each column of numbers."""
    import pandas as pd

    numbers = pd.DataFrame(data).select_dtypes("number")
    tail = (1 - confidence_level) / 2
    insights = [
        f"{name}: mean {column.mean():.1f}, deviation {column.std():.1f}, "
        f"{confidence_level:.0%} between {column.quantile(tail):.1f} "
        f"and {column.quantile(1 - tail):.1f}"
        for name, column in numbers.items()
    ]
    return {"insights": insights}


# ---------------------------------------------------------------- ensemble prediction

FORECASTERS = (
    "Continue the trend of the last values.",
    "Repeat what comes after such values most often.",
    "Stay near the mean of all values.",
    "Look for a rule that makes each value of the one before it.",
    "Look at the differences of neighbours alone.",
    "Expect the next value to turn back.",
    "Trust the last value most.",
)


def prepare_data(input_data: list[float], last: int) -> dict[str, Any]:
    """Return the last values."""
    return {"processed_data": input_data[-last:]}


def select_models(num_models: int) -> dict[str, Any]:
    """Return the descriptions of different forecasters."""
    return {"selected_models": list(FORECASTERS[:num_models])}


def aggregate_predictions(predictions: list[str], aggregation_method: str) -> dict[str, Any]:
    """Return the mean or the most frequent number of some texts, and how far they agree."""
    found = [re.search(r"-?\d+(?:\.\d+)?", str(one)) for one in predictions]
    numbers = [float(one[0]) for one in found if one]
    if not numbers:
        return {"prediction": None, "confidence": 0.0}
    (winner, votes), *_ = Counter(numbers).most_common(1)
    if aggregation_method == "voting":
        return {"prediction": winner, "confidence": votes / len(predictions)}
    middle = mean(numbers)
    spread = pstdev(numbers) / (abs(middle) or 1)
    share = len(numbers) / len(predictions)
    return {"prediction": middle, "confidence": max(0.0, 1 - spread) * share}


def validate_results(
    prediction: float | None, confidence: float, validation_threshold: float, fallback: float
) -> dict[str, Any]:
    """Return the prediction, or the fallback below a confidence."""
    is_fallback = prediction is None or confidence < validation_threshold
    return {"prediction": fallback if is_fallback else prediction, "is_fallback": is_fallback}
