"""The compiler of pipelines, and the resolver of values that a model decides."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from chainlang.api.auto import auto
from chainlang.api.combinators import with_fields
from chainlang.api.op import op
from chainlang.api.parse import load
from chainlang.compat.orchestrator.tasks import Pipeline, Task
from chainlang.diagnostics.source import Source
from chainlang.errors import raise_errors
from chainlang.ir.made_labels import made_labels
from chainlang.pipelines.document import Step
from chainlang.pipelines.read_document import read_document
from chainlang.pipelines.read_yaml import read_yaml
from chainlang.pipelines.values import Auto, Fields, Items, Scalar, Value
from chainlang.session.decide import decided
from chainlang.session.named_models import with_models
from chainlang.settings import MapSettings

_READ = re.compile(r"\bsteps\s*\.\s*([A-Za-z_]\w*)|\bsteps\s*\[\s*['\"]([^'\"]+)['\"]\s*\]")
_TAG = re.compile(r"\s*<AUTO>(.*)</AUTO>\s*\Z", re.DOTALL)


class YAMLCompiler:
    """Compiler of files of steps: each is a chain, checked as a whole."""

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        *,
        actions: str | None = "model",
    ) -> None:
        """Bind the actions that are functions; the model does what nothing else does.

        With ``actions=None`` an action that nothing does is an error.
        """
        self.functions = dict(functions or {})
        self.actions = actions

    async def compile(self, yaml_content: str, context: dict[str, Any] | None = None) -> Pipeline:
        """Return the pipeline of a text. `context` has the values that its templates read.

        Raises `NotationError` and `MeaningError` with the places of all that is wrong.
        """
        return self.compiled(yaml_content, context or {})

    def compiled(self, text: str, context: Mapping[str, Any]) -> Pipeline:
        """Return the pipeline of a text."""
        source = Source(text, "<yaml>")
        whole, found = read_document(read_yaml(source), source)
        raise_errors(found)
        named = {one.action.text for one in whole.steps if one.action is not None}
        bound = {name: one for name, one in self.functions.items() if name in named}
        chain = load(text=text, format="yaml", functions=bound, actions=self.actions)  # type: ignore[arg-type]
        tasks = {one.id.text: _task(one) for one in whole.steps}
        for one in tasks.values():
            one.dependencies = [it for it in one.dependencies if it in tasks]
        said = json.dumps([text, dict(context)], sort_keys=True, default=str)
        own = hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        name = whole.name or "pipeline"
        about = {"version": whole.version, "description": whole.description}
        return Pipeline(f"{name}-{own}", name, tasks, dict(context), about, text, chain)


def _task(step: Step) -> Task:
    action = "pipeline" if step.action is None else step.action.text
    parameters = {} if step.parameters is None else _plain(step.parameters)
    text = json.dumps(parameters, default=str)
    reads = [one or other for one, other in _READ.findall(text)]
    waits = dict.fromkeys([*(one.text for one in step.dependencies), *reads])
    waits.pop(step.id.text, None)
    policy = {"on_failure": step.on_failure.text} if step.on_failure else {}
    limit = {"timeout": step.timeout} if step.timeout is not None else {}
    return Task(
        step.id.text, step.id.text, action, parameters, list(waits), metadata={**policy, **limit}
    )


def _plain(value: Value) -> Any:
    match value:
        case Scalar(value=found):
            return found
        case Auto(text=words):
            return f"<AUTO>{words}</AUTO>"
        case Items(items):
            return [_plain(one) for one in items]
        case Fields(entries):
            return {one.key: _plain(one.value) for one in entries}


class AmbiguityResolver:
    """Resolver of values that words describe: a model chooses a format, then the value.

    `settings` are those of a call: `engine`, `model`, `auto_model`, `seed`, `cache`.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    async def resolve(self, ambiguous_content: str, context_path: str = "") -> Any:
        """Return a value for words; `context_path` says what it is for."""
        return self._resolved(ambiguous_content, context_path)

    async def resolve_nested(self, content: Any, context_path: str = "") -> Any:
        """Return an object with a value in place of each ``<AUTO>``; all else stays."""
        match content:
            case Mapping():
                return {
                    key: await self.resolve_nested(one, f"{context_path}.{key}")
                    for key, one in content.items()
                }
            case list():
                return [
                    await self.resolve_nested(one, f"{context_path}[{at}]")
                    for at, one in enumerate(content)
                ]
            case str() if (found := _TAG.match(content)) is not None:
                return self._resolved(found[1], context_path)
        return content

    def _resolved(self, words: str, path: str) -> Any:
        (name,) = made_labels([path.lstrip(".") or "value"])
        reader = op("reader", kind="generate", user=f"{{{{ {name} }}}}")
        chain = with_fields(reader, **{name: auto(words)})
        settings = MapSettings.of(self.settings)
        (one,) = decided(chain.program(), settings, with_models)[1]
        return one.value
