"""Traces and metrics of a command: spans for an OTLP collector, metrics for Prometheus."""

from __future__ import annotations

import argparse
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from chainlang.cli.missing import missing
from chainlang.cli.output import counted, log, say
from chainlang.errors import error_of

if TYPE_CHECKING:
    from chainlang.runtime.outcome import Outcome

_PATH = "/v1/traces"
_PARENT = "TRACEPARENT"
"""Variable with the span that spans of this process are inside of."""
_SECONDS = 5.0
"""Seconds that a collector has for a batch of spans, and at the end for the last one."""


def add_trace_endpoint(parser: argparse.ArgumentParser) -> None:
    """Add the flag of the collector of spans."""
    parser.add_argument(
        "--trace-endpoint",
        metavar="URL",
        help="send spans of rows, stages and requests to an OTLP collector (HTTP), such as "
        "http://localhost:4318",
    )


def add_metrics_port(parser: argparse.ArgumentParser) -> None:
    """Add the flag of the port of metrics."""
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="N",
        help="serve metrics for Prometheus at this port of this machine during the run; 0 is any",
    )


RowEnd: TypeAlias = "tuple[str | None, list[list[Any]], float, Sequence[str]]"
"""End of a row, as JSON: the cause of a failure or None, its usages, its seconds, its events."""


def end_of(outcome: Outcome) -> RowEnd:
    """Return the end of a row."""
    kinds = [one.kind for one in outcome.events]
    return outcome.cause, outcome.usages.note(), outcome.seconds or 0.0, kinds


@contextmanager
def observed(options: argparse.Namespace, name: str) -> Iterator[Callable[[Outcome], None]]:
    """Observe a run in the block, as its flags say; yield a function that counts each outcome.

    `name` is the model of its metrics. A worker writes the end of each row, which another process
    counts.
    """
    port, is_worker = options.metrics_port, getattr(options, "worker", None) is not None
    with ExitStack() as stack:
        stack.enter_context(traced(options.trace_endpoint, is_worker=is_worker))
        if is_worker and port is not None:
            yield lambda outcome: log("row", end=end_of(outcome))
            return
        count = stack.enter_context(row_ends(port, name))
        if port is None:
            yield lambda _: None
            return
        yield lambda outcome: count(end_of(outcome))


@contextmanager
def row_ends(port: int | None, name: str) -> Iterator[Callable[[RowEnd], None]]:
    """Serve the metrics of a run at a port in the block; yield a function that counts a row."""
    if port is None:
        yield lambda _: None
        return
    if not 0 <= port < 1 << 16:
        raise error_of("setting", f"--metrics-port {port}: ports are 0 to 65535")
    from chainlang.protocol.usages import Usages
    from chainlang.serving.metrics import Metrics, published

    metrics = Metrics()
    with published(metrics, port) as found:
        say(f"metrics are at http://127.0.0.1:{found}/metrics")
        yield lambda end: metrics.row(name, end[0], Usages.noted(end[1]), *end[2:])


@contextmanager
def traced(
    url: str | None, *, is_worker: bool = False, workers: int | None = None
) -> Iterator[Counter[str]]:
    """Send spans to an OTLP collector in the block; say at its end how many it did not take.

    Yield these numbers, by the address, to which those of other processes can be added.

    Headers, such as a key, stand in the variables of OpenTelemetry (OTEL_EXPORTER_OTLP_HEADERS).
    Spans are of the trace that the variable TRACEPARENT names, if it is set. Around a run with
    `workers` there is a span of which those of the workers are.
    Raises `SettingError` for an address that is none.
    """
    lost = Counter[str]()
    if url is None:
        yield lost
        return
    with missing("opentelemetry", "telemetry"):
        from opentelemetry import context, trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    w3c = TraceContextTextMapPropagator()

    class Counted(OTLPSpanExporter):
        """Exporter that counts the spans which were not taken."""

        def export(self, spans: Sequence[ReadableSpan]) -> Any:
            result = super().export(spans)
            lost[endpoint] += 0 if result is SpanExportResult.SUCCESS else len(spans)
            return result

    endpoint = endpoint_of(url)
    named = {"service.name": os.environ.get("OTEL_SERVICE_NAME", "chainlang")}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    exporter = Counted(endpoint, timeout=_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    before = os.environ.get(_PARENT)
    token = context.attach(w3c.extract({"traceparent": before or ""}))
    span = None
    if workers is not None:
        span = trace.get_tracer("chainlang").start_span("chainlang.workers")
        span.set_attribute("chainlang.workers", workers)
        carrier: dict[str, str] = {}
        w3c.inject(carrier, trace.set_span_in_context(span))
        os.environ[_PARENT] = carrier["traceparent"]  # of the workers
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # the lost are counted
    try:
        yield lost
    finally:
        if span is not None:
            span.end()
            os.environ.pop(_PARENT) if before is None else os.environ.update({_PARENT: before})
        context.detach(token)
        provider.force_flush(int(_SECONDS * 1000))
        provider.shutdown()
        if lost[endpoint] and is_worker:
            log("lost", spans=lost[endpoint], endpoint=endpoint)
        elif lost[endpoint]:
            say(f"{counted(lost[endpoint], 'span')} could not be sent to {endpoint}")


def endpoint_of(url: str) -> str:
    """Return the address of the traces of a collector.

    >>> endpoint_of("http://localhost:4318"), endpoint_of("https://a.example/otlp/v1/traces")
    ('http://localhost:4318/v1/traces', 'https://a.example/otlp/v1/traces')
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_address = is_address and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        hint = "write it with its scheme: http://localhost:4318"
        raise error_of("setting", f"--trace-endpoint {url!r} is no address of a collector", hint)
    return url if parts.path not in ("", "/") else f"{url.rstrip('/')}{_PATH}"
