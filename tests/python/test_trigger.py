"""The program that triggers Census, against a server on this machine that answers as documented."""

import argparse
import itertools
import json
import logging
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trigger_census_sync as program
from conftest import ROOT, Project, copy_of, simulate_sync
from trigger_census_sync import Settings, Waiting

KEY = "secret-token:7b0c9e"
FAST = Settings(
    connect_timeout=5,
    read_timeout=5,
    retries=2,
    backoff_factor=0,
    retry_after_max=1,
    poll_first=0.01,
    poll_max=0.02,
    progress_every=60,
)
# As https://developers.getcensus.com/api-reference/sync-runs/fetch-sync-run shows a run.
RUN = {
    "id": 94,
    "sync_id": 52,
    "source_record_count": 2815,
    "source_record_updates": 2815,
    "source_record_deletes": 0,
    "source_record_invalids": 0,
    "records_processed": 2815,
    "records_updated": 2815,
    "records_failed": 0,
    "error_code": None,
    "error_message": None,
    "error_detail": None,
    "status": "completed",
    "canceled": False,
    "full_sync": True,
}
TRIGGER = ("POST", "/api/v1/syncs/52/trigger?force_full_sync=true")
POLL = ("GET", "/api/v1/sync_runs/94")


@dataclass
class Answer:
    """One answer of the server: a status, a body and headers; or no answer at all."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0  # until it comes
    is_reset: bool = False  # instead of an answer


def data(**values: object) -> Answer:
    """Return a good answer."""
    return Answer(body={"status": "success", "data": values})


def run(**values: object) -> Answer:
    """Return a run as Census tells of it, with some values changed."""
    return data(**RUN | values)


STARTED = data(sync_run_id=94)
OPEN = Waiting(False, "The guard is open.", 2815)


@dataclass
class Server:
    """A server that gives one answer after the other, the last one for ever."""

    port: int
    answers: list[Answer] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the address of the API."""
        return f"http://127.0.0.1:{self.port}/api/v1"


class Handler(BaseHTTPRequestHandler):
    """Keeps what comes in and answers as told."""

    protocol_version = "HTTP/1.1"
    told: Server

    def answer(self) -> None:
        """Give the next answer."""
        told = self.told
        told.requests.append((self.command, self.path))
        told.keys.append(self.headers["Authorization"])
        told.times.append(time.monotonic())
        answer = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
        time.sleep(answer.seconds)
        if answer.is_reset:
            linger = struct.pack("ii", 1, 0)  # so that closing sends a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RD)
            self.connection.close()
            return
        body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        headers = {"Content-Length": str(len(body.encode()))} | answer.headers
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Be silent."""


class QuietServer(ThreadingHTTPServer):
    """Does not print when a client has gone away."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Be silent."""


def serve() -> Iterator[Server]:
    """Yield a server that runs until the test has ended."""
    handler = type("OneHandler", (Handler,), {})
    with QuietServer(("127.0.0.1", 0), handler) as http:
        handler.told = Server(http.server_address[1])
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield handler.told
        http.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    """Yield the server that the program calls Census."""
    yield from serve()


@pytest.fixture
def other_server() -> Iterator[Server]:
    """Yield a server on which nothing may arrive."""
    yield from serve()


@dataclass
class Outcome:
    """What a run of the program left: its exit code and what it printed and logged."""

    code: int
    output: str


Census = Callable[..., Outcome]


def pauses(server: Server) -> list[float]:
    """Return the seconds between the requests."""
    return [later - time for time, later in itertools.pairwise(server.times)]


