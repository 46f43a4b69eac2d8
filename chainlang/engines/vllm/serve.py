"""Command of a `vllm serve` with the arguments that `VllmEngine` would load the model with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang.engines.protocol import refuse
from chainlang.engines.vllm.engine_arguments import in_fingerprint
from chainlang.engines.vllm.fingerprint import fingerprint
from chainlang.engines.vllm.load import Prepared, Progress, prepare, resolve_model
from chainlang.protocol.fingerprints import SERVED, version_of
from chainlang.protocol.messages import Fingerprint

_PROMPTING = ("chat_template", "reasoning", "template_args")
_SAME = ("max_num_seqs", "max_num_batched_tokens")


@frozen
class Served:
    """A model that is ready to be served."""

    model: Prepared
    reasoning: str | None
    fingerprint: Fingerprint

    @classmethod
    def of(cls, model: str | Path, settings: Mapping[str, Any], progress: Progress) -> Served:
        """Prepare a model with the arguments of `VllmEngine`.

        Raises `EngineError` if it can't be loaded, or if its prompts depend on the day.
        """
        prompting = {name: settings.get(name) for name in _PROMPTING}
        others = {name: value for name, value in settings.items() if name not in _PROMPTING}
        made = prepare(resolve_model(model), others, progress, **prompting)
        if made.prompts.reads_date:
            what = f"the chat template of {str(model)!r} prints the date"
            hint = "a server prints its own, and not that of the run: use the model without warmup"
            refuse(what, hint, model=str(model))
        prompting.pop("chat_template")  # its text is in the fingerprint
        known = fingerprint(made.config, made.template)
        own = in_fingerprint({**others, **prompting})
        client = {"engine": SERVED, "client": version_of("chainlang")}
        return cls(made, prompting["reasoning"], {**known, **own, **client})

    def command(self, port: int, template: Path) -> list[str]:
        """Return the command that serves the model on this machine; `template` is a file."""
        template.write_text(self.model.template, encoding="utf-8")
        where = ["--host", "127.0.0.1", "--port", str(port)]
        whole = ["--model", self.model.name, "--served-model-name", self.model.name]
        more = ["--chat-template", str(template), "--disable-uvicorn-access-log"]
        if self.reasoning is not None:
            more += ["--reasoning-parser", self.reasoning]
        # `vllm serve` itself needs a package called vllm, which builds for the CPU are not.
        server = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
        return [*server, *whole, *where, *more, *self._flags()]

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the server, besides its key."""
        found = {"VLLM_NO_USAGE_STATS": "1"}
        if self.model.device == "cpu":
            found["TORCHDYNAMO_DISABLE"] = "1"  # compiling needs a C++ compiler, and 14 seconds
        return found

    def _flags(self) -> Iterator[str]:
        scheduler, cache = self.model.config.scheduler_config, self.model.config.cache_config
        whole = {name: getattr(scheduler, name) for name in _SAME}
        if cache.kv_cache_memory_bytes is not None:
            whole["kv_cache_memory_bytes"] = cache.kv_cache_memory_bytes
        whole |= self.model.arguments
        # As the constraints of `VllmEngine`: a reply can't go on with blanks until it is cut.
        outputs = {**whole["structured_outputs_config"], "disable_any_whitespace": True}
        for name, value in {**whole, "structured_outputs_config": outputs}.items():
            flag = name.replace("_", "-")
            if isinstance(value, bool):
                yield f"--{flag}" if value else f"--no-{flag}"
            else:
                yield f"--{flag}"
                yield json.dumps(value) if isinstance(value, dict) else str(value)
