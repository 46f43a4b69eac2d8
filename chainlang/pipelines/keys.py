"""Tables of the keys of a file of steps: what each means, what it takes, and its JSON schema.

The checks of a file (`read_document`) and the schema for editors (`schema`) are made of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from attrs import frozen

Kind: TypeAlias = Literal[
    "text", "template", "name", "path", "whole", "number", "choice", "names", "paths", "table",
    "list", "value", "inputs", "outputs", "steps", "context",
]  # fmt: skip
"""Kind of value of a key."""
ID = r"[A-Za-z][A-Za-z0-9_-]*"
VERSION = r"\d+\.\d+\.\d+"
ON_FAILURE = ("continue", "fail", "retry", "skip")
STRATEGIES = ("adaptive", "fixed", "none")
MODEL = "model"
"""Value of `actions`: the model does every action that nothing else does."""
AUTO_PATTERN = r"^<AUTO[\s\S]*</AUTO>$"
TEMPLATE_PATTERN = r"\{\{[\s\S]*\}\}"


@frozen
class Key:
    """A key of a table: its meaning, the kind of its value, and the bounds of a number."""

    name: str
    what: str
    kind: Kind
    required: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    decided: bool = False
    """Whether its value may be an `<AUTO>`."""
    others: tuple[str, ...] = ()
    """Names of the key in other systems, which errors translate."""
    pattern: str | None = None

    @property
    def wants(self) -> str:
        """Description of its values in messages."""
        match self.kind:
            case "whole" if self.low is not None:
                return f"a whole number of at least {self.low:g}"
            case "number" if self.high is not None:
                return f"a number from {self.low:g} to {self.high:g}"
            case "choice":
                return "one of " + ", ".join(self.choices)
            case "text" if self.pattern == VERSION:
                return "three numbers, as 1.0.0"
        return _WANTS[self.kind]


_WANTS: Mapping[Kind, str] = {
    "text": "a text",
    "template": "a text, which may have {{ ... }} in it",
    "name": "a name",
    "path": "the path of a file beside this one",
    "whole": "a whole number",
    "number": "a number above 0",
    "names": "the name of a step, or a list of names",
    "paths": "the path of a .chain file beside this one, or a list of paths",
    "table": "a table: lines of `name: value`",
    "list": 'a list, or a template of one: "{{ steps.plan.queries }}"',
    "value": "a value",
    "inputs": "a table of fields, each with its type",
    "outputs": "a table of names, each with a template",
    "steps": "a list of steps",
    "context": "a table: lines of `name: value`",
}

PIPELINE: Mapping[str, Key] = {
    one.name: one
    for one in (
        Key("name", "Name of the file's pipeline.", "name", required=True, pattern=ID),
        Key("version", "Its version: three numbers.", "text", pattern=VERSION),
        Key("description", "Its description, for people.", "text"),
        Key("metadata", "Anything else for people, which nothing reads.", "table"),
        Key("context", "Limits of the whole, and values that templates read.", "context"),
        Key(
            "inputs", "Fields of a row: type, default and description of each.", "inputs",
            others=("parameters", "input", "variables"),
        ),
        Key("use", "Files with ops, types and models.", "paths", others=("import", "include")),
        Key(
            "actions", "With `model`, the model does each action that nothing else does.",
            "choice", choices=(MODEL,),
        ),
        Key("model", "Model of the steps that name none.", "text"),
        Key("steps", "The steps.", "steps", required=True, others=("tasks", "stages")),
        Key(
            "outputs", "The result of a row: names, and a template for each.", "outputs",
            others=("output", "results"),
        ),
    )
}  # fmt: skip

CONTEXT: Mapping[str, Key] = {
    one.name: one
    for one in (
        Key("timeout", "Seconds that a row may take.", "number", low=0),
        Key("max_retries", "Retries of a step with `on_failure: retry`.", "whole", low=0),
        Key(
            "checkpoint_strategy", "Has no effect: each sample is recorded.", "choice",
            choices=STRATEGIES,
        ),
    )
}  # fmt: skip

STEP: Mapping[str, Key] = {
    one.name: one
    for one in (
        Key("id", "Name of the step, by which others read it.", "name", required=True, pattern=ID,
            others=("name",)),
        Key("action", "An action of the shipped table, an op, or a function.", "name",
            others=("type", "uses", "run", "function")),
        Key("tool", "Name before the action: the function is `tool_action`.", "name"),
        Key("description", "Its description, for people.", "text"),
        Key("metadata", "Anything else for people, which nothing reads.", "table"),
        Key("parameters", "What the action is given; texts are templates.", "table",
            others=("params", "inputs", "with", "args", "arguments")),
        Key("steps", "Steps inside this one, in place of an action.", "steps"),
        Key("pipeline", "A YAML file of steps, in place of an action.", "path"),
        Key("outputs", "Results of the steps inside: names, and a template for each.", "outputs"),
        Key("dependencies", "Steps that run before it, besides those that it reads.", "names",
            others=("depends_on", "needs", "after", "requires")),
        Key("condition", "The step is skipped where this is false.", "template", decided=True,
            others=("if", "when")),
        Key("for_each", "The step runs for each item of this list.", "list",
            others=("foreach", "loop", "map")),
        Key("item", "Name of the item; default: item.", "name", pattern=r"[A-Za-z_]\w*"),
        Key("while", "The step is repeated while this is true.", "template"),
        Key("until", "The step is repeated until this is true.", "template"),
        Key("max_iterations", "Most rounds of `while` and `until`; default: 3.", "whole", low=1,
            others=("max_rounds", "max_loops")),
        Key("on_failure", "What happens if the step fails; default: fail.", "choice",
            choices=ON_FAILURE, others=("on_error", "error_handling")),
        Key("max_retries", "Retries after the first attempt.", "whole", low=0,
            others=("retries", "retry", "attempts")),
        Key("backoff", "Seconds before the first retry; each further wait is twice as long.",
            "number", low=0, others=("retry_delay", "retry_backoff_factor")),
        Key("timeout", "Seconds that an attempt may take.", "number", low=0,
            others=("time_limit", "timeout_seconds")),
        Key("model", "Model of the step.", "text", decided=True),
        Key("temperature", "Temperature of its samples.", "number", low=0, high=2, decided=True),
        Key("max_tokens", "Most tokens of a reply.", "whole", low=1, decided=True),
        Key("system", "System text of its prompts.", "template",
            others=("system_prompt", "system_message")),
    )
}  # fmt: skip

INPUT: Mapping[str, Key] = {
    one.name: one
    for one in (
        Key("type", "Type: string, integer, number, boolean, array, or as in a .chain file.",
            "text", required=True),
        Key("default", "Value where a row has none.", "value"),
        Key("description", "Its description, which prompts may show.", "text"),
        Key("choices", "The valid values.", "value", others=("enum", "options")),
        Key("required", "Whether a row needs it; false gives it the default null.", "value"),
    )
}  # fmt: skip


def matches(key: Key, text: str) -> bool:
    """Return whether a text has the letters that a key takes."""
    return key.pattern is None or re.fullmatch(key.pattern, text) is not None


def schema_of(key: Key) -> dict[str, Any]:
    """Return the JSON schema (draft 7) of the value of a key."""
    found = _schema(key)
    if key.decided:
        auto = {"type": "string", "pattern": AUTO_PATTERN}
        found = {"anyOf": [found, auto]}
    return {"description": key.what, **found}


def _schema(key: Key) -> dict[str, Any]:
    names: dict[str, Any] = {"type": "string", "pattern": f"^{key.pattern or ID}$"}
    several: dict[str, Any] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
    }
    match key.kind:
        case "text" | "path":
            return {"type": "string"} | ({"pattern": f"^{key.pattern}$"} if key.pattern else {})
        case "template":
            return {"type": ["string", "boolean"]}
        case "name":
            return names
        case "whole":
            return {"type": "integer"} | ({} if key.low is None else {"minimum": int(key.low)})
        case "number" if key.high is not None:
            return {"type": "number", "minimum": key.low, "maximum": key.high}
        case "number":
            return {"type": "number", "exclusiveMinimum": key.low or 0}
        case "choice":
            return {"enum": list(key.choices)}
        case "names" | "paths":
            return several
        case "table":
            return {"type": "object"}
        case "list":
            return {"anyOf": [{"type": "array"}, {"type": "string", "pattern": TEMPLATE_PATTERN}]}
        case "value":
            return {}
        case "inputs" | "outputs" | "steps" | "context":
            return {"$ref": f"#/definitions/{key.kind}"}