@pytest.fixture
def census(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Census:
    """Return a function that runs the program in this process, and sees that no key is shown."""
    monkeypatch.setenv("CENSUS_API_KEY", KEY)
    monkeypatch.setenv("CENSUS_API_URL", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    caplog.set_level(logging.DEBUG)

    def call(
        *answers: Answer,
        options: tuple[str, ...] = (),
        settings: Settings = FAST,
        waiting: Waiting | None = OPEN,
    ) -> Outcome:
        server.answers = list(answers)
        capfd.readouterr()  # what a fixture printed
        read = {"read": lambda _: waiting} if waiting else {}
        code = program.main(["--sync-id", "52", *options], settings, **read)
        output = "".join(capfd.readouterr())
        no_key(output, caplog.text)
        assert set(server.keys) <= {f"Bearer {KEY}"}
        return Outcome(code, output)

    return call


def no_key(*texts: str) -> None:
    """See that no text holds the key, nor a traceback."""
    for text in texts:
        assert KEY not in text
        assert KEY.partition(":")[2] not in text
        assert "Traceback" not in text


# --- A run that ends --------------------------------------------------------------------------


def test_a_sync_is_triggered_in_full_and_followed_to_its_end(
    census: Census, server: Server
) -> None:
    outcome = census(STARTED, run(status="queued"), run(status="working"), run())
    assert outcome.code == 0
    assert server.requests == [TRIGGER, POLL, POLL, POLL]
    assert outcome.output.splitlines() == [
        "Run 94 of sync 52 has begun: 2,815 rows to sync.",
        "Run 94 completed: 2,815 records processed, 2,815 updated, 0 invalid, 0 rejected. "
        "Error message: none",
    ]


def test_a_failed_run_is_told_without_what_may_be_a_value(census: Census) -> None:
    message = 'Please make sure\nthe field "name" with value "Oak Court" is "text"'
    outcome = census(STARTED, run(status="failed", records_processed=None, error_message=message))
    assert outcome.code == 1
    assert "? records processed" in outcome.output
    assert 'Error message: Please make sure the field "…" with value "…"' in outcome.output
    assert "Oak Court" not in outcome.output
    assert "Run 94 failed: see in Census why" in outcome.output


@pytest.mark.parametrize(
    "values", [{"canceled": True}, {"canceled": True, "status": "failed"}, {"status": "canceled"}]
)
def test_a_run_that_somebody_canceled_has_failed(census: Census, values: dict) -> None:
    outcome = census(STARTED, run(status="working"), run(**values))
    assert outcome.code == 1
    assert "Run 94 canceled: see in Census why" in outcome.output


@pytest.mark.parametrize(
    ("invalid", "rejected", "share", "code"),
    [
        (1, 0, "0", 1),
        (0, 0, "0", 0),
        (14, 14, "0.01", 0),
        (14, 15, "0.01", 1),
        (29, 0, "0.01", 1),
        (0, 29, "0.01", 1),
        (400, 300, "0.25", 0),
        (2815, 0, "1", 0),
    ],
)
def test_too_many_bad_records_are_a_failure(
    census: Census, invalid: int, rejected: int, share: str, code: int
) -> None:
    answer = run(source_record_invalids=invalid, records_failed=rejected)
    outcome = census(STARTED, answer, options=("--max-bad-share", share))
    assert outcome.code == code
    assert f"{invalid:,} invalid, {rejected:,} rejected" in outcome.output
    assert (f"{invalid + rejected:,} records were invalid or rejected" in outcome.output) == code


def test_nothing_but_invalid_records_are_a_failure(census: Census) -> None:
    answer = run(source_record_invalids=9, records_processed=0, records_updated=0)
    assert census(STARTED, answer).code == 1


def test_the_older_name_of_the_invalid_records_is_known(census: Census) -> None:
    older = {name: value for name, value in RUN.items() if name != "source_record_invalids"}
    assert census(STARTED, data(**older, records_invalid=2815)).code == 1
    assert census(STARTED, data(**older, records_invalid=3)).code == 0


def test_a_long_run_is_seen_to_go_on(census: Census) -> None:
    working = [run(status="working", records_processed=done) for done in (None, 1200, 2400)]
    settings = replace(FAST, progress_every=0)
    outcome = census(STARTED, *working, run(), settings=settings)
    assert outcome.code == 0
    assert re.findall(r"Run 94: (\S+) records processed so far", outcome.output) == [
        "0",
        "1,200",
        "2,400",
    ]


# --- A run that does not end, or of which nothing is heard ------------------------------------


def test_a_run_that_does_not_end_in_time_cannot_be_told(census: Census, server: Server) -> None:
    outcome = census(STARTED, run(status="working"), options=("--timeout-minutes", "0.005"))
    assert outcome.code == 2
    assert "Run 94 is still working after 0.005 minutes and may go on" in outcome.output
    assert time.monotonic() - server.times[0] >= 0.3
    assert len(pauses(server)) > 1
    assert sum(pauses(server)) < 10


def test_polls_come_ever_more_slowly_up_to_a_cap(census: Census, server: Server) -> None:
    settings = replace(FAST, poll_first=0.05, poll_growth=2, poll_max=0.15)
    census(STARTED, *[run(status="working")] * 4, run(), settings=settings)
    first, second, third, fourth = pauses(server)[1:]
    assert (first >= 0.05, second >= 0.1, third >= 0.15, fourth >= 0.15) == (True,) * 4
    server.times.clear()
    settings = replace(FAST, poll_first=0.05, poll_growth=1000, poll_max=0.15)
    census(STARTED, *[run(status="working")] * 2, run(), settings=settings)
    assert pauses(server)[2] < 10


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=409, body={"status": "error", "message": "Conflict"}),
        Answer(status=422, body={"status": "error", "message": "The sync is already running"}),
        Answer(body={"status": "error", "message": "A run is in progress"}),
    ],
)
def test_a_sync_that_runs_already_is_told(census: Census, answer: Answer, server: Server) -> None:
    outcome = census(answer)
    assert outcome.code == 2
    assert "a run is going on" in outcome.output
    assert "Wait for its end" in outcome.output
    assert server.requests == [TRIGGER]


