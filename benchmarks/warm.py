"""Time of `chainlang ask` against a warm model, beside its request alone, on the same server."""

from __future__ import annotations

import http.client
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.turns import OURS

CLAIM = 1.3
QUESTION = "What is 17 + 25?"


def table(*, quick: bool = False) -> str:
    rounds, sizes = (1, [32]) if quick else (5, [64, 256, 512, 900])
    with TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        chainlang = [OURS, "-m", "chainlang"]
        subprocess.run([*chainlang, "warmup", "tiny"], env=environment, check=True)
        try:
            (path,) = Path(folder).glob("chainlang/warm/*.json")
            state = json.loads(path.read_text())
            found = {size: measured(size, state, environment, rounds) for size in sizes}
        finally:
            subprocess.run([*chainlang, "kill"], env=environment, check=True)
    lines = [
        (
            "Seconds of a request of `tiny` that generates so many tokens, alone and as `ask`, "
            f"start and end included; the least of {rounds} rounds in turns on one "
            f"server (the claim: at most {CLAIM} times the request). What `ask` adds is the same "
            "for each request: the CPU of a process that imports, parses, checks and prints."
        ),
        "",
        "| tokens | the request | `ask` | beside the request | CPU of `ask` |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {size} | {alone:.2f} | {asked:.2f} | {asked / alone:.2f} | {cpu:.2f} |"
        for size, (alone, asked, cpu) in found.items()
    ]
    return "\n".join(lines)


def measured(
    size: int, state: Mapping[str, str], environment: Mapping[str, str], rounds: int
) -> tuple[float, float, float]:
    """Return the least seconds of a request and of `ask`, and the least CPU of `ask`."""
    text = f"E::0.7(max_tokens={size}, min_tokens={size}, cut='keep')".replace("'", '"')
    command = [OURS, "-m", "chainlang", "ask", text, QUESTION]
    body = {
        "model": state["model"],
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0.7,
        "max_tokens": size,
        "min_tokens": size,
        "seed": 1,
    }
    taken = []
    for _ in range(rounds + 1):  # the first turn fills the caches of the disk
        begun = time.perf_counter()
        send(state, json.dumps(body))
        alone = time.perf_counter() - begun
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        asked = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken.append((alone, asked, cpu))
    alone, asked, cpu = (min(one) for one in zip(*taken[1:], strict=True))
    return alone, asked, cpu


def send(state: Mapping[str, str], body: str) -> None:
    """Send a request as a program without chains does."""
    address = urlsplit(state["url"])
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600)
    headers = {"Authorization": f"Bearer {state['key']}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    reply = connection.getresponse()
    said = reply.read()
    assert reply.status == 200, said
    connection.close()


if __name__ == "__main__":
    print(table(quick="--quick" in sys.argv))
