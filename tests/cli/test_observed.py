"""Traces and metrics of commands, as a collector and a scraper receive them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from chainlang import Chain, chain
from chainlang.cli.observed import endpoint_of, observed
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SettingError, SourceError
from chainlang.plan.lower import lower
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run as run_rows
from chainlang.semantics.record import Record

CHAIN = 'model m = fake("x")\nmain = 2:E:m >> M\n'


def run(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    (folder / "qa.chain").write_text(CHAIN)
    rows = "".join(f"{json.dumps({'query': str(number)})}\n" for number in range(3))
    (folder / "rows.jsonl").write_text(rows)
    command = [
        sys.executable,
        "-m",
        "chainlang",
        "run",
        "qa.chain",
        "-i",
        "rows.jsonl",
        "-o",
        "out",
    ]
    return subprocess.run(
        [*command, *flags], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.slow
def test_a_collector_receives_the_spans_of_a_run(tmp_path: Path) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *given: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            found = run(tmp_path, "--trace-endpoint", url, "--metrics-port", "0")
        finally:
            server.shutdown()
            thread.join()
    assert found.returncode == 0, found.stderr
    assert "metrics are at http://127.0.0.1:" in found.stderr
    assert {path for path, _ in received} == {"/v1/traces"}
    requests = [ExportTraceServiceRequest.FromString(body) for _, body in received]
    resources = [one for request in requests for one in request.resource_spans]
    names = Counter(
        span.name for one in resources for scope in one.scope_spans for span in scope.spans
    )
    assert names == {"chainlang.run": 1, "row": 3, "stage E": 3, "chat m": 3}
    attributes = [pair for one in resources for pair in one.resource.attributes]
    assert {one.value.string_value for one in attributes if one.key == "service.name"} == {
        "chainlang"
    }


@pytest.mark.slow
def test_spans_that_no_collector_takes_are_counted(tmp_path: Path) -> None:
    found = run(tmp_path, "--trace-endpoint", "http://127.0.0.1:9/v1/traces")
    assert found.returncode == 0, found.stderr  # the rows are there all the same
    assert "10 spans could not be sent to http://127.0.0.1:9/v1/traces" in found.stderr


def test_metrics_of_a_run_are_those_of_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    options = Namespace(metrics_port=0, trace_endpoint=None)
    made = chain("2:E >> J")
    with observed(options, "qa") as observe:
        url = capsys.readouterr().err.split()[-1]
        for outcome in outcomes(made):
            observe(outcome)
        with urllib.request.urlopen(url) as response:
            text = response.read().decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    ended = 'chainlang:request_success_total{finished_reason="stop",model_name="qa"}'
    assert lines[ended] == "3.0"
    assert lines['chainlang:calls_total{model_name="qa",stage="E"}'] == "6.0"
    assert lines['chainlang:calls_total{model_name="qa",stage="J"}'] == "3.0"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def outcomes(made: Chain) -> Iterator[Outcome]:
    rows = [Record({"query": text}, text, text) for text in ("a", "b", "c")]
    return run_rows(Prepared(lower(made.body), {"tiny": FakeEngine()}), rows)


@pytest.mark.parametrize("url", ["localhost:4318", "ftp://a", "http://", "http://[", "http://a:x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match="is no address of a collector"):
        endpoint_of(url)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    options = Namespace(metrics_port=port, trace_endpoint=None)
    with pytest.raises(SettingError, match="ports are 0 to 65535"), observed(options, "qa"):
        pass


def test_a_port_that_is_taken_is_refused() -> None:
    options = Namespace(metrics_port=0, trace_endpoint=None)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        options.metrics_port = server.server_port
        with pytest.raises(SourceError, match="in use"), observed(options, "qa"):
            pass