def test_a_run_that_census_skips_because_of_another_is_told(census: Census) -> None:
    skipped = run(status="skipped", records_processed=None)
    outcome = census(STARTED, run(status="queued"), skipped, options=("--timeout-minutes", "0.1"))
    assert outcome.code == 2
    assert "Census skipped run 94 because an earlier one still goes on" in outcome.output


# --- Faults that pass -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=500, body="<h1>Oops</h1>"),
        Answer(status=503, body=""),
        Answer(status=429, body=""),
        Answer(is_reset=True),
        Answer(seconds=0.8, body=""),
    ],
    ids=["500", "503", "429", "reset", "time-out"],
)
def test_a_passing_fault_is_tried_again(census: Census, server: Server, fault: Answer) -> None:
    settings = replace(FAST, read_timeout=0.5 if fault.seconds else 5)
    answers = (fault, fault, STARTED, fault, run(status="working"), run())
    assert census(*answers, settings=settings).code == 0
    assert server.requests == [TRIGGER] * 3 + [POLL] * 3


def test_census_may_ask_to_wait_before_the_next_try(census: Census, server: Server) -> None:
    def busy(seconds: int) -> Answer:
        return Answer(status=429, body="", headers={"Retry-After": str(seconds)})

    assert census(busy(1), STARTED, run()).code == 0
    assert pauses(server)[0] >= 1
    server.times.clear()
    assert census(STARTED, busy(20), run()).code == 0  # the upper bound is 1
    assert 1 <= pauses(server)[1] < 10


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Answer(status=503, body=""), "Census answered 503 again and again"),
        (Answer(status=429, body=""), "Census answered 429 again and again"),
        (Answer(is_reset=True), "Census could not be reached"),
        (Answer(seconds=0.4, body=""), "Census could not be reached"),
        (Answer(status=429, headers={"Retry-After": "soon"}), "Census could not be reached"),
    ],
    ids=["503", "429", "reset", "time-out", "malformed Retry-After"],
)
@pytest.mark.parametrize("before", [[], [STARTED]], ids=["trigger", "poll"])
def test_a_fault_that_stays_cannot_be_told(
    census: Census, server: Server, before: list[Answer], fault: Answer, expected: str
) -> None:
    settings = replace(FAST, read_timeout=0.3 if fault.seconds else 5)
    outcome = census(*before, fault, settings=settings)
    assert outcome.code == 2
    assert expected in outcome.output
    assert "try again" in outcome.output
    assert len(server.requests) <= len(before) + 1 + FAST.retries


def test_nobody_at_the_address_cannot_be_told(
    census: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # but does not listen
        monkeypatch.setenv("CENSUS_API_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/api/v1")
        outcome = census(STARTED)
    assert outcome.code == 2
    assert "Census could not be reached" in outcome.output


# --- Answers that cannot be used --------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body="not JSON"),
        Answer(body=""),
        Answer(body='{"status": "success", "data": '),
        Answer(body=[]),
        Answer(body={}),
        Answer(body={"status": "success"}),
        Answer(body={"status": "success", "data": [94]}),
        Answer(body={"status": "error", "message": "nope"}),
        Answer(body={"data": {"sync_run_id": 94, **RUN}}),
        Answer(status=422, body={"status": "success", "data": {"sync_run_id": 94, **RUN}}),
        data(),
        data(sync_run_id="94/../95", status=None),
        data(sync_run_id=True, status=3),
    ],
)
@pytest.mark.parametrize("before", [[], [STARTED]], ids=["trigger", "poll"])
def test_a_malformed_answer_cannot_be_told(
    census: Census, server: Server, before: list[Answer], answer: Answer
) -> None:
    outcome = census(*before, answer)
    assert outcome.code == 2
    assert "in Census" in outcome.output
    assert len(server.requests) == len(before) + 1


