"""CPU of `chainlang ask` against a warm model, beside that of its request in the server.

With the ready process, and without it: a process with other options of Python does not find it.
"""

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
from chainlang.ready.control import ready_processes
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
            (ready,) = ready_processes()
            found = {size: measured(size, state, ready.pid, environment, rounds) for size in sizes}
        finally:
            subprocess.run([*chainlang, "kill"], env=environment, check=True)
    lines = [
        (
            "Seconds of CPU of one request of `tiny` that generates so many tokens, in the server, "
            f"and of `chainlang ask` beside it: the least of {rounds} rounds on one server, and of "
            "the part of the ready process the mean. A request and its `ask` are to take at most "
            f"{CLAIM} times the request. What `ask` adds is the same for each: starting, parsing, "
            "checking, printing, and without the ready process importing."
        ),
        "",
        "| tokens | the request | `ask` | both beside the request | `ask` alone | both |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {size} | {request:.2f} | {ask:.3f} | {(request + ask) / request:.2f} "
        f"| {alone:.2f} | {(request + alone) / request:.2f} |"
        for size, (request, ask, alone) in found.items()
    ]
    return "\n".join(lines)


def measured(
    size: int, state: WarmModel, ready: int, environment: Mapping[str, str], rounds: int
) -> tuple[float, float, float]:
    """Return the least CPU of a request in the server, that of `ask`, and without `ready`."""
    text = f'E::0.7(max_tokens={size}, min_tokens={size}, cut="keep")'
    words = ["-m", "chainlang", "ask", text, QUESTION]
    body = {
        "model": state.model,
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0.7,
        "max_tokens": size,
        "min_tokens": size,
        "seed": 1,
    }
    taken, inside = [], 0.0
    for number in range(rounds + 1):  # the first turn fills the caches of the disk
        begun = cpu_of(state.processes)
        send(state, json.dumps(body))
        request = cpu_of(state.processes) - begun
        begun = cpu_of([ready], children=True)
        own = of_command([OURS, *words], environment)
        inside += (cpu_of([ready], children=True) - begun) * bool(number)
        taken.append((request, own, of_command([OURS, "-X", "alone", *words], environment)))
    request, own, alone = (min(one) for one in zip(*taken[1:], strict=True))
    assert inside > 0, "the ready process has run no command"
    return request, own + inside / rounds, alone


def of_command(command: list[str], environment: Mapping[str, str]) -> float:
    """Run a command and return its seconds of CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cpu_of(processes: list[int], *, children: bool = False) -> float:
    """Return the seconds of CPU of processes so far, and with those of children that have ended."""
    ticks = 0
    for one in processes:
        fields = Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += sum(map(int, fields[11 : 15 if children else 13]))
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
