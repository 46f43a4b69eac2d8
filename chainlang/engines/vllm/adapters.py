"""LoRA adapters of a vLLM model: the files of each, and whether they fit the model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from attrs import define, field, frozen

from chainlang.engines.protocol import refuse
from chainlang.engines.vllm import private_api
from chainlang.engines.vllm.load_errors import short
from chainlang.engines.vllm.memory_size import folder_of
from chainlang.engines.vllm.weight_files import digest, shapes, weight_error
from chainlang.protocol.messages import Request

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PICKLED = ("adapter_model.bin", "adapter_model.pt")
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM makes room for."""
_SETTING = "lora"
_AS_SAVED = f"name a folder as PEFT saves it, with {CONFIG} and {WEIGHTS}"
_BEFORE = "base_model.model."  # in front of the names of the base's own parts
_OUTPUTS, _INPUTS = ".lora_B.weight", ".lora_A.weight"
_AXES = ("outputs", "inputs")
_TIED = ("lm_head", "embed_tokens")
"""Parts that a model may have under another name, since one matrix is both."""
_ITS_OWN = "name the model that it was trained on"


@frozen
class Adapter:
    """An adapter that a model has room for."""

    name: str
    """Path of its folder, or its name on the hub."""
    folder: Path
    number: int
    """vLLM's number of it, from 1."""
    rank: int

    @property
    def request(self) -> Any:
        """Return vLLM's description of the adapter of a request."""
        from vllm.lora.request import LoRARequest

        return LoRARequest(str(self.folder), self.number, str(self.folder))

    @property
    def digest(self) -> str | None:
        """Return a digest of its files."""
        return digest([self.folder / CONFIG, self.folder / WEIGHTS])


@define(eq=False)
class Adapters:
    """The adapters of one engine, each numbered from 1."""

    base: Path | None
    """Folder of the model; None if its files are not here yet."""
    default: str = ""
    """Adapter of requests that name none; "" for the model itself."""
    most: int | None = None
    """Maximum rank; None for that of vLLM."""
    known: dict[str, Adapter] = field(factory=dict)

    @classmethod
    def of(
        cls, model: str, revision: str | None, lora: str | Path | None, most: int | None
    ) -> Adapters:
        """Return the adapters of an engine with the settings `lora` and `max_lora_rank`.

        Raises `EngineError` if the adapter does not fit the model.
        """
        if lora is None and most is not None:
            what = "max_lora_rank bounds the rank of an adapter, and there is none"
            refuse(what, "name the adapter: lora=...", setting="max_lora_rank")
        found = cls(folder_of(model, revision), "" if lora is None else os.fspath(lora), most)
        if found.default:
            found.adopt(found.default)
        return found

    @property
    def all(self) -> tuple[Adapter, ...]:
        """All of them, by number."""
        return tuple(self.known.values())

    @property
    def folders(self) -> list[Path]:
        """The folder of each."""
        return [one.folder for one in self.known.values()]

    def has(self, names: Iterable[str]) -> bool:
        """Return whether all of these are there."""
        return self.known.keys() >= {*names}

    def adopt(self, name: str, most: int | None = None, *, loaded: bool = False) -> None:
        """Add an adapter, whose rank may be `most`.

        Raises `EngineError` if it does not fit, or is new to a model that is `loaded`.
        """
        if loaded and name not in self.known:
            what = f"the model is loaded without room for the adapter {name!r}"
            refuse(what, "make the engine with loaded=False", setting=_SETTING)
        found = adapter(name, len(self.known) + 1, self.base, self.most if most is None else most)
        self.known.setdefault(name, found)

    def fingerprint(self, name: str) -> dict[str, str | None]:
        """Return the entry of a fingerprint for requests with an adapter; {} if they have none."""
        name = name or self.default
        return {"adapter": self.known[name].digest} if name else {}

    def request(self, request: Request) -> Any:
        """Return vLLM's description of the adapter of a request; None for none.

        Raises `ValueError` if the model has it not, or can't do what the request asks beside one.
        """
        name = request.adapter or self.default
        if name and name not in self.known:
            raise ValueError(f"the model is loaded without the adapter {name!r}")
        if request.labels and self.known:
            raise ValueError("probabilities of labels are not known beside adapters")
        return self.known[name].request if name else None