@pytest.mark.parametrize(
    "name", ["records_processed", "records_updated", "records_failed", "source_record_invalids"]
)
@pytest.mark.parametrize("value", [None, "2815", -1, 0.5])
def test_a_completed_run_without_its_counts_cannot_be_told(
    census: Census, name: str, value: object
) -> None:
    outcome = census(STARTED, run(**{name: value}))
    assert outcome.code == 2
    assert "Census did not say how run 94 went" in outcome.output


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("before", [[], [STARTED]], ids=["trigger", "poll"])
def test_a_key_that_is_not_accepted_is_told(
    census: Census, server: Server, before: list[Answer], status: int
) -> None:
    outcome = census(*before, Answer(status=status, body={"message": f"bad key {KEY}"}))
    assert outcome.code == 2
    assert f"Census answered {status}, it does not accept the key" in outcome.output
    assert len(server.requests) == len(before) + 1


def test_a_key_that_census_repeats_is_not_shown(census: Census) -> None:
    assert census(Answer(status=422, body={"message": f"about Bearer {KEY}"})).code == 2
    assert census(STARTED, run(status="failed", error_message=f"token {KEY}")).code == 1


def test_a_sync_that_does_not_exist_is_told(census: Census) -> None:
    outcome = census(Answer(status=404, body={"status": "error"}))
    assert outcome.code == 2
    assert "check --sync-id" in outcome.output


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("before", [[], [STARTED]], ids=["trigger", "poll"])
def test_a_redirect_is_not_followed(
    census: Census, server: Server, other_server: Server, before: list[Answer], status: int
) -> None:
    other_server.answers = [run(sync_run_id=94)]
    redirect = Answer(status=status, body="", headers={"Location": other_server.url})
    outcome = census(*before, redirect)
    assert outcome.code == 2
    assert f"Census answered {status}, a redirect" in outcome.output
    assert len(server.requests) == len(before) + 1
    assert not other_server.requests


# --- The key and the address ------------------------------------------------------------------


