"""Pins: the tools of a server as they were approved, in a lock file.

A pin is the SHA-256 of everything that a server says of a tool. Any difference from the approved
tools refuses the server until someone approves the new ones.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from chainlang.engines.mcp.visible import visible
from chainlang.engines.protocol import refuse

LOCK = "chainlang.mcp.lock"
"""Name of the lock file."""
_FORMAT = 1
_FIELDS = ("title", "description", "input", "output", "annotations")
Definition = Mapping[str, Any]
"""Title, description, schemas of input and output, and annotations of a tool."""


@frozen
class Approved:
    """The approved state of one server: its command or address, and its tools by name."""

    start: Mapping[str, Any]
    tools: Mapping[str, Definition] = field(factory=dict)

    def pins(self, server: str) -> dict[str, str]:
        """Return the pin of each tool."""
        return {name: pin(server, name, one) for name, one in sorted(self.tools.items())}


def canonical(value: object) -> str:
    """Return a JSON value as text: sorted keys, no blanks, characters as they are.

    >>> canonical({"b": [1, "é"], "a": None})
    '{"a":null,"b":[1,"é"]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def pin(server: str, name: str, tool: Definition) -> str:
    """Return the pin of a tool of a server."""
    whole = {"server": server, "name": name, **{one: tool.get(one) for one in _FIELDS}}
    return hashlib.sha256(canonical(whole).encode("utf-8", "surrogatepass")).hexdigest()


def differences(server: str, approved: Approved, now: Approved) -> Iterator[str]:
    """Yield what has changed since a server was approved, as lines that are safe to print."""
    for name in sorted(approved.start.keys() | now.start.keys()):
        before, after = approved.start.get(name), now.start.get(name)
        if before is None and after is not None:
            yield f"{server}: {name} is {_said(after)}"
        elif before != after:
            yield f"{server}: {name} was {_said(before)}, and is {_said(after)}"
    for name in sorted(approved.tools.keys() | now.tools.keys()):
        if name not in now.tools:
            yield f"{server}.{visible(name)} is gone"
        elif name not in approved.tools:
            yield f"{server}.{visible(name)} is new: {_said(now.tools[name].get('description'))}"
        else:
            for one in _FIELDS:
                before, after = approved.tools[name].get(one), now.tools[name].get(one)
                if canonical(before) != canonical(after):
                    words = f"{one} was {_said(before)}, and is {_said(after)}"
                    yield f"{server}.{visible(name)}: {words}"


def _said(value: object) -> str:
    return visible(value if isinstance(value, str) else canonical(value))


# ---------------------------------------------------------------- the lock file


def read_lock(path: Path) -> dict[str, Approved]:
    """Return what was approved of each server; nothing without a file.

    Raises `EngineError` for a file that is damaged, or was changed by hand.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        _damaged(path, str(error))
    try:
        document = json.loads(text)
        if document["format"] != _FORMAT:
            _damaged(
                path, f"its format is {document['format']!r}, and this version reads {_FORMAT}"
            )
        found = {
            str(name): Approved(dict(one["start"]), {str(tool): dict(it["definition"])
                                for tool, it in one["tools"].items()})
            for name, one in document["servers"].items()
        }  # fmt: skip
        pins = {
            name: {tool: it["pin"] for tool, it in one["tools"].items()}
            for name, one in document["servers"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _damaged(path, f"it is no lock file ({type(error).__name__})")
    for name, approved in found.items():
        if approved.pins(name) != pins[name]:
            _damaged(path, f"the pins of {visible(name)} do not match its tools")
    return found


def _damaged(path: Path, why: str) -> Any:
    hint = "restore it, or delete it and run: chainlang mcp approve FILE"
    refuse(f"{path} can't be trusted: {visible(why)}", hint)


def write_lock(path: Path, approved: Mapping[str, Approved]) -> None:
    """Write a lock file in one step, so that a reader never meets half of it."""
    servers = {
        name: {
            "start": dict(one.start),
            "tools": {
                tool: {"definition": dict(one.tools[tool]), "pin": found}
                for tool, found in one.pins(name).items()
            },
        }
        for name, one in sorted(approved.items())
    }
    text = json.dumps({"format": _FORMAT, "servers": servers}, indent=1, sort_keys=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(path)


def definition(tool: Any) -> dict[str, Any]:
    """Return what a server says of a tool, from the SDK's `Tool`."""
    annotations = tool.annotations
    return {
        "title": tool.title,
        "description": tool.description,
        "input": tool.input_schema,
        "output": tool.output_schema,
        "annotations": None
        if annotations is None
        else annotations.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
