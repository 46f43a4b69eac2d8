"""A scripted editor: a client of `chainlang lsp` over stdin and stdout."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

from attrs import define, field

LONGEST = 300.0
"""Seconds after which the server is killed, so that a test that waits for it fails."""


@define(slots=False)
class Editor:
    """A running server, and what it has published."""

    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)
    published: dict[str, list[dict[str, Any]]] = field(factory=dict)
    """The last diagnostics of each file, by its name."""
    versions: dict[str, int] = field(factory=dict)
    next: int = 0
    encodings: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chainlang", "lsp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        self.end = threading.Timer(LONGEST, self.process.kill)
        self.end.daemon = True
        self.end.start()
        general = {"general": {"positionEncodings": self.encodings}} if self.encodings else {}
        self.answer = self.request(
            "initialize",
            {"processId": None, "rootUri": self.folder.as_uri(), "capabilities": general},
        )
        self.notify("initialized", {})
        return self

    answer: Any = None

    def __exit__(self, *_: object) -> None:
        self.end.cancel()
        if self.process.poll() is None:
            self.request("shutdown", None)
            self.notify("exit", None)
            assert self.process.wait(120) == 0
        self.process.wait(120)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, params: Any) -> Any:
        self.next += 1
        mine = self.next
        self._send({"id": mine, "method": method, "params": params})
        while True:
            message = self._read()
            if message.get("id") == mine and "method" not in message:
                assert "error" not in message, message["error"]["message"]
                return message["result"]

    def open(self, name: str, text: str) -> list[dict[str, Any]]:
        self.versions[name] = 1
        document = {"uri": self.uri(name), "languageId": "chainlang", "version": 1, "text": text}
        self.published.pop(name, None)
        self.notify("textDocument/didOpen", {"textDocument": document})
        return self.wait(name)

    def edit(self, name: str, text: str, range_: Any = None) -> None:
        self.versions[name] += 1
        change = {"text": text} if range_ is None else {"text": text, "range": range_}
        document = {"uri": self.uri(name), "version": self.versions[name]}
        self.notify(
            "textDocument/didChange", {"textDocument": document, "contentChanges": [change]}
        )

    def change(self, name: str, text: str) -> list[dict[str, Any]]:
        """Replace a text, and return what is published of it."""
        self.published.pop(name, None)
        self.edit(name, text)
        return self.wait(name)

    def wait(self, name: str) -> list[dict[str, Any]]:
        while name not in self.published:
            self._read()
        return self.published[name]

    def at(self, name: str, line: int, character: int) -> dict[str, Any]:
        position = {"line": line, "character": character}
        return {"textDocument": {"uri": self.uri(name)}, "position": position}

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        length = 0
        while (line := self.process.stdout.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        assert length, "the server has ended"
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            name = message["params"]["uri"].rpartition("/")[2]
            self.published[name] = message["params"]["diagnostics"]
        return message
