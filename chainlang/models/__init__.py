"""Models by name: what a name means, and the engines that are open.

>>> from chainlang import chain, models
>>> models.define(small=models.fake())
>>> chain("3:E:small >> M")("Hello?").ok
True
>>> models.undefine("small")

A name means, in this order: what a call says (``models={"small": ...}``), a `model` item of the
chain, a block (`use`), the process (`define`), the file ``models.toml`` of the nearest folder and
that of the user, a provider by its prefix (``groq:llama-3.3-70b-versatile``) or a well-known family
(``gpt-4o``), and last a folder or a name on the hub, which vLLM runs in this process.
"""

from chainlang.models.declaration import Declaration, anthropic, env, fake, openai, vllm
from chainlang.models.discovery import Discovered, discover
from chainlang.models.env_file import read_env
from chainlang.models.open_engines import OpenEngine, close, engines
from chainlang.models.policy import Policy, thompson, ucb, weighted
from chainlang.models.registry import define, undefine, use
from chainlang.models.yaml_file import read_yaml

__all__ = [
    "Declaration",
    "Discovered",
    "OpenEngine",
    "Policy",
    "anthropic",
    "close",
    "define",
    "discover",
    "engines",
    "env",
    "fake",
    "openai",
    "read_env",
    "read_yaml",
    "thompson",
    "ucb",
    "undefine",
    "use",
    "vllm",
    "weighted",
]
