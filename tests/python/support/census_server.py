"""A server on this machine that speaks Census's API, as documented."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

# As https://developers.getcensus.com/api-reference/sync-runs/fetch-sync-run shows a run.
RUN = {
    "id": 94,
    "sync_id": 52,
    "source_record_count": 2815,
    "source_record_invalids": 0,
    "records_processed": 2815,
    "records_updated": 2815,
    "records_failed": 0,
    "status": "completed",
    "full_sync": True,
}


@dataclass
class Answer:
    """One answer of the server: a status, a body and headers; or no answer at all."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0  # until it comes
    drips: float = 0  # seconds between its bytes
    is_reset: bool = False  # instead of an answer


def data(**values: object) -> Answer:
    """Return a good answer."""
    return Answer(body={"status": "success", "data": values})


def run(**values: object) -> Answer:
    """Return a run as Census reports it, with some values changed."""
    return data(**RUN | values)


STARTED = data(sync_run_id=94)


def record(key: str | None, message: str | None, status: str | None = "rejected") -> dict[str, Any]:
    """Return a record as Census reports it, with the values that were sent."""
    payload = {"Reverse_ETL_ID__c": key, "Name": "Secret Towers", "Email": "someone@example.com"}
    found = {"identifier": key, "status": status, "status_message": message}
    return found | {"operation": "upsert", "record_payload": payload}


@dataclass
class Server:
    """Gives `answers` one after the other, the last one for ever.

    The configuration of a sync, its runs and the records of a run come from `sync`, `runs` and
    `records`, if given; a list of `faults` comes first, by the part of a path after the last slash.
    """

    port: int
    answers: list[Answer] = field(default_factory=list)
    sync: dict[str, Any] | None = None
    runs: list[dict[str, Any]] | None = None
    records: dict[str, Sequence[dict[str, Any]]] | None = None
    faults: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    times: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the address of the API."""
        return f"http://127.0.0.1:{self.port}/api/v2"

    def answer_to(self, path: str) -> Answer:
        """Return the answer to a request."""
        parts, last = urlsplit(path), path.rpartition("/")[2]
        found = None
        if self.faults.get(last):
            return self.faults[last].pop(0)
        if parts.path.endswith("/syncs/52"):
            found = self.sync
        elif parts.path.endswith("/sync_runs"):
            found = self.runs
        elif parts.path.endswith("/records") and self.records is not None:
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            first = (int(query["page"]) - 1) * int(query["per_page"])
            found = self.records.get(query["status"], [])[first : first + int(query["per_page"])]
        if found is not None:
            return Answer(body={"status": "success", "data": found})
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Handler(BaseHTTPRequestHandler):
    """Keeps what comes in and answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer takes 40 ms
    state: Server

    def answer(self) -> None:
        """Give an answer."""
        state = self.state
        state.requests.append((self.command, self.path.removeprefix("/api/v2")))
        state.keys.add(self.headers["Authorization"])
        state.times.append(time.monotonic())
        answer = state.answer_to(self.path)
        time.sleep(answer.seconds)
        if answer.is_reset:
            self.close_connection = True
            linger = struct.pack("ii", 1, 0)  # so that closing sends a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.shutdown(socket.SHUT_RD)
            self.connection.close()
            return
        body = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
        self.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(body))} | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        for part in [body[i : i + 1] for i in range(len(body))] if answer.drips else [body]:
            self.wfile.write(part)
            time.sleep(answer.drips)

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Be silent."""


class QuietServer(ThreadingHTTPServer):
    """Does not print when a client has gone away, and does not wait for one that hangs."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Be silent."""


def serve() -> Iterator[Server]:
    """Yield a server that runs until the test has ended."""
    handler = type("OneHandler", (Handler,), {})
    with QuietServer(("127.0.0.1", 0), handler) as http:
        handler.state = Server(http.server_address[1])
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield handler.state
        finally:
            http.shutdown()
            thread.join()
