"""CPU of `chainlang ask` against a warm model, beside that of its request in the server."""

from __future__ import annotations

import http.client
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.turns import OURS
from chainlang.store.warm_models import WarmModel, warm_models

CLAIM = 1.3
QUESTION = "What is 17 + 25?"


def table(*, quick: bool = False) -> str:
    rounds, sizes = (1, [32]) if quick else (5, [64, 256, 512, 900])
    with TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        chainlang = [OURS, "-m", "chainlang"]
        subprocess.run([*chainlang, "warmup", "tiny"], env=environment, check=True)
        try:
            os.environ["XDG_CACHE_HOME"] = folder
            (state,) = warm_models()
            found = {size: measured(size, state, environment, rounds) for size in sizes}
        finally:
            subprocess.run([*chainlang, "kill"], env=environment, check=True)
    lines = [
        (
            "Seconds of CPU of one request of `tiny` that generates so many tokens, in the server, "
            f"and of `chainlang ask` as a whole process; the least of {rounds} rounds on one "
            f"server. A request and its `ask` are to take at most {CLAIM} times the request. What "
            "`ask` adds is the same for each: importing, parsing, checking, printing."
        ),
        "",
        "| tokens | the request | `ask` | both beside the request |",
        "|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {size} | {request:.2f} | {ask:.2f} | {(request + ask) / request:.2f} |"
        for size, (request, ask) in found.items()
    ]
    return "\n".join(lines)


def measured(
    size: int, state: WarmModel, environment: Mapping[str, str], rounds: int
) -> tuple[float, float]:
    """Return the least CPU of a request in the server, and that of `ask`."""
    text = f'E::0.7(max_tokens={size}, min_tokens={size}, cut="keep")'
    command = [OURS, "-m", "chainlang", "ask", text, QUESTION]
    body = {
        "model": state.model,
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0.7,
        "max_tokens": size,
        "min_tokens": size,
        "seed": 1,
    }
    taken = []
    for _ in range(rounds + 1):  # the first turn fills the caches of the disk
        begun = cpu_of(state)
        send(state, json.dumps(body))
        alone = cpu_of(state) - begun
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken.append((alone, cpu))
    alone, cpu = (min(one) for one in zip(*taken[1:], strict=True))
    return alone, cpu


def cpu_of(state: WarmModel) -> float:
    """Return the seconds of CPU of all processes of a server so far."""
    ticks = 0
    for one in state.processes:
        fields = Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def send(state: WarmModel, body: str) -> None:
    """Send a request as a program without chains does."""
    address = urlsplit(state.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600)
    headers = {"Authorization": f"Bearer {state.key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    reply = connection.getresponse()
    said = reply.read()
    assert reply.status == 200, said
    connection.close()


if __name__ == "__main__":
    print(table(quick="--quick" in sys.argv))
