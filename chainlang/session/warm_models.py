"""Use of warm models: servers of this machine that `chainlang warmup` has started."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from chainlang.engines.protocol import Engine
from chainlang.errors import EngineError
from chainlang.ir.declarations import Model
from chainlang.ir.model_settings import TEMPLATE, is_path
from chainlang.models.open_engines import arguments_of, opened_once, source_of
from chainlang.plan.steps import Plan
from chainlang.protocol.fingerprints import SERVED
from chainlang.session.check_capabilities import check_capabilities
from chainlang.settings import RowSettings, RunSettings
from chainlang.store.warm_models import WarmModel, files_of, find, warm_models

if TYPE_CHECKING:
    from chainlang.store.journal_home import JournalHome

_DOUBT = "the server may interpret special tokens in values"


def identity(model: Model) -> tuple[str, str]:
    """Return the model and the settings that a warm model must have to be used for this one."""
    settings = arguments_of(model)
    if is_path(settings.get(TEMPLATE)):
        path = Path(settings[TEMPLATE]).expanduser()
        if path.is_file():  # else the engine says that there is none
            settings = {**settings, TEMPLATE: path.read_text(encoding="utf-8")}
    source = Path(source_of(model)).expanduser()
    name = str(source.resolve()) if source.exists() else str(source_of(model))
    return name, json.dumps(settings, sort_keys=True)


def warmed(
    plan: Plan, named: Mapping[str, Engine | Model], settings: RowSettings
) -> Mapping[str, Engine | Model]:
    """Return the engines of the models of a plan that are warm, and the rest as it is.

    A warm model is not used for stages that need more than its server can do, and if it does not
    answer; `progress` is called with the reason.
    """
    if not settings.use_warm:
        return named
    return {name: _used(name, one, plan, settings) or one for name, one in named.items()}


def as_begun(settings: RunSettings, folder: Path, home: JournalHome) -> RunSettings:
    """Return the settings of a run, which uses warm models if the run in its folder has used them.

    A warm model has another fingerprint than the same model in this process.
    """
    if settings.overwrite or next(warm_models(), None) is None:
        return settings
    from chainlang.store.resume import models_of  # a call needs nothing of run folders

    engines = {one["fingerprint"].get("engine") for one in models_of(folder, home).values()}
    if SERVED in engines:
        return settings.model_copy(update={"use_warm": True})
    return settings.model_copy(update={"use_warm": False}) if "vllm" in engines else settings


def _used(name: str, one: Engine | Model, plan: Plan, settings: RowSettings) -> Engine | None:
    """Return the engine of a warm model; None if there is none, or none that can be used."""
    if not isinstance(one, Model) or one.engine != "vllm":
        return None
    state = find(*identity(one))
    if state is None:
        return None
    why = unfit(state)
    if why:
        why += f"; run: chainlang warmup {state.shown}"
    else:
        try:
            process = (state.name, state.pid, state.born)
            engine = opened_once(name, SERVED, state.model, process, lambda: made(state))
            own = tuple(stage for stage in plan.stages if stage.model == name)
            check_capabilities(evolve(plan, stages=own), {name: engine})
        except EngineError as error:
            why = error.diagnostics[0].message
        else:
            _say(settings, f"{name} is warm: requests go to {state.url}; {_DOUBT}")
            return engine
    _say(settings, f"{name} was warmed up, but is loaded in this process: {why}")
    return None


def unfit(state: WarmModel) -> str:
    """Return why a warm model can't be used at all; empty if it can."""
    if not state.is_running:
        return "its server has ended"
    if state.files != files_of(Path(state.model)):
        return f"the files in {state.model} have changed since"
    return ""


def made(state: WarmModel) -> Engine:
    """Return the engine of a warm model. Raises `EngineError` if its server does not answer."""
    from chainlang.engines.openai.warm_engine import WarmEngine

    settings = json.loads(state.settings)
    engine = WarmEngine(
        state.model,
        state.fingerprint,
        batch_invariant=state.batch_invariant,
        base_url=state.url,
        api_key=state.key,
        max_model_len=state.fingerprint["context"],
        reasoning=settings.get("reasoning"),
        template_args=settings.get("template_args"),
    )
    engine.probe()
    return engine


def _say(settings: RowSettings, text: str) -> None:
    """Report a text, once in a process."""
    if settings.say is not None and text not in _SAID:
        _SAID.add(text)
        settings.say(text)


_SAID: set[str] = set()
