"""A stand-in for the Hugging Face hub: it takes a data set that is pushed, and keeps its files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_REVISION = "0" * 40
_REPO = r"/api/datasets/[\w-]+/[\w-]+"


class Hub(ThreadingHTTPServer):
    """The hub, at an address of this machine."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        """Contents of the uploaded files, by their names in the commit."""
        self.tokens: set[str] = set()
        """Tokens that requests came with."""
        self.uploads: dict[str, bytes] = {}
        """Contents by their hash, before a commit names them."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:  # the names of http.server
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_PUT = do_POST

    def _answer(self, body: bytes) -> None:
        self.server.tokens.add(self.headers.get("Authorization", ""))
        found = self._found(self.path.split("?")[0], body)
        data = json.dumps({"error": "not found"} if found is None else found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(data)

    def _found(self, path: str, body: bytes) -> Any:
        """Return the answer to a request, as JSON; None for one that the hub does not know."""
        if path.startswith("/lfs/"):
            self.server.uploads[path.removeprefix("/lfs/")] = body
            return {}
        if path.endswith("/info/lfs/objects/batch"):
            return {
                "transfer": "basic",
                "objects": [*map(self._upload, json.loads(body)["objects"])],
            }
        if re.fullmatch(f"{_REPO}/preupload/main", path):
            names = [one["path"] for one in json.loads(body)["files"]]
            return {
                "files": [
                    {"path": one, "uploadMode": "lfs", "shouldIgnore": False} for one in names
                ]
            }
        if re.fullmatch(f"{_REPO}/commit/main", path):
            lines = [json.loads(line) for line in body.splitlines()]
            given = [line["value"] for line in lines if line["key"] == "lfsFile"]
            self.server.files |= {one["path"]: self.server.uploads[one["oid"]] for one in given}
            address = f"{self.server.url}/datasets/me/results/commit/{_REVISION}"
            return {"success": True, "commitOid": _REVISION, "commitUrl": address, "hookOutput": ""}
        if re.fullmatch(f"{_REPO}/tree/{_REVISION}", path):
            return [{"type": "directory", "oid": "1" * 40, "size": 0, "path": "data"}]
        if re.fullmatch(f"{_REPO}/tree/.*", path):
            return []
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if re.fullmatch(f"{_REPO}(/revision/\\w+)?", path):
            return {"id": "me/results", "sha": _REVISION, "siblings": [], "private": False}
        return None

    def _upload(self, one: dict[str, Any]) -> dict[str, Any]:
        href = f"{self.server.url}/lfs/{one['oid']}"
        return {**one, "actions": {"upload": {"href": href}}}


@contextmanager
def hub() -> Iterator[Hub]:
    """Run a hub."""
    server = Hub()
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