def adapter(name: str, number: int, base: Path | None, most: int | None) -> Adapter:
    """Return an adapter for the model in a folder, or for one whose files are not here (None).

    `most` is its maximum rank; None for that of vLLM. Raises `EngineError` if it does not fit.
    """
    folder = _folder(name)
    rank = _rank(name, folder)
    if most is not None and rank > most:
        message = f"the adapter {name!r} has the rank {rank}, and max_lora_rank is {most}"
        refuse(message, f"write max_lora_rank={rank}, or leave it out", setting="max_lora_rank")
    _check_base(name, shapes(folder), {} if base is None else shapes(base))
    return Adapter(name, folder, number, rank)


def arguments(adapters: Iterable[Adapter], given: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Return vLLM's arguments that make room for adapters; none without any.

    On the CPU vLLM computes requests without an adapter with the weights in the last of its slots,
    so there is one slot more, which stays empty. Raises `EngineError` if `max_loras` is `given`
    and leaves none.
    """
    adapters = tuple(adapters)
    if not adapters:
        return {}
    needed = len(adapters) + (device == "cpu")
    slots = given.get("max_loras") or needed
    if device == "cpu" and slots < needed:
        message = f"max_loras is {slots}, and {len(adapters)} adapters on the CPU need {needed}"
        refuse(message, "leave max_loras out: there is room for all adapters", setting="max_loras")
    highest = max(one.rank for one in adapters)
    rank = next(one for one in RANKS if one >= highest)
    return {"enable_lora": True, "max_loras": slots, "max_lora_rank": rank}


def _folder(name: str) -> Path:
    """Return the folder of an adapter; one on the hub is downloaded."""
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        _wrong(name, "is a file, not a folder", _AS_SAVED)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        refuse(f"there is no adapter at {name!r}", _AS_SAVED, setting=_SETTING)
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name, allow_patterns=[CONFIG, WEIGHTS]))
    except Exception as error:  # noqa: BLE001  # the hub's client has no common base class
        what = f"there is no folder {name!r}, and it can't be had from the hub: {short(str(error))}"
        refuse(what, f"where there is a network, run: hf download {name}", setting=_SETTING)


def _rank(name: str, folder: Path) -> int:
    """Return the rank of an adapter, after a look at its files."""
    if not (folder / CONFIG).is_file():
        if (folder / "config.json").is_file():
            what = f"is a whole model, not an adapter: it has no {CONFIG}"
            _wrong(name, what, f'name it as the model: vllm("{name}")')
        _wrong(name, f"is no adapter: it has no {CONFIG}", _AS_SAVED)
    if not (folder / WEIGHTS).is_file():
        other = next((one for one in _PICKLED if (folder / one).is_file()), None)
        hint = f"save it as safetensors: {other} may run code" if other else _AS_SAVED
        _wrong(name, f"has no weights: there is no {WEIGHTS}", hint)
    if (error := weight_error(folder)) is not None:
        _wrong(name, f"can't be loaded: {error[0]}", error[1])
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        _wrong(name, f"has an {CONFIG} that is no JSON", "copy or download it again")
    kind = config.get("peft_type", "LORA") if isinstance(config, dict) else None
    if kind != "LORA":
        _wrong(name, f"is no LoRA adapter: its {CONFIG} says {kind!r}", _AS_SAVED)
    try:
        return private_api.adapter_rank(config)
    except (TypeError, ValueError, AttributeError) as error:
        _wrong(name, f"can't be used: {short(str(error))}", "train or save it without that")


def _check_base(
    name: str, own: Mapping[str, tuple[int, ...]], base: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise if an adapter changes parts that its base does not have, or that have other sizes.

    A model whose files have none of these names is left to vLLM.
    """
    missing, is_known = "", False
    for tensor, shape in own.items():
        for axis, part in enumerate((_OUTPUTS, _INPUTS)):
            if not tensor.endswith(part) or len(shape) != 2:
                continue
            module = tensor.removesuffix(part).removeprefix(_BEFORE)
            there = base.get(f"{module}.weight", ())
            if len(there) != 2:
                missing = missing or module
                continue
            is_known = True
            if there[axis] != shape[axis]:
                what = f"{module} has {shape[axis]} {_AXES[axis]} in it and {there[axis]} here"
                _wrong(name, f"is of another model: {what}", _ITS_OWN)
    if missing and is_known and not missing.endswith(_TIED):
        _wrong(name, f"is of another model: there is no {missing} here", _ITS_OWN)


def _wrong(name: str, what: str, hint: str | None = None) -> NoReturn:
    refuse(f"the adapter {name!r} {what}", hint, setting=_SETTING)
