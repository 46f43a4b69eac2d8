"""A chain on vLLM, served: its answers, and vLLM's own benchmark as a client."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import httpx2
import pytest

from chainlang import chain, models, tiny
from chainlang.serving import running
from tests.serving.served import PATIENCE, Served, said, until
from tests.serving.test_gone import sent

QUESTIONS = ["What is 17 + 25?", "What is 3 + 4?", "What is 55 + 12?"]


@pytest.mark.parametrize("text", ["E", "3:E >> M", "2:E >> J"])
def test_an_answer_is_that_of_the_chain(text: str) -> None:
    made = chain(text)
    expected = [made(one, seed=5).answer for one in QUESTIONS]
    with running(made) as url, httpx2.Client(base_url=url, timeout=PATIENCE) as client:
        served = Served(url, client)
        whole = [served.chat(one, seed=5).json() for one in QUESTIONS]
        streamed = [said(served.chunks(one, seed=5)) for one in QUESTIONS]
    assert [one["choices"][0]["message"]["content"] for one in whole] == expected == streamed


LONG = 'E(max_tokens=200, ignore_eos=true, cut="keep")'


def has_begun(served: Served, ended: float) -> bool:
    """Return whether a request is running, or has ended since so many had."""
    return served.metric("num_requests_running") == 1 or has_ended(served, ended)


def has_ended(served: Served, ended: float) -> bool:
    """Return whether one more request has ended."""
    return served.metric("request_success_total") == ended + 1


@pytest.mark.parametrize("text", [LONG, f"{LONG} >> J", f"3:{LONG} >> M"])
def test_clients_that_go_away_leave_nothing_in_the_engine(text: str) -> None:
    made = chain(text)
    with running(made) as url, httpx2.Client(base_url=url, timeout=PATIENCE) as client:
        served = Served(url, client)
        (engine,) = (one.engine for one in models.engines() if "tiny" in one.names)
        for chunks in (0, 1, 5, 20):
            for stream in (False, True):
                ended = served.metric("request_success_total")
                connection = sent(served, stream=stream)
                until(partial(has_begun, served, ended))
                data = b""
                while stream and data.count(b"data: ") < chunks and text == LONG:
                    data += connection.recv(256)
                connection.close()
                until(lambda: served.metric("num_requests_running") == 0)
                until(lambda: not engine._in_flight)
                assert not engine._loaded.engine.has_unfinished_requests()
                until(partial(has_ended, served, ended))
        assert served.metric("request_success_total") == 8  # most of them aborted
        assert said(served.chunks("What is 17 + 25?", seed=1))


@pytest.mark.filterwarnings("ignore")  # of libraries that its module imports
def test_the_benchmark_of_vllm_is_a_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.benchmarks.serve import add_cli_args, main

    monkeypatch.setenv("OPENAI_API_KEY", "none")
    parser = argparse.ArgumentParser()
    add_cli_args(parser)
    with running(chain("3:E(max_tokens=16) >> M")) as url:
        flags = [
            *("--backend", "openai-chat", "--base-url", url.removesuffix("/v1")),
            *("--endpoint", "/v1/chat/completions", "--model", "chain"),
            *("--tokenizer", str(tiny.path()), "--dataset-name", "random", "--num-prompts", "20"),
            *("--random-input-len", "16", "--random-output-len", "8", "--save-result"),
            *("--result-dir", str(tmp_path), "--result-filename", "found.json"),
        ]
        main(parser.parse_args(flags))
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["completed"], found["failed"]) == (20, 0)
    assert found["mean_ttft_ms"] > 0