def test_netrc_does_not_replace_the_key(
    census: Census, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert census(STARTED, run()).code == 0  # which sees that each request had the key


def test_a_line_end_around_the_key_is_forgiven(
    census: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENSUS_API_KEY", f" {KEY}\r\n")
    assert census(STARTED, run()).code == 0


@pytest.mark.parametrize("key", [None, "", " \n", f"{KEY} {KEY}", f"{KEY}\r\nX: y", f"{KEY}é"])
def test_without_a_proper_key_nothing_is_sent(
    census: Census, server: Server, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.delenv("CENSUS_API_KEY")
    if key is not None:
        monkeypatch.setenv("CENSUS_API_KEY", key)
    outcome = census(STARTED, run())
    assert outcome.code == 2
    assert outcome.output.startswith("CENSUS_API_KEY ")
    assert not server.requests


@pytest.mark.parametrize(
    "url",
    [
        "http://app.getcensus.com/api/v1",
        "http://localhost.example.com/api/v1",
        "ftp://localhost/api/v1",
        "app.getcensus.com/api/v1",
        "https://",
        "https://[",
        "https://someone:else@app.getcensus.com/api/v1",
        "https://app.getcensus.com/api/v1?a=b",
    ],
)
def test_an_unsafe_address_is_refused(
    census: Census, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("CENSUS_API_URL", url)
    outcome = census(STARTED)
    assert outcome.code == 2
    assert outcome.output.startswith("CENSUS_API_URL is not an https address")
    assert "else" not in outcome.output


def test_the_address_is_the_documented_one_unless_another_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CENSUS_API_URL", raising=False)
    assert program.read_api_url() == "https://app.getcensus.com/api/v1"
    monkeypatch.setenv("CENSUS_API_URL", "https://app-eu.getcensus.com/api/v2/")
    assert program.read_api_url() == "https://app-eu.getcensus.com/api/v2"


@pytest.mark.parametrize(
    "options",
    [
        ["--sync-id", "0"],
        ["--sync-id", "5/../6"],
        ["--sync-id", ""],
        ["--sync-id", "5", "--relation", "a') }} b"],
        ["--sync-id", "5", "--max-bad-share", "1.1"],
        ["--sync-id", "5", "--max-bad-share", "nan"],
        ["--sync-id", "5", "--timeout-minutes", "0"],
        ["--sync-id", "5", "--timeout-minutes", "inf"],
        ["--sync-id", "5", "--project-dir", "no_such_folder"],
        ["--sync-id", "5", "--project-dir", "/"],
        ["--sync-id", "5", "--key", "x"],
        [],
    ],
)
def test_wrong_arguments_are_refused(options: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        program.main(options)
    assert stop.value.code == 2


def test_the_help_says_what_the_exit_codes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--help"])
    printed = capsys.readouterr().out
    assert re.findall(r"^    ([0-9])  ", printed, re.M) == ["0", "1", "2"]


# --- What dbt reads ---------------------------------------------------------------------------


def test_a_tripped_guard_sends_nothing(census: Census, server: Server) -> None:
    waiting = Waiting(True, "The guard is tripped: 3 feature rows have a property id.", 0)
    outcome = census(STARTED, waiting=waiting)
    assert outcome.code == 1
    assert outcome.output == f"Census was not called. {waiting.verdict}\n"
    assert not server.requests


def options_for(project: Project, *more: str) -> argparse.Namespace:
    """Return the arguments for a project."""
    arguments = ["--sync-id", "52", "--project-dir", str(project.path), *more]
    return program.make_parser().parse_args(arguments)


def test_dbt_reads_the_guard_and_the_rows_and_leaves_no_trace(
    incident: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {path: path.stat().st_mtime_ns for path in incident.path.rglob("*") if path.is_file()}
    waiting = program.read_waiting(options_for(incident))
    assert (waiting.is_tripped, waiting.rows) == (False, 2815)
    assert waiting.verdict.startswith("The guard is open: ")
    backfill = options_for(incident, "--relation", "product_property_feature_backfill")
    assert program.read_waiting(backfill).rows == 1296
    assert capfd.readouterr() == ("", "")
    after = {path: path.stat().st_mtime_ns for path in incident.path.rglob("*") if path.is_file()}
    assert {path for path in after if ".duckdb" not in path.name} == {
        path for path in files if ".duckdb" not in path.name
    }


def test_a_guard_that_trips_in_the_warehouse_sends_nothing(
    loop: Project, census: Census, server: Server
) -> None:
    few = ("--vars", "guard_min_feature_rows: 1000000")
    assert loop.dbt("run", "--select", "feature_sync_guard", *few).success, loop.output
    outcome = census(STARTED, options=("--project-dir", str(loop.path)), waiting=None)
    assert outcome.code == 1
    assert "fewer than guard_min_feature_rows (1000000)" in outcome.output
    assert not server.requests


def test_nothing_to_sync_sends_nothing(loop: Project, census: Census, server: Server) -> None:
    assert simulate_sync(loop, "{relation: product_property_feature_sync}"), loop.output
    outcome = census(STARTED, options=("--project-dir", str(loop.path)), waiting=None)
    assert outcome.code == 0
    assert outcome.output.startswith("product_property_feature_sync has no rows")
    assert not server.requests


UNREADABLE = {
    "--relation no_such_model": "depends on a node named 'no_such_model' which was not found",
    "--target no_such_target": "does not have a target named 'no_such_target'",
    "--vars no_such_var": "no_such_var",
}


@pytest.mark.parametrize("options", UNREADABLE)
def test_what_dbt_cannot_read_is_told_with_its_message(
    incident: Project, census: Census, server: Server, options: str
) -> None:
    place = ("--project-dir", str(incident.path))
    outcome = census(STARTED, options=(*place, *options.split(" ", 1)), waiting=None)
    assert outcome.code == 2
    assert outcome.output.startswith("dbt cannot read the relations: nothing was done.\n")
    assert UNREADABLE[options] in outcome.output
    assert not server.requests


def test_a_project_that_is_not_built_is_told(
    empty_project: Project, census: Census, server: Server, tmp_path: Path
) -> None:
    project = copy_of(empty_project.path, tmp_path / "project")  # DuckDB makes its files there
    outcome = census(options=("--project-dir", str(project.path)), waiting=None)
    assert outcome.code == 2
    assert "does not exist" in outcome.output
    assert not server.requests


def test_the_program_runs_from_the_command_line(incident: Project, server: Server) -> None:
    server.answers = [STARTED, run()]
    arguments = [ROOT / "scripts/trigger_census_sync.py", "--sync-id", "52", "--target", "duckdb"]
    environment = {"CENSUS_API_KEY": KEY, "CENSUS_API_URL": server.url, "NO_PROXY": "127.0.0.1"}
    result = subprocess.run(
        [sys.executable, *arguments, "--vars", "as_of_date: 2025-11-21"],
        cwd=incident.path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    no_key(result.stdout, result.stderr)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Run 94 of sync 52 has begun: 2,815 rows to sync.\nRun 94 comp")
    assert server.requests == [TRIGGER, POLL]
    assert server.keys == [f"Bearer {KEY}"] * 2
