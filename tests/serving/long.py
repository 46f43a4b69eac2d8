"""Long checks of the server: `python -m tests.serving.long streams|bodies|schema|javascript COUNT`.

`schema` needs schemathesis and `javascript` needs npm and its registry; both are installed into
`build/clients`, apart from everything else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, seed, settings

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.serving import running
from tests.memory import peak
from tests.serving.served import HeldEngine, asked, events, said, serving, until
from tests.serving.test_refused import HOSTILE, JSON, check_answer

HOME = Path(__file__).parents[2] / "build" / "clients"
PACKAGES = ("openai@6.49.0", "ai@6.0.326", "@ai-sdk/openai-compatible@2.0.92")
SCHEMATHESIS = "schemathesis==4.32.5"
CHAIN = "E"
TOLD = """
type Doc = { title: str, pages: int(1..9) }
input { text: str, tone: "dry" | "warm", docs: list[Doc] = [], n: int = 3 }
op tell : generate { user = "{{ text }} {{ tone }} {{ docs | length }} {{ n }}" }
main = tell
"""
"""A chain whose rows have further fields."""
MOST = 500 << 20
"""Bytes that a server with 1,000 streams may take."""


# ---------------------------------------------------------------- streams at once


def hold() -> None:
    """Serve in this process until a line comes in; print the address, and the most memory."""
    engine = HeldEngine()
    print_line = sys.stdout.write
    with running(chain(CHAIN), engine=engine, window=100_000, queue=100_000) as url:
        print_line(f"{url}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        engine.released.set()
        sys.stdin.readline()
    print_line(f"{peak()}\n")


async def _stream(host: str, port: int, number: int, open_: asyncio.Event) -> str:
    body = json.dumps(asked(f"What is {number}?", stream=True)).encode()
    reader, writer = await asyncio.open_connection(host, port)
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await reader.readuntil(b"data: ")
    open_.set()
    rest = b"data: " + await reader.read()
    writer.close()
    lines = [line for line in rest.decode().splitlines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    return said(events(lines))


async def _streams(url: str, count: int, release: Sequence[object]) -> list[str]:
    host, _, port = url.removeprefix("http://").removesuffix("/v1").rpartition(":")
    opened = [asyncio.Event() for _ in range(count)]
    tasks = [
        asyncio.ensure_future(_stream(host, int(port), number, one))
        for number, one in enumerate(opened)
    ]
    for one in opened:
        await one.wait()
    for call in release:
        call()
    return await asyncio.gather(*tasks)


def streams(count: int) -> str:
    """Open so many streams at once, then let all of them go on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 3 * count + 100)), hard))
    words = [sys.executable, "-m", "tests.serving.long", "hold"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().strip()

        def go_on() -> None:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

        answers = asyncio.run(_streams(url, count, [go_on]))
        go_on()
        used = int(process.stdout.readline())
    rows = [f"What is {number}?" for number in range(count)]
    assert answers == [one.answer for one in chain(CHAIN).map(rows, engine=FakeEngine())]
    assert used < MOST, f"{used >> 20} MB"
    return f"{count:,} streams at once, each with the answer of its chain, in {used >> 20} MB"


# ---------------------------------------------------------------- bodies, the page, JavaScript


def bodies(count: int, number: int) -> str:
    """Send so many hostile bodies; each has an answer of ours, and nothing stays in flight."""
    sent = 0
    with serving(chain("E")) as served:

        @seed(number)
        @settings(max_examples=count, deadline=None, database=None)
        @given(HOSTILE)
        def check(body: bytes) -> None:
            nonlocal sent
            sent += 1
            found = served.client.post("/chat/completions", content=body, headers=JSON)
            check_answer(found.status_code, found.headers.get("content-type", ""), found.content)

        check()
        until(lambda: served.metric("num_requests_running") == 0)
    return f"{sent:,} hostile bodies, each with an answer of ours"


def schema(count: int, number: int) -> str:
    """Run schemathesis over the OpenAPI page, with so many examples of each path.

    Its check that all valid requests are accepted is left out: the page can't say that the last
    message has to be of the user.
    """
    home = HOME / "schemathesis"
    tool = home / "bin" / "st"
    if not tool.exists():
        _run([sys.executable, "-m", "pip", "install", "-q", "--target", home, SCHEMATHESIS])
    chains = {"qa": chain("3:E >> M"), "e": chain("E"), "told": load(text=TOLD)}
    with running(chains, engine=FakeEngine()) as url:
        words = [
            *(sys.executable, tool, "run", url.replace("/v1", "/openapi.json")),
            *("--url", url.removesuffix("/v1"), "-n", str(count), "--seed", str(number)),
            *("--exclude-checks", "positive_data_acceptance", "--no-color"),
        ]
        found = _run(words, folder=home, environment={"PYTHONPATH": str(home)})
    cases = next(line for line in found.splitlines() if "generated" in line)
    return f"schemathesis: {cases.strip()}"


def javascript() -> str:
    """Run OpenAI's client for Node.js and Vercel's AI SDK."""
    home = HOME / "node"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "node_modules").exists():
        _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", home, *PACKAGES])
    shutil.copy(Path(__file__).with_name("clients.mjs"), home)
    answers = {"17 + 25": Reply("The sum is 42.", reasoning="7 + 5 is 12")}
    chains = {"qa": chain("E"), "vote": chain("3:E >> M")}
    with running(chains, engine=FakeEngine(answers=answers)) as url:
        found = _run(["node", home / "clients.mjs", url])
    return "; ".join(found.strip().splitlines())


def _run(
    words: Sequence[object],
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
) -> str:
    """Return what a program prints; end with its output if it fails."""
    done = subprocess.run(
        [str(one) for one in words],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout)
    return done.stdout


def main() -> None:
    """Run one of the checks, and print what it counted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("hold", "streams", "bodies", "schema", "javascript"))
    parser.add_argument("count", nargs="?", type=int, default=1)
    parser.add_argument("--seed", type=lambda text: int(text, 16), default=0)
    given_ = parser.parse_args()
    match given_.what:
        case "hold":
            hold()
            return
        case "streams":
            found = streams(given_.count)
        case "bodies":
            found = bodies(given_.count, given_.seed)
        case "schema":
            found = schema(given_.count, given_.seed)
        case _:
            found = javascript()
    sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    main()
