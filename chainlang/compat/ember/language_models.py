"""`LMModule`: a model with its settings, called with a prompt."""

from __future__ import annotations

import hashlib
from typing import Any

from attrs import field, frozen

from chainlang.api import recording
from chainlang.api.chain import Chain, Operand
from chainlang.api.op import op
from chainlang.api.stage_types import E
from chainlang.compat.ember.calls import run_chain
from chainlang.compat.ember.exceptions import InvalidArgumentError
from chainlang.tracer.calls import ask

__all__ = ["LMModule", "LMModuleConfig"]

DEFAULT = "openai:gpt-4o"


@frozen(init=False)
class LMModuleConfig:
    """A model and its sampling options; `id` and `model_name` both name the model.

    >>> LMModuleConfig(model_name="llama", temperature=0.2).id
    'llama'
    """

    id: str = DEFAULT
    temperature: float = 1.0
    max_tokens: int | None = None
    persona: str | None = None
    """Text before each prompt: the character in which the model replies."""
    cot_prompt: str | None = None
    """Text after each prompt: how to think about it."""
    options: dict[str, Any] = field(factory=dict)
    """Other sampling options of a stage, such as `top_p` and `stop`."""

    def __init__(
        self,
        id: str | None = None,  # noqa: A002  # Ember's name
        *,
        model_name: str | None = None,
        temperature: float = 1.0,
        max_tokens: int | None = None,
        persona: str | None = None,
        cot_prompt: str | None = None,
        **options: Any,
    ) -> None:
        if id is not None and model_name is not None and id != model_name:
            raise InvalidArgumentError(
                f"id={id!r} and model_name={model_name!r} name two models",
                recovery_hint="write one of them",
            )
        if "response_format" in options:
            raise InvalidArgumentError(
                "response_format= says too little about the reply",
                recovery_hint='declare its type: op("name", user="...", returns=Model)',
            )
        self.__attrs_init__(
            id or model_name or DEFAULT, temperature, max_tokens, persona, cot_prompt, options
        )

    @property
    def model_name(self) -> str:
        """The name of the model."""
        return self.id


class LMModule(Operand):
    """A model with its settings: called with a prompt, it returns the reply as text.

    As an operand it is a chain of one stage, whose query is the prompt.

    >>> from chainlang.engines.fake import FakeEngine
    >>> brief = LMModule(LMModuleConfig(id="llama", temperature=0.2, persona="A terse clerk."))
    >>> brief(prompt="What is 17 + 25?", engine=FakeEngine(answers={"terse": "42"}))
    '42'
    >>> print(LMModule(LMModuleConfig(id="llama")))
    E:llama:1
    """

    def __init__(
        self,
        config: LMModuleConfig | None = None,
        *,
        model_service: None = None,
        simulate_api: bool = False,
    ) -> None:
        if simulate_api:
            raise InvalidArgumentError(
                "simulate_api=True would reply without a model",
                recovery_hint="ember.use(engine=FakeEngine()), of chainlang.engines.fake",
            )
        if model_service is not None:
            raise InvalidArgumentError(
                "model_service= can't be given: a chain names its model",
                recovery_hint="set the engine: ember.use(engine=...)",
            )
        self.config = config or LMModuleConfig()
        self._chain = self._made({})

    def _made(self, changed: dict[str, Any]) -> Chain:
        one = self.config
        options = {"temperature": one.temperature, **one.options, **changed}
        if one.max_tokens is not None:
            options.setdefault("max_tokens", one.max_tokens)
        before = "" if one.persona is None else f"[Persona: {one.persona}]\n\n"
        after = "" if one.cot_prompt is None else f"\n\n# Chain of Thought:\n{one.cot_prompt}"
        if not before and not after:
            return E(one.id, 1, options.pop("temperature"), **options)
        user = f"{_literal(before)}{{{{ query }}}}{_literal(after)}"
        name = f"lm_{hashlib.blake2b(user.encode(), digest_size=4).hexdigest()}"
        return op(name, user=user)(one.id, 1, options.pop("temperature"), **options)

    def as_chain(self) -> Chain:
        """Return the chain of the one stage."""
        return self._chain

    def __call__(self, prompt: str | None = None, **options: Any) -> str:
        """Return the reply to a prompt; `options` are sampling options and settings of a call."""
        from chainlang.settings import CallSettings

        tracer = recording.current()
        if tracer is not None and tracer.holds(prompt):
            return self._asked(f"{prompt}", options)
        if not isinstance(prompt, str):
            raise InvalidArgumentError(
                f"a prompt is a text, not {prompt!r}", recovery_hint='write lm(prompt="...")'
            )
        settings = {key: one for key, one in options.items() if key in CallSettings.names()}
        changed = {key: one for key, one in options.items() if key not in settings}
        chain = self._made(changed) if changed else self._chain
        return str(run_chain(chain, {"query": prompt}, settings).answer)

    def _asked(self, prompt: str, options: dict[str, Any]) -> str:
        """Return the stand-in of the reply, in a function that is traced."""
        one = self.config
        settings = {"temperature": one.temperature, **one.options, **options}
        if one.max_tokens is not None:
            settings.setdefault("max_tokens", one.max_tokens)
        before = "" if one.persona is None else f"[Persona: {one.persona}]\n\n"
        after = "" if one.cot_prompt is None else f"\n\n# Chain of Thought:\n{one.cot_prompt}"
        stand_in: str = ask(f"{before}{prompt}{after}", one.id, 1, **settings)
        return stand_in

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return str(self._chain)

    def __repr__(self) -> str:
        return f"LMModule({self.config!r})"


def _literal(text: str) -> str:
    """Return a text as a part of a template that prints it."""
    return f"{{% raw %}}{text}{{% endraw %}}" if "{" in text else text
