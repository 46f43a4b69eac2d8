"""Batches: requests that a provider answers together within a day, at a lower price.

Requests that come soon after one another are sent as one batch, which is polled until it has ended.
Which requests are in a batch is kept in a folder, so that a process which asks for the same samples
after a crash finds them in the batch that is running. A batch whose results were all handed out
leaves the folder when the client is closed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from attrs import define, frozen

from chainlang.engines.http.client import Client
from chainlang.engines.http.deltas import DeltaEmitter
from chainlang.engines.http.errors import Rejected, error_message, excerpt
from chainlang.engines.http.json_values import Malformed
from chainlang.engines.http.rate_limit import log_name
from chainlang.engines.http.response import Response
from chainlang.engines.http.retry import (
    RetriesExhausted,
    Transient,
    call_with_retries,
    retry_after,
)
from chainlang.protocol.failures import kind_of_status

_QUIET = 1.0  # seconds without a new request, after which a batch is sent
FIRST_POLL, LAST_POLL = 5.0, 60.0
"""Seconds between two polls: at first, and at most; each doubles them."""
_ATTEMPTS = 3
"""Number of batches that a request is sent in, where the others have failed or expired."""


@frozen
class Line:
    """The result of one request of a batch."""

    status: int
    """HTTP status; 0 if the request was not answered."""
    document: Any


class Http(Protocol):
    """Sends a request, with retries; raises `Rejected` and `RetriesExhausted`."""

    async def __call__(  # noqa: D102
        self, method: str, url: str, content: bytes | None = None, kind: str = "application/json"
    ) -> bytes: ...


class BatchApi(Protocol):
    """The batch interface of a provider."""

    most: int
    """Maximum number of requests in a batch."""

    async def create(self, http: Http, url: str, requests: Mapping[str, Mapping[str, Any]]) -> str:
        """Send the bodies of requests by their ids; return the id of their batch."""
        ...

    async def ended(self, http: Http, url: str, batch: str) -> bool:
        """Return whether a batch has ended."""
        ...

    async def results(self, http: Http, url: str, batch: str) -> dict[str, Line]:
        """Return the results of a batch that has ended, by the ids of the requests."""
        ...


@define(eq=False)
class _Wait:
    """A request that waits for its result."""

    body: Mapping[str, Any]
    count: int
    schema: bool
    done: asyncio.Future[Response]
    tried: int = 0


class BatchClient(Client):
    """A client whose requests are sent in batches. `folder` is where open batches are kept."""

    def __init__(self, *args: Any, api: BatchApi, folder: Path, **options: Any) -> None:
        super().__init__(*args, **options)
        self._api = api
        self._folder = folder
        self._new: dict[str, list[_Wait]] = {}
        """Requests that are in no batch yet, by id."""
        self._known: dict[str, str] | None = None
        """Batches of an earlier process, by the ids of their requests."""
        self._consumed: set[str] = set()
        """Batches whose results were handed out."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._collecting = False

    async def complete(
        self,
        content: bytes,
        count: int,
        *,
        schema: bool,
        first: int,
        deltas: DeltaEmitter | None,
        most: int,
        deadline: float | None = None,
        priority: int = 0,
        mark: str = "",
        patient: bool = True,
    ) -> Response:
        """Return the response to a request, once its batch has ended; see `Client.complete`.

        Nothing is streamed. `mark` tells samples of equal requests apart.
        """
        del first, deltas, most, priority, patient
        body = json.loads(content)
        for name in ("stream", "stream_options"):
            body.pop(name, None)
        digest = hashlib.sha256(json.dumps([body, mark], sort_keys=True).encode())
        wait = _Wait(body, count, schema, asyncio.get_running_loop().create_future())
        self._add(digest.hexdigest()[:48], wait)
        try:
            async with asyncio.timeout(deadline):
                return await wait.done
        except TimeoutError:
            what = f"{self.endpoint.url} has not ended the batch within {deadline:g} s"
            raise RetriesExhausted(what) from None

    async def close(self) -> None:
        """Close all connections, and forget the batches whose results were handed out."""
        for task in self._tasks:
            task.cancel()
        for batch in self._consumed:
            self._file(batch).unlink(missing_ok=True)
        await super().close()

    def _add(self, name: str, wait: _Wait) -> None:
        self._new.setdefault(name, []).append(wait)
        if not self._collecting:
            self._collecting = True
            self._start(self._collect())

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _collect(self) -> None:
        """Send the new requests once no more of them come."""
        seen = -1
        while seen != len(self._new) and len(self._new) < self._api.most:
            seen = len(self._new)
            await self._retry.sleep(_QUIET)
        names = list(self._new)[: self._api.most]
        taken = {name: self._new.pop(name) for name in names}
        self._collecting = False
        if self._new:
            self._collecting = True
            self._start(self._collect())
        running: dict[str, dict[str, list[_Wait]]] = {}
        for name, waits in taken.items():
            running.setdefault(self._batches().pop(name, ""), {})[name] = waits
        fresh = running.pop("", {})
        for batch, of_batch in running.items():
            self._start(self._follow(batch, of_batch))
        if fresh:
            self._start(self._send(fresh))

    async def _send(self, waits: Mapping[str, list[_Wait]]) -> None:
        bodies = {name: several[0].body for name, several in waits.items()}
        for several in waits.values():
            for one in several:
                one.tried += 1
        self.sent += 1
        try:
            batch = await self._api.create(self._http, self.endpoint.url, bodies)
        except (Rejected, RetriesExhausted) as error:
            _fail(waits.values(), error)
            return
        self._keep(batch, waits)
        await self._follow(batch, waits)

    async def _follow(self, batch: str, waits: Mapping[str, list[_Wait]]) -> None:
        """Wait for the end of a batch, and hand its results out."""
        url, pause = self.endpoint.url, FIRST_POLL
        try:
            while not await self._api.ended(self._http, url, batch):
                await self._retry.sleep(pause)
                pause = min(2 * pause, LAST_POLL)
            results = await self._api.results(self._http, url, batch)
        except (Rejected, RetriesExhausted) as error:
            _fail(waits.values(), error)
            return
        self._consumed.add(batch)
        for name, several in waits.items():
            for wait in several:
                self._hand_out(name, wait, results.get(name, Line(0, None)))

    def _hand_out(self, name: str, wait: _Wait, line: Line) -> None:
        if wait.done.done():  # it was cancelled
            return
        try:
            wait.done.set_result(self._read(wait, line))
        except Rejected as error:
            wait.done.set_exception(error)
        except (Transient, Malformed) as error:
            if wait.tried >= _ATTEMPTS:
                message = f"{self.endpoint.url}: {error}; {wait.tried} batches"
                wait.done.set_exception(RetriesExhausted(message))
                return
            self.repeated += 1
            self._add(name, wait)

    def _read(self, wait: _Wait, line: Line) -> Response:
        """Return the response of a result. Raises `Rejected`, `Transient` and `Malformed`."""
        if not line.status:
            raise Transient("the batch has no answer to a request")
        document = line.document
        error = document.get("error") if isinstance(document, dict) else None
        if line.status == 200 and not error:
            return self._dialect.parse(document, wait.count)
        said = error_message(document, json.dumps(document))
        shown = excerpt(self.endpoint.hide(said))
        message = f'{self.endpoint.url} answered {line.status} in a batch: "{shown}"'
        several = wait.count > 1
        by_text = self._dialect.error_kind(document, said, schema=wait.schema, several=several)
        by_status = self._kind_of_error(line.status, error)
        if by_status == "transport" and by_text not in {"context", "filtered"}:
            raise Transient(message)
        kind = by_status if by_text == "refused" else by_text
        raise Rejected(kind, message, self._dialect.most_tokens(said))

    async def _http(
        self, method: str, url: str, content: bytes | None = None, kind: str = "application/json"
    ) -> bytes:
        return await call_with_retries(
            partial(self._call, method, url, content, kind), self._retry, f"{url} gave no reply"
        )

    async def _call(self, method: str, url: str, content: bytes | None, kind: str) -> bytes:
        headers = {"Content-Type": kind}
        try:
            answer = await self._client.request(method, url, content=content, headers=headers)
        except self._errors as broken:
            raise Transient(f"{url} gave no reply: {type(broken).__name__}") from None
        if answer.is_success:
            return answer.content
        try:
            document = answer.json()
        except ValueError:
            document = None
        shown = excerpt(self.endpoint.hide(error_message(document, answer.text)))
        message = f'{url} answered {answer.status_code}: "{shown}"'
        failed = kind_of_status(answer.status_code)
        if failed == "transport":
            raise Transient(message, retry_after(answer.headers.get("retry-after")))
        raise Rejected(failed, message)

    # ---- the folder

    def _file(self, batch: str) -> Path:
        return self._folder / f"{hashlib.sha256(batch.encode()).hexdigest()[:32]}.json"

    def _keep(self, batch: str, names: Iterable[str]) -> None:
        """Keep which requests are in a batch."""
        self._folder.mkdir(parents=True, exist_ok=True)
        document = {"server": log_name(self.endpoint), "batch": batch, "requests": list(names)}
        self._file(batch).write_text(json.dumps(document), encoding="utf-8")

    def _batches(self) -> dict[str, str]:
        """Return the batches of earlier processes, by the ids of their requests."""
        if self._known is None:
            self._known = {}
            server = log_name(self.endpoint)
            for path in sorted(self._folder.glob("*.json")):
                match _document(path):
                    case {"server": name, "batch": str(batch), "requests": list(requests)}:
                        if name == server:
                            self._known |= {str(one): batch for one in requests}
        return self._known


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _fail(waits: Iterable[list[_Wait]], error: Exception) -> None:
    for several in waits:
        for wait in several:
            if not wait.done.done():
                wait.done.set_exception(error)
