"""The Census client, against a server on this machine that answers as documented."""

import io
import itertools
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import census as program
import pytest
from census import Settings
from census_server import RUN, STARTED, Answer, Server, data, record, run, serve

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "scripts" / "census.py"
CONFIG = ROOT / "models" / "marts" / "census" / "product_property_feature_sync.json"
KEY = "secret-token:7b0c9e/x"
FAST = Settings(
    connect_timeout=5,
    read_timeout=5,
    request_timeout=10,
    retries=2,
    backoff_first=0,
    retry_after_max=1,
    poll_first=0.01,
    poll_max=0.02,
    progress_every=60,
)
BOTH_VERSIONS = pytest.mark.parametrize("server", ["v1", "v2"], indirect=True)
TRIGGER = ("POST", "/api/v2/syncs/52/trigger?force_full_sync=true")
POLL = ("GET", "/api/v2/sync_runs/94")
BAD = run(records_failed=29)  # more than 1% of 2,815


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Yield the server that the program calls Census."""
    yield from serve(getattr(request, "param", "v2"))


@pytest.fixture
def other_server() -> Iterator[Server]:
    """Yield a server on which nothing may arrive."""
    yield from serve()


@dataclass
class Outcome:
    """What a run of the program left: its exit code and what it printed and logged."""

    code: int
    out: str
    err: str

    @property
    def output(self) -> str:
        """Return all that was printed."""
        return self.out + self.err

    @property
    def json(self) -> dict[str, Any]:
        """Return the JSON object, the only thing on standard output."""
        return json.loads(self.out)


Client = Callable[..., Outcome]


def pauses(server: Server) -> list[float]:
    """Return the seconds between the requests."""
    return [later - time for time, later in itertools.pairwise(server.times)]


def replace_sleep(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], Any]) -> None:
    """Let the program call this instead of time.sleep, which the server needs."""
    clock = types.SimpleNamespace(sleep=sleep, monotonic=time.monotonic, time=time.time)
    monkeypatch.setattr(program, "time", clock)


def no_key(*texts: str) -> None:
    """See that no text holds the key, a traceback, or the values that were sent."""
    for text in texts:
        assert KEY not in text
        assert KEY.partition(":")[2] not in text
        assert "Traceback" not in text
        assert "Secret Towers" not in text
        assert "someone@example.com" not in text


@pytest.fixture
def client(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Client:
    """Return a function that runs the program in this process, and sees that no key is shown."""
    monkeypatch.setenv("CENSUS_API_KEY", KEY)
    monkeypatch.setenv("CENSUS_API_URL", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    caplog.set_level(logging.DEBUG)

    def call(
        *answers: Answer,
        options: Sequence[str] = (),
        command: str = "sync",
        settings: Settings = FAST,
        today: date = date(2026, 11, 30),
    ) -> Outcome:
        server.answers = list(answers)
        which = ("--run-id", "94") if command == "records" else ("--sync-id", "52")
        capfd.readouterr()  # what a fixture printed
        code = program.main([command, *which, *options], settings, today)
        outcome = Outcome(code, *capfd.readouterr())
        no_key(outcome.output, caplog.text)
        assert set(server.keys) <= {f"Bearer {KEY}"}
        return outcome

    return call


# --- A run that ends --------------------------------------------------------------------------


@BOTH_VERSIONS
def test_a_sync_is_triggered_in_full_and_followed_to_its_end(
    client: Client, server: Server
) -> None:
    outcome = client(STARTED, run(status="queued"), run(status="working"), run())
    assert outcome.code == 0
    api = f"/api/{server.version}"
    trigger = ("POST", f"{api}/syncs/52/trigger?force_full_sync=true")
    assert server.requests == [trigger, *[("GET", f"{api}/sync_runs/94")] * 3]
    assert outcome.err == ""
    assert outcome.out.splitlines() == [
        "Run 94 of sync 52 has started.",
        "Run 94 completed: 2,815 records processed, 2,815 updated, 0 invalid, 0 rejected.",
    ]


def test_a_failed_run_is_explained_without_what_may_be_a_value(
    client: Client, server: Server
) -> None:
    server.records = {}
    message = 'Please make sure\nthe field "name" with value "Oak Court" is "text"'
    failed = run(status="failed", records_processed=None, error_code="X", error_message=message)
    outcome = client(STARTED, failed)
    assert outcome.code == 1
    assert "? records processed" in outcome.out
    expected = 'Census reports: X: Please make sure the field "..." with value "..." is "..."'
    assert expected in outcome.out
    assert "Oak Court" not in outcome.output
    assert outcome.err.startswith("Run 94 failed. Look in Census for the cause")


@pytest.mark.parametrize(
    "values", [{"canceled": True}, {"canceled": True, "status": "failed"}, {"status": "canceled"}]
)
def test_a_run_that_somebody_canceled_has_failed(client: Client, values: dict) -> None:
    outcome = client(STARTED, run(status="working"), run(**values))
    assert outcome.code == 1
    assert "Run 94 was canceled. Look in Census" in outcome.err


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
    client: Client, server: Server, invalid: int, rejected: int, share: str, code: int
) -> None:
    server.records = {}
    answer = run(source_record_invalids=invalid, records_failed=rejected)
    outcome = client(STARTED, answer, options=("--max-bad-share", share))
    assert outcome.code == code
    assert f"{invalid:,} invalid, {rejected:,} rejected" in outcome.out
    assert ("invalid or rejected, more than" in outcome.err) == code


def test_nothing_but_invalid_records_are_a_failure(client: Client, server: Server) -> None:
    server.records = {}
    answer = run(source_record_invalids=9, records_processed=0, records_updated=0)
    assert client(STARTED, answer).code == 1


def test_the_older_name_of_the_invalid_records_is_known(client: Client, server: Server) -> None:
    server.records = {}
    older = {name: value for name, value in RUN.items() if name != "source_record_invalids"}
    assert client(STARTED, data(**older, records_invalid=2815)).code == 1
    assert client(STARTED, data(**older, records_invalid=3)).code == 0


def test_progress_says_how_much_of_what_is_done(client: Client) -> None:
    working = [run(status="working", records_processed=done) for done in (None, 1200, 2400)]
    working.append(run(status="working", records_processed=2500, source_record_count=None))
    settings = replace(FAST, progress_every=0)
    outcome = client(STARTED, *working, run(), settings=settings)
    assert outcome.code == 0
    assert outcome.out.splitlines()[1:5] == [
        "Run 94: 0 of 2,815 records processed after 0 minutes.",
        "Run 94: 1,200 of 2,815 records processed after 0 minutes.",
        "Run 94: 2,400 of 2,815 records processed after 0 minutes.",
        "Run 94: 2,500 records processed after 0 minutes.",
    ]


def test_progress_is_printed_once_a_minute(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = types.SimpleNamespace(sleep=sleep, monotonic=lambda: now[0])
    monkeypatch.setattr(program, "time", clock)
    settings = replace(program.DEFAULTS, poll_first=30)
    outcome = client(STARTED, *[run(status="working")] * 6, run(), settings=settings)
    lines = outcome.out.splitlines()[1:-1]
    assert [line.partition(" processed ")[2] for line in lines] == [
        "after 1 minute.",
        "after 2 minutes.",
    ]


# --- A run that does not end, or of which nothing is heard ------------------------------------


@pytest.mark.parametrize("status", ["working", "postponed"])
def test_a_run_that_does_not_end_in_time_is_unclear(
    client: Client, server: Server, status: str
) -> None:
    outcome = client(STARTED, run(status=status), options=("--timeout-minutes", "0.005"))
    assert outcome.code == 2
    assert f"Run 94 is still {status} after 0.005 minutes and may go on" in outcome.err
    assert time.monotonic() - server.times[0] >= 0.3
    assert len(pauses(server)) > 1
    assert sum(pauses(server)) < 10


def test_an_unknown_status_is_named_once_and_waited_for(client: Client) -> None:
    outcome = client(STARTED, *[run(status="Postponed\x1b[2J")] * 3, run())
    assert outcome.code == 0
    assert outcome.out.count("Run 94 is postponed [2j, a status this program does not know.") == 1


def test_polls_come_ever_more_slowly_up_to_a_cap(client: Client, server: Server) -> None:
    settings = replace(FAST, poll_first=0.05, poll_growth=2, poll_max=0.15)
    client(STARTED, *[run(status="working")] * 4, run(), settings=settings)
    first, second, third, fourth = pauses(server)[1:]
    assert (first >= 0.05, second >= 0.1, third >= 0.15, fourth >= 0.15) == (True,) * 4
    server.times.clear()
    settings = replace(FAST, poll_first=0.05, poll_growth=1000, poll_max=0.15)
    client(STARTED, *[run(status="working")] * 2, run(), settings=settings)
    assert pauses(server)[2] < 10


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=409, body={"status": "error", "message": "Conflict"}),
        Answer(status=422, body={"status": "error", "message": "The sync is already running"}),
        Answer(body={"status": "error", "message": "A run is in progress"}),
    ],
)
def test_a_sync_that_runs_already_is_reported(
    client: Client, answer: Answer, server: Server
) -> None:
    outcome = client(answer)
    assert outcome.code == 2
    assert "a run is going on" in outcome.err
    assert "Wait for the end of that run" in outcome.err
    assert server.requests == [TRIGGER]


def test_a_run_that_census_skips_because_of_another_is_reported(
    client: Client, server: Server
) -> None:
    skipped = run(status="skipped", records_processed=None, records_failed=None)
    outcome = client(STARTED, run(status="queued"), skipped, options=("--timeout-minutes", "0.1"))
    assert outcome.code == 2
    assert "Census skipped run 94, because an earlier run is still going on" in outcome.err
    assert len(server.requests) == 3


@pytest.mark.parametrize("moment", ["trigger", "wait"])
def test_ctrl_c_says_that_the_run_goes_on(
    client: Client, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if moment == "wait":
        replace_sleep(monkeypatch, interrupt)
    else:
        monkeypatch.setattr(program, "in_time", interrupt)
    outcome = client(STARTED, run(status="working"))
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert (
        line
        == {
            "wait": "Stopped. Run 94 goes on in Census: look at it there.",
            "trigger": "Stopped. Check in Census whether a run of sync 52 started.",
        }[moment]
    )


def test_ctrl_c_ends_a_reading_command_with_one_line(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "in_time", interrupt)
    outcome = client(command="records")
    assert (outcome.code, outcome.output) == (2, "Stopped.\n")


# --- Faults that pass -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Answer(status=500, body="<h1>Oops</h1>"), "answered 500"),
        (Answer(status=503, body=""), "answered 503"),
        (Answer(status=429, body=""), "answered 429"),
        (Answer(is_reset=True), "could not be reached (Connection reset by peer)"),
        (Answer(seconds=0.5, body=""), "could not be reached (no answer in time)"),
    ],
    ids=["500", "503", "429", "reset", "time-out"],
)
def test_a_passing_fault_is_tried_again_and_reported(
    client: Client, server: Server, fault: Answer, expected: str
) -> None:
    settings = replace(FAST, read_timeout=0.2 if fault.seconds else 5)
    answers = (fault, fault, STARTED, fault, run(status="working"), run())
    outcome = client(*answers, settings=settings)
    assert outcome.code == 0
    assert server.requests == [TRIGGER] * 3 + [POLL] * 3
    assert outcome.err.splitlines() == [
        f"Census {expected}; trying again in 0 seconds (1 of 2).",
        f"Census {expected}; trying again in 0 seconds (2 of 2).",
        f"Census {expected}; trying again in 0 seconds (1 of 2).",
    ]


def test_the_pause_doubles_up_to_a_cap(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = []
    replace_sleep(monkeypatch, slept.append)
    settings = replace(program.DEFAULTS, backoff_max=10)
    outcome = client(Answer(status=503, body=""), settings=settings)
    assert slept == [2, 4, 8, 10, 10]
    assert "Census answered 503; trying again in 4 seconds (2 of 5).\n" in outcome.err


@pytest.mark.parametrize("as_date", [False, True])
def test_census_may_ask_to_wait_before_the_next_try(
    client: Client, monkeypatch: pytest.MonkeyPatch, as_date: bool
) -> None:
    slept = []
    replace_sleep(monkeypatch, slept.append)

    def busy(seconds: int) -> Answer:
        moment = datetime.now(UTC) + timedelta(seconds=seconds)
        text = format_datetime(moment, usegmt=True) if as_date else str(seconds)
        return Answer(status=429, body="", headers={"Retry-After": text})

    # A wait that Census asks for replaces the pause and does not count towards the time limit.
    settings = replace(FAST, retry_after_max=300, request_timeout=5, backoff_first=50)
    outcome = client(busy(200), busy(2000), STARTED, run(), settings=settings)
    assert outcome.code == 0
    first, second = slept
    assert 195 <= first <= 200
    assert second == 300
    assert "trying again in 300 seconds (2 of 2)" in outcome.err


@pytest.mark.parametrize("text", ["soon", "-5", "", "1e9", "Tue, 31 Feb 2026 99:99:99 GMT"])
def test_a_malformed_retry_after_is_ignored(client: Client, text: str) -> None:
    busy = Answer(status=429, body="", headers={"Retry-After": text})
    outcome = client(busy, STARTED, run())
    assert outcome.code == 0
    assert "trying again in 0 seconds" in outcome.err


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Answer(status=503, body=""), "Census answered 503 in 3 attempts at "),
        (Answer(status=429, body=""), "Census answered 429 in 3 attempts at "),
        (Answer(is_reset=True), "Census could not be reached (Connection reset by peer) in 3 "),
        (Answer(seconds=0.3, body=""), "Census could not be reached (no answer in time) in 3 "),
    ],
    ids=["503", "429", "reset", "time-out"],
)
@pytest.mark.parametrize("before", [[], [STARTED]], ids=["trigger", "poll"])
def test_a_fault_that_stays_is_unclear(
    client: Client, server: Server, before: list[Answer], fault: Answer, expected: str
) -> None:
    settings = replace(FAST, read_timeout=0.1 if fault.seconds else 5)
    outcome = client(*before, fault, settings=settings)
    assert outcome.code == 2
    last = outcome.err.splitlines()[-1]
    assert last.startswith(expected)
    unsure = "The run may go on" if before else "Check in Census whether a run has started"
    assert unsure in last
    assert len(server.requests) == len(before) + 1 + FAST.retries
    assert outcome.err.count("trying again") == FAST.retries


@pytest.mark.parametrize(
    "hang",
    [Answer(seconds=5, body=""), Answer(drips=0.05, body=STARTED.body | {"x": "x" * 200})],
    ids=["no answer", "byte by byte"],
)
def test_a_hanging_request_ends_after_its_total_time(client: Client, hang: Answer) -> None:
    began = time.monotonic()
    outcome = client(
        hang, settings=replace(FAST, retries=50, read_timeout=0.2, request_timeout=0.5)
    )
    assert 0.4 < time.monotonic() - began < 3
    assert outcome.code == 2
    assert "Census could not be reached (no answer in time)" in outcome.err


def test_the_total_time_counts_the_pauses_too(client: Client, server: Server) -> None:
    settings = replace(FAST, retries=50, backoff_first=0.05, backoff_max=0.05, request_timeout=0.3)
    assert client(Answer(status=503, body=""), settings=settings).code == 2
    assert 3 <= len(server.requests) <= 6


def test_nobody_at_the_address_is_unclear(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # but does not listen
        monkeypatch.setenv("CENSUS_API_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/api/v2")
        outcome = client(STARTED)
    assert outcome.code == 2
    assert "Census could not be reached (Connection refused)" in outcome.err


def test_an_address_that_cannot_exist_is_unclear(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENSUS_API_URL", "https://a..example.com/api/v2")
    outcome = client(STARTED)
    assert outcome.code == 2
    assert "Census could not be reached" in outcome.err
    assert "in 1 attempt at triggering sync 52" in outcome.err


def test_a_wrong_certificate_is_not_tried_again(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENSUS_API_URL", server.url.replace("http:", "https:"))
    outcome = client(STARTED)
    assert outcome.code == 2
    assert "in 1 attempt at triggering sync 52" in outcome.err


# --- Answers that cannot be used --------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body="not JSON"),
        Answer(body=""),
        Answer(body='{"status": "success", "data": '),
        Answer(body="[" * 100_000),
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
def test_a_malformed_answer_is_unclear(
    client: Client, server: Server, before: list[Answer], answer: Answer
) -> None:
    outcome = client(*before, answer)
    assert outcome.code == 2
    assert "in Census" in outcome.err
    assert len(server.requests) == len(before) + 1


@pytest.mark.parametrize(
    "name", ["records_processed", "records_updated", "records_failed", "source_record_invalids"]
)
@pytest.mark.parametrize("value", [None, "2815", -1, 0.5])
def test_a_completed_run_without_its_counts_is_unclear(
    client: Client, server: Server, name: str, value: object
) -> None:
    server.records = {}
    outcome = client(STARTED, run(**{name: value}))
    assert outcome.code == 2
    assert "Census did not return all counts of run 94" in outcome.err


@BOTH_VERSIONS
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("before", [[], [STARTED]], ids=["trigger", "poll"])
def test_a_key_that_is_not_accepted_is_explained_for_the_version(
    client: Client, server: Server, before: list[Answer], status: int
) -> None:
    outcome = client(*before, Answer(status=status, body={"message": f"bad key {KEY}"}))
    assert outcome.code == 2
    assert f"Census answered {status} when " in outcome.err
    token, workspace = "an Activations personal access token for v2", "a workspace key for v1"
    right, other = (workspace, token) if server.version == "v1" else (token, workspace)
    assert f"it does not accept the key. Put {right} of the API into CENSUS_API_KEY" in outcome.err
    ending = "v2" if server.version == "v1" else "v1"
    hint = f"If the key is {other}, set CENSUS_API_URL to an address that ends in {ending}."
    assert hint in outcome.err
    assert len(server.requests) == len(before) + 1


def test_a_key_that_census_repeats_is_not_shown(client: Client, server: Server) -> None:
    server.records = {"rejected": [record(f"x{KEY}", f"token {KEY}", status=KEY)]}
    assert client(Answer(status=422, body={"message": f"about Bearer {KEY}"})).code == 2
    assert client(STARTED, run(status="failed", error_message=f"token {KEY}")).code == 1
    escaped = json.dumps({"message": KEY}).replace("/", "\\/")
    assert client(Answer(status=422, body=escaped)).code == 2
    outcome = client(STARTED, BAD)
    assert "rejected: token ***" not in outcome.out
    assert "***: token ***" in outcome.out


@pytest.mark.parametrize("before", [[], [STARTED]], ids=["trigger", "poll"])
def test_an_id_that_census_does_not_know_is_reported(
    client: Client, before: list[Answer], server: Server
) -> None:
    outcome = client(*before, Answer(status=404, body={"status": 404}))
    assert outcome.code == 2
    what = "reading run 94" if before else "triggering sync 52"
    assert outcome.err.startswith(f"Census answered 404 when {what}: it does not know that id. Che")
    assert len(server.requests) == len(before) + 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("before", [[], [STARTED]], ids=["trigger", "poll"])
def test_a_redirect_is_not_followed(
    client: Client, server: Server, other_server: Server, before: list[Answer], status: int
) -> None:
    other_server.answers = [run(sync_run_id=94)]
    redirect = Answer(status=status, body="", headers={"Location": other_server.url})
    outcome = client(*before, redirect)
    assert outcome.code == 2
    assert f"Census answered {status}, a redirect" in outcome.err
    assert len(server.requests) == len(before) + 1
    assert not other_server.requests


# --- Records ----------------------------------------------------------------------------------

LOCK = "UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record: a0B5g00000XyZ12"
FLOW = (
    'CANNOT_EXECUTE_FLOW_TRIGGER: We can\'t save this record because the "Oak Court" process '
    "failed. Too many SOQL queries: 101"
)
RULE = "FIELD_CUSTOM_VALIDATION_EXCEPTION: 'O'Brien Court' needs an owner, call 555-0100-2000"


def rejected(count: int, message: str | None = LOCK, first: int = 0, **values: object) -> list:
    """Return rejected records with sync keys of their own."""
    keys = (f"prop_{number:06}" for number in range(first, first + count))
    return [record(key, message, **values) for key in keys]


def advice(cause: str) -> str:
    """Return what to do about a cause."""
    return next(tip for pattern, tip in program.CAUSES.items() if cause in pattern)


@BOTH_VERSIONS
def test_the_reasons_of_rejected_records_are_printed_most_frequent_first(
    client: Client, server: Server
) -> None:
    server.records = {
        "rejected": rejected(4, FLOW) + rejected(240, LOCK, 10) + rejected(1, RULE, 300),
        "invalid": [record("prop_000001", None, status="DUPLICATE")] * 2
        + [record(None, "Sync key is missing", status="NULL")],
    }
    answer = run(records_failed=245, source_record_invalids=3)
    outcome = client(STARTED, answer)
    assert outcome.code == 1
    assert outcome.out.splitlines()[1:] == [
        "Run 94 completed: 2,815 records processed, 2,815 updated, 3 invalid, 245 rejected.",
        "Run 94: 248 rejected or invalid records read, 5 reasons.",
        "  240 records: UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record: <id>",
        "    Sync keys: prop_000010, prop_000011, prop_000012, prop_000013, prop_000014, ...",
        f"    What to do: {advice('UNABLE_TO_LOCK_ROW')}",
        "  4 records: CANNOT_EXECUTE_FLOW_TRIGGER: We can't save this record because the "
        '"..." process failed. Too many SOQL queries: 101',
        "    Sync keys: prop_000000, prop_000001, prop_000002, prop_000003",
        f"    What to do: {program.FLOW}",
        "  2 records: DUPLICATE: no message",
        "    Sync keys: prop_000001, ...",
        "    What to do: more than one row has this sync key, so Census does not send it. Correct "
        "the source; product_property_sync_exceptions lists such rows.",
        "  1 record: NULL: Sync key is missing",
        "    What to do: the row has no sync key, so Census does not send it. Correct the source; "
        "product_property_sync_exceptions lists such rows.",
        "  1 record: FIELD_CUSTOM_VALIDATION_EXCEPTION: '...'",
        "    Sync keys: prop_000300",
        f"    What to do: {advice('FIELD_CUSTOM_VALIDATION_EXCEPTION')}",
    ]
    path = f"/api/{server.version}/sync_runs/94/records?status="
    assert [request for _, request in server.requests[2:]] == [
        f"{path}{status}&page={page}&per_page=100"
        for status, page in [("rejected", 1), ("invalid", 1), ("rejected", 2), ("rejected", 3)]
    ]


CAUSES = {
    "UNABLE_TO_LOCK_ROW:x": "another process",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION:x": "a validation rule",
    "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]": "Salesforce requires a field",
    "CANNOT_EXECUTE_FLOW_TRIGGER: x": "a Flow or trigger",
    "Too many SOQL queries: 101": "a Flow or trigger",
    "Apex CPU time limit exceeded": "a Flow or trigger",
    "DUPLICATE_VALUE:duplicate value found": "more than one record in Salesforce",
    "DUPLICATE external id": "more than one record in Salesforce",
    "MULTIPLE matches": "more than one record in Salesforce",
    "more than one record found for external id field: [x]": "more than one record in Salesforce",
    "INVALID_FIELD_FOR_INSERT_UPDATE:x": "the user that Census logs in as",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "the user that Census logs in as",
    'The process "Too many SOQL queries: 101" failed': "a Flow or trigger",
    # What failed inside a Flow is the cause.
    "CANNOT_EXECUTE_FLOW_TRIGGER: FIELD_CUSTOM_VALIDATION_EXCEPTION: x": "a validation rule",
    "INVALID_TYPE_ON_FIELD_IN_RECORD: bad value for a multiple-select field": None,
}


@pytest.mark.parametrize("message", CAUSES)
def test_a_known_cause_comes_with_advice(client: Client, server: Server, message: str) -> None:
    server.records = {"rejected": rejected(1, message)}
    outcome = client(run(records_failed=1), command="records")
    assert outcome.code == 0
    tips = re.findall("What to do: (.*)", outcome.out)
    expected = CAUSES[message]
    assert [tip[: len(expected)] for tip in tips] == [expected] if expected else not tips


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('value "Oak "Court" x" is bad', 'value "..."'),
        (r'value "Oak \"Court\" x" is bad', 'value "..."'),
        (r'value "Oak \"(Court)\" x" is bad', 'value "..."'),
        ('value "Oak "Court (" x" is bad', 'value "..."'),
        ('value "Oak "(Court" x" is bad', 'value "..."'),
        ('value "Oak Court', 'value "..."'),
        ("value 'Oak Court' isn't valid", "value '...' isn't valid"),
        ("Can't find 'Oak Court' here", "Can't find '...' here"),
        ("value 'Oak's Court' is bad", "value '...' is bad"),
        ("value b'Oak Court'", "value b'...'"),
        ("\u201cOak Court\u201d and \u2018Oak Court\u2019", "\"...\" and '...'"),
        ("value &quot;Oak Court&quot; is bad", 'value "..." is bad'),
        ("id a0B5g00000XyZ12EAF, a0B5g00000XyZ12 twice", "id <id>, <id> twice"),
        ("characteristics of responsibilities", "characteristics of responsibilities"),
        ("write to some.one+x@example.co.uk now", "write to <email> now"),
        (
            "call 555-0100 or 1,234.56 of 12345 on 2026-11-20",
            "call <number> or <number> of <number> on <number>",
        ),
        ("line 12 of 999", "line 12 of 999"),
        ("key prop_000000 is unknown", "key <key> is unknown"),
        ("two\nlines\tand \x1b[31mcolour", "two lines and [31mcolour"),
        ("a" * 200 + " b" * 200, "a" * 200 + " b" * 50),
        ('"' + "x" * 10_000, "..."),
        ("x " * 995 + "a0B5g00000XyZ12", ("x " * 150)),
    ],
)
def test_values_in_messages_are_masked(
    client: Client, server: Server, message: str, expected: str
) -> None:
    server.records = {"rejected": rejected(1, message)}
    outcome = client(run(records_failed=1), command="records", options=("--json",))
    assert outcome.json["reasons"][0]["message"] == expected
    assert "Oak" not in outcome.output
    assert "Court" not in outcome.output


def test_a_cut_message_shows_no_part_of_a_value() -> None:
    for end in range(1950, 2010):
        text = '"' + "x" * (end - 20) + '" for someone@example.com'
        assert "someone" not in program.masked(text), end


def test_messages_that_differ_in_values_only_are_one_reason(client: Client, server: Server) -> None:
    messages = [f"UNABLE_TO_LOCK_ROW: a0B5g0000{number:06}" for number in range(300)]
    server.records = {"rejected": [record(f"p{i:05}", m) for i, m in enumerate(messages)]}
    outcome = client(run(records_failed=300), command="records", options=("--json",))
    assert [reason["count"] for reason in outcome.json["reasons"]] == [300]


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (99, 1), (100, 2), (101, 2), (250, 3)])
def test_pages_are_read_until_one_is_short(
    client: Client, server: Server, count: int, pages: int
) -> None:
    server.records = {"rejected": rejected(count), "invalid": []}
    outcome = client(run(records_failed=None), command="records", options=("--json",))
    assert outcome.code == 0
    assert outcome.json["records_read"] == count
    assert len(server.requests) == 1 + pages + 1
    if not count:
        assert outcome.err == "Run 94 has no rejected or invalid records.\n"


@pytest.mark.parametrize(("limit", "requests"), [(1, 1), (100, 1), (150, 2), (399, 4)])
def test_no_more_records_are_read_than_allowed(
    client: Client, server: Server, limit: int, requests: int
) -> None:
    server.records = {
        "rejected": rejected(1000),
        "invalid": rejected(1000, "wrong", status="invalid"),
    }
    answer = run(records_failed=1000, source_record_invalids=1000)
    outcome = client(answer, command="records", options=("--max-records", str(limit)))
    assert outcome.code == 0
    assert f"Run 94: {limit} of 2,000 rejected or invalid records read" in outcome.out
    assert "To read more of them, raise --max-records." in outcome.out
    assert len(server.requests) == 1 + requests
    assert ("wrong" in outcome.out) == (limit > 100)  # neither status hides the other


def test_records_that_vanish_between_pages_are_counted_as_missing(
    client: Client, server: Server
) -> None:
    server.records = {"rejected": rejected(180)}
    outcome = client(run(records_failed=250), command="records")
    assert outcome.code == 0
    assert "Run 94: 180 of 250 rejected or invalid records read, 1 reason. Census returned no" in (
        outcome.out
    )


def test_of_a_run_that_is_not_over_more_records_may_follow(client: Client, server: Server) -> None:
    server.records = {"rejected": rejected(1)}
    outcome = client(run(status="working", records_failed=0), command="records")
    assert outcome.code == 0
    assert outcome.out.splitlines()[:2] == [
        "Run 94 is still working: more records may follow.",
        "Run 94: 1 rejected or invalid record read, 1 reason.",
    ]


PAGE_3 = "records?status=rejected&page=3&per_page=100"


@pytest.mark.parametrize("fault", [Answer(status=429, body=""), Answer(status=503, body="x")])
def test_a_fault_in_the_middle_of_paging_passes(
    client: Client, server: Server, fault: Answer
) -> None:
    server.records = {"rejected": rejected(320)}
    server.faults = {PAGE_3: [fault, fault]}
    outcome = client(run(records_failed=320), command="records", options=("--json",))
    assert outcome.code == 0
    assert outcome.json["records_read"] == 320
    assert outcome.err.count("trying again") == 2


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=503, body=""),
        Answer(status=404, body=""),
        Answer(body={"status": "success", "data": {}}),
        Answer(body={"status": "success", "data": ["x"]}),
        Answer(body={"status": "success", "data": rejected(100, first=100)}),
    ],
    ids=["503", "404", "object", "text", "the page before"],
)
def test_a_page_that_cannot_be_read_is_unclear_and_leaves_no_file(
    client: Client, server: Server, tmp_path: Path, fault: Answer
) -> None:
    server.records = {"rejected": rejected(320)}
    server.faults = {PAGE_3: [fault] * 3}
    options = ("--output", str(tmp_path / "records.jsonl"))
    outcome = client(run(records_failed=320), command="records", options=options)
    assert outcome.code == 2
    assert "reading the records of run 94" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_records_that_cannot_be_read_do_not_change_the_verdict(
    client: Client, server: Server
) -> None:
    server.records = {}
    server.faults = {"records?status=rejected&page=1&per_page=100": [Answer(status=404)] * 2}
    for answer, code in ((run(records_failed=1), 0), (BAD, 1)):
        outcome = client(STARTED, answer)
        assert outcome.code == code
        assert "The rejected and invalid records were not read. Census answered 404" in outcome.out


def test_the_records_are_written_without_values(
    client: Client, server: Server, tmp_path: Path
) -> None:
    server.records = {
        "rejected": rejected(2, FLOW),
        "invalid": [record(None, None, status="NULL"), record("é\n\x1b[2J", 7, status=None)],
    }
    output = tmp_path / "records.jsonl"
    output.write_text("old")
    answer = run(records_failed=2, source_record_invalids=2)
    outcome = client(answer, command="records", options=("--output", str(output)))
    assert outcome.code == 0
    masked = program.masked(FLOW)
    assert "Oak" not in masked
    assert [json.loads(line) for line in output.read_text().splitlines()] == [
        {"key": "prop_000000", "status": "rejected", "message": masked},
        {"key": "prop_000001", "status": "rejected", "message": masked},
        {"key": "", "status": "NULL", "message": ""},
        {"key": "é [2J", "status": "invalid", "message": "7"},
    ]
    assert list(tmp_path.iterdir()) == [output]


def test_a_run_without_bad_records_empties_the_file(
    client: Client, server: Server, tmp_path: Path
) -> None:
    output = tmp_path / "records.jsonl"
    output.write_text("of an earlier run")
    assert client(STARTED, run(), options=("--output", str(output))).code == 0
    assert output.read_text() == ""
    assert len(server.requests) == 2


def test_a_full_disk_is_reported(
    client: Client, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(program.os, "replace", no_space)
    server.records = {"rejected": rejected(1)}
    options = ("--output", str(tmp_path / "records.jsonl"))
    outcome = client(run(records_failed=1), command="records", options=options)
    assert outcome.code == 2
    assert "could not be written (No space left on device). Correct --output." in outcome.err
    assert list(tmp_path.iterdir()) == []


def start(server: Server, *arguments: str, **more: Any) -> subprocess.Popen:  # noqa: ANN401
    """Start the program as a process of its own."""
    variables = {"CENSUS_API_KEY": KEY, "CENSUS_API_URL": server.url, "NO_PROXY": "127.0.0.1"}
    return subprocess.Popen(
        [sys.executable, *more.pop("program", (PROGRAM,)), *arguments],
        env=os.environ | variables | more.pop("env", {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )


class ManyRecords(Sequence):
    """A hundred thousand records, made when they are read; every one with a message of its own."""

    def __len__(self) -> int:
        return 100_000

    def __getitem__(self, part: slice) -> list[dict[str, Any]]:
        numbers = range(len(self))[part]
        words = ("".join(chr(97 + int(digit)) for digit in f"{number:06}") for number in numbers)
        return [record(f"key-{word}", f"fault {word}" if word < "b" else LOCK) for word in words]


# ru_maxrss would include the memory of the process that starts the program.
MEASURED = """
import re, sys, census
code = census.main()
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
sys.exit(code)
"""


def peak_memory(server: Server, *options: str) -> tuple[int, dict[str, Any]]:
    """Run `records` as a process and return the most memory it took, in KiB, and its JSON."""
    command = ("-c", MEASURED, "records", "--run-id", "94", "--json", *options)
    with start(server, *command, program=(), env={"PYTHONPATH": str(PROGRAM.parent)}) as process:
        out, err = process.communicate()
    assert process.returncode == 0
    return int(err.split()[-1]), json.loads(out)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_memory_is_bounded_with_100_000_rejected_records(server: Server, tmp_path: Path) -> None:
    server.answers = [run(records_failed=100_000)]
    server.records = {"rejected": ManyRecords()}
    output = tmp_path / "records.jsonl"
    few, _ = peak_memory(server)
    many, found = peak_memory(server, "--max-records", "200000", "--output", str(output))
    assert many < few + 10_000
    assert found["records_read"] == 100_000
    reasons = found["reasons"]
    assert len(reasons) == FAST.reasons_shown + 1
    assert reasons[-1]["message"] == "other reasons"
    assert sum(reason["count"] for reason in reasons) == 100_000
    assert max(len(reason["keys"]) for reason in reasons) == FAST.keys_shown
    with output.open() as lines:
        assert sum(1 for _ in lines) == 100_000


def test_a_frequent_reason_is_found_behind_many_rare_ones(client: Client, server: Server) -> None:
    rare = [record(f"key-{n}", "fault " + "x" * n) for n in range(1, 90)]
    server.records = {"rejected": rare + rejected(100)}
    settings = replace(FAST, progress_every=0)
    outcome = client(run(records_failed=189), command="records", settings=settings)
    assert outcome.err.splitlines()[-1] == "189 records read so far."
    assert outcome.out.splitlines()[1].startswith("  100 records: UNABLE_TO_LOCK_ROW")
    assert "Run 94: 189 rejected or invalid records read, 51 reasons." in outcome.out
    assert "  40 records: other reasons" in outcome.out


def test_the_values_of_a_record_are_dropped_when_it_is_parsed(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = program.Census._ask
    seen = []
    monkeypatch.setattr(
        program.Census, "_ask", lambda *a, **b: seen.append(ask(*a, **b)) or seen[-1]
    )
    server.records = {"rejected": rejected(1)}
    assert client(run(records_failed=1), command="records").code == 0
    assert set(seen[1][0]) > {"identifier", "status_message"}
    assert "record_payload" not in seen[1][0]


# --- The configuration ------------------------------------------------------------------------


def live(version: str = "v2", config: Path = CONFIG) -> dict[str, Any]:
    """Return the agreed configuration as Census would return it: more, and in another order."""
    sync = json.loads(config.read_text())
    for name in ("validate_only", "alert_attributes"):
        del sync[name]
    sync |= {"id": 52, "status": "Ready", "label": "renamed in the UI", "updated_at": "2026-11-01"}
    sync["mappings"].reverse()
    for position, mapping in enumerate(sync["mappings"]):
        mapping |= {"position": position, "preserve_values": False, "lookup_object": None}
    if version == "v1":
        schedule = sync.pop("mode")["triggers"]["schedule"]
        sync |= {"schedule_day": "Sunday", "schedule_hour": None, "schedule_minute": 0}
        sync |= {f"schedule_{name}": value for name, value in schedule.items()}
        sync["source_attributes"]["connection_id"] = 4711
    else:
        sync["mode"]["triggers"] |= {"dbt_cloud": None, "fivetran": None}
        sync["destination_attributes"]["connection_id"] = "glimmering_donkey"
        sync["activation_id"] = "glimmering_donkey"
    return sync


@BOTH_VERSIONS
@pytest.mark.parametrize("schedule", [{}, {"frequency": "daily", "hour": 6, "minute": 30}])
def test_a_sync_like_its_configuration_matches(
    client: Client, server: Server, tmp_path: Path, schedule: dict[str, Any]
) -> None:
    payload = json.loads(CONFIG.read_text())
    payload["mode"]["triggers"]["schedule"] |= schedule
    config = tmp_path / "config.json"
    config.write_text(json.dumps(payload))
    server.sync = live(server.version, config)
    outcome = client(command="diff", options=("--config", str(config)))
    assert (outcome.code, outcome.output) == (0, "Sync 52 matches the repository.\n")
    assert server.requests == [("GET", f"/api/{server.version}/syncs/52")]


FRAUD = "Fraud_Detection_Enabled__c"


def mapping_to(sync: dict[str, Any], field: str) -> dict[str, Any]:
    """Return the mapping to a field."""
    return next(mapping for mapping in sync["mappings"] if mapping["to"] == field)


def table(sync: dict[str, Any]) -> dict[str, Any]:
    """Return the source object."""
    return sync["source_attributes"]["object"]


Change = Callable[[dict[str, Any]], Any]
DRIFT: dict[str, Change] = {
    "source type: in Census model, in the repository table": lambda s: table(s).update(
        type="model"
    ),
    "source catalog: in Census rds, in the repository crm": lambda s: table(s).update(
        table_catalog="rds"
    ),
    "source schema: in Census dbt_dev, in the repository sfdc_dbx": lambda s: table(s).update(
        table_schema="dbt_dev"
    ),
    "source table: in Census other, in the repository product_property_feature_sync": (
        lambda s: table(s).update(table_name="other")
    ),
    "operation: in Census mirror, in the repository update": lambda s: s.update(operation="mirror"),
    "destination object: in Census Account, in the repository Product_Property__c": (
        lambda s: s["destination_attributes"].update(object="Account")
    ),
    "sync key: in Census Reverse_ETL_ID__c, Snappt_Property_ID__c, in the repository "
    "Reverse_ETL_ID__c": lambda s: mapping_to(s, "Snappt_Property_ID__c").update(
        is_primary_identifier=True
    ),
    "mapping of VOR_Start_Date__c: in Census none, in the repository vor_start_date_c": (
        lambda s: s["mappings"].remove(mapping_to(s, "VOR_Start_Date__c"))
    ),
    "mapping of Name: in Census name, in the repository none": lambda s: s["mappings"].append(
        {"from": {"type": "column", "data": "name"}, "to": "Name", "is_primary_identifier": False}
    ),
    "mapping of IDV_Only_Enabled__c: in Census constant_value, in the repository "
    "idv_only_enabled_c": lambda s: mapping_to(s, "IDV_Only_Enabled__c").update(
        {"from": {"type": "constant_value", "data": {"value": "Secret Towers"}}}
    ),
    f"mapping of {FRAUD}: in Census fraud_detection_enabled_c and x_c, in the repository "
    "fraud_detection_enabled_c": lambda s: s["mappings"].append(
        mapping_to(s, FRAUD) | {"from": "x_c"}
    ),
    "NULL handling of VOR_Updated_Date__c: in Census left out, in the repository synced": (
        lambda s: mapping_to(s, "VOR_Updated_Date__c").update(sync_null_values=False)
    ),
    "existing value of Bank_Linking_Enabled__c: in Census kept, in the repository overwritten": (
        lambda s: mapping_to(s, "Bank_Linking_Enabled__c").update(preserve_values=True)
    ),
    "field_behavior: in Census sync_all_properties, in the repository specific_properties": (
        lambda s: s.update(field_behavior="sync_all_properties")
    ),
    "mode: in Census live, in the repository triggered": lambda s: s["mode"].update(type="live"),
    "schedule: in Census weekly, day Monday, hour 6, in the repository never": (
        lambda s: s["mode"]["triggers"].update(
            schedule={"frequency": "weekly", "day": "Monday", "hour": 6, "minute": 0}
        )
    ),
    "other triggers: in Census dbt_cloud, in the repository none": lambda s: s["mode"][
        "triggers"
    ].update(dbt_cloud={"job_id": "1"}),
    "paused: in Census true, in the repository false": lambda s: s.update(paused=True),
}


@pytest.mark.parametrize("line", DRIFT)
def test_each_difference_is_one_line(client: Client, server: Server, line: str) -> None:
    server.sync = live()
    DRIFT[line](server.sync)
    outcome = client(command="diff", options=("--config", str(CONFIG)))
    assert outcome.code == 1
    assert outcome.out.splitlines() == [line]
    assert outcome.err.startswith("Sync 52 differs from the repository in 1 place. Correct ")


def test_all_differences_together_are_all_printed(client: Client, server: Server) -> None:
    server.sync = live()
    for change in DRIFT.values():
        change(server.sync)
    outcome = client(command="diff", options=("--config", str(CONFIG), "--json"))
    assert outcome.code == 1
    lines = outcome.err.splitlines()
    assert sorted(lines[:-1]) == sorted(DRIFT)
    assert lines[-1].startswith(f"Sync 52 differs from the repository in {len(DRIFT)} places.")
    found = outcome.json
    assert found["exit_code"] == 1
    assert found["not_compared"] == []
    template = "{what}: in Census {census}, in the repository {repository}"
    assert [template.format(**difference) for difference in found["differences"]] == lines[:-1]


V1_DRIFT: dict[str, Change] = {
    "schedule: in Census hourly, minute 15, in the repository never": lambda s: s.update(
        schedule_frequency="hourly", schedule_hour=3, schedule_minute=15
    ),
    "schedule: in Census expression, cron_expression 0 * * * *, in the repository never": (
        lambda s: s.update(schedule_frequency="expression", cron_expression="0 * * * *")
    ),
    "other triggers: in Census dbt_cloud, in the repository none": lambda s: s.update(
        trigger_on_dbt_cloud_rebuild=True
    ),
    f"mapping of {FRAUD}: in Census x_c, in the repository fraud_detection_enabled_c": (
        lambda s: mapping_to(s, FRAUD).update({"from": "x_c"})
    ),
}


@pytest.mark.parametrize("server", ["v1"], indirect=True)
@pytest.mark.parametrize("line", V1_DRIFT)
def test_each_difference_of_v1_is_one_line(client: Client, server: Server, line: str) -> None:
    server.sync = live("v1")
    V1_DRIFT[line](server.sync)
    outcome = client(command="diff", options=("--config", str(CONFIG)))
    assert (outcome.code, outcome.out) == (1, f"{line}\n")


SAME: dict[str, Change] = {
    "names in the warehouse in upper case": lambda s: (
        table(s).update(table_catalog="CRM"),
        mapping_to(s, FRAUD)["from"].update(data="FRAUD_DETECTION_ENABLED_C"),
    ),
    "a column as a bare name": lambda s: mapping_to(s, FRAUD).update(
        {"from": "fraud_detection_enabled_c"}
    ),
    "the destination's object at the top": lambda s: s.update(
        destination_object=s.pop("destination_attributes")["object"]
    ),
    "more settings": lambda s: s.update(
        advanced_configuration={"bulk": True}, mirror_strategy=None
    ),
}


@pytest.mark.parametrize("change", SAME)
def test_another_way_to_say_the_same_is_no_difference(
    client: Client, server: Server, change: str
) -> None:
    server.sync = live()
    SAME[change](server.sync)
    outcome = client(command="diff", options=("--config", str(CONFIG)))
    assert (outcome.code, outcome.output) == (0, "Sync 52 matches the repository.\n")


def drop_from_mappings(sync: dict[str, Any], name: str) -> None:
    """Remove a part of all mappings."""
    for mapping in sync["mappings"]:
        del mapping[name]


ABSENT: dict[str, Change] = {
    "paused": lambda s: s.pop("paused"),
    "field_behavior": lambda s: s.update(field_behavior=None),
    "operation": lambda s: s.pop("operation"),
    "destination object": lambda s: s.pop("destination_attributes"),
    "source type, source catalog, source schema, source table": lambda s: s.pop(
        "source_attributes"
    ),
    "source catalog": lambda s: table(s).update(table_catalog=None),
    "mode, schedule, other triggers": lambda s: s.pop("mode"),
    "sync key, mappings": lambda s: s.pop("mappings"),
    "sync key": lambda s: drop_from_mappings(s, "is_primary_identifier"),
    "NULL handling": lambda s: drop_from_mappings(s, "sync_null_values"),
}


@pytest.mark.parametrize("names", ABSENT)
def test_what_census_does_not_return_is_no_difference(
    client: Client, server: Server, names: str
) -> None:
    server.sync = live()
    ABSENT[names](server.sync)
    outcome = client(command="diff", options=("--config", str(CONFIG)))
    assert outcome.code == 0
    assert outcome.output == (
        "Sync 52 matches the repository.\n"
        f"Not compared, because Census did not return it: {names}.\n"
    )


def test_what_the_configuration_leaves_open_is_no_difference(
    client: Client, server: Server, tmp_path: Path
) -> None:
    config = json.loads(CONFIG.read_text())
    del config["paused"], config["mode"], config["mappings"][0]["sync_null_values"]
    path = tmp_path / "sync.json"
    path.write_text(json.dumps(config))
    server.sync = live() | {"paused": True}
    outcome = client(command="diff", options=("--config", str(path)))
    assert (outcome.code, outcome.output) == (0, "Sync 52 matches the repository.\n")


@pytest.mark.parametrize(
    "sync", [{"id": 52}, {"mappings": "none"}, {"mappings": [1]}, {"mappings": {"a": 1}}]
)
def test_a_sync_that_cannot_be_compared_is_unclear(
    client: Client, server: Server, sync: dict
) -> None:
    server.sync = sync
    outcome = client(command="diff", options=("--config", str(CONFIG)))
    assert outcome.code == 2
    assert "Compare sync 52 in Census by eye." in outcome.err


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "could not be read (No such file or directory). Check its name."),
        (b"", "is empty: it holds no configuration."),
        (b" \n", "is empty: it holds no configuration."),
        (b"06:00:00  Running with dbt\n{}", "is not a valid configuration (line 1)."),
        (b'{"operation":', "is not a valid configuration (line 1)."),
        (b"\xff\xfe\x00", "is not a valid configuration."),
        (b"[" * 100_000, "is not a valid configuration."),
        (b"[]", "is not a configuration: no source table, no operation, no destination object"),
        (b'{"mappings": 3}', "is not a valid configuration."),
        (b'{"operation": "update", "mappings": []}', "is not a configuration: no source table"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_unclear(
    client: Client, server: Server, tmp_path: Path, content: bytes | None, expected: str
) -> None:
    server.sync = live()
    config = tmp_path / "sync.json"
    if content is not None:
        config.write_bytes(content)
    outcome = client(command="diff", options=("--config", str(config)))
    assert outcome.code == 2
    assert f"{config} {expected}" in outcome.err
    assert not server.requests


def test_the_configuration_is_read_from_standard_input(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.sync = live()
    stdin = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + CONFIG.read_bytes()), encoding="ascii")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert client(command="diff").code == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    outcome = client(command="diff")
    assert outcome.code == 2
    assert outcome.err.startswith("Standard input is empty")


def test_names_in_census_cannot_control_the_terminal(client: Client, server: Server) -> None:
    server.sync = live() | {"operation": "a\x1b[2Jb\nc"}
    server.sync["mappings"].append({"from": "x\x1b[2J", "to": "Y\x1b[2J\nsource table: in Census"})
    outcome = client(command="diff", options=("--config", str(CONFIG)))
    assert outcome.code == 1
    assert outcome.out.splitlines() == [
        "operation: in Census a [2Jb c, in the repository update",
        "mapping of Y [2J source table: in Census: in Census x [2J, in the repository none",
    ]


@pytest.mark.parametrize("triggers", [None, [], ["x"], "x", 1, {"schedule": []}, {"schedule": 1}])
def test_an_unknown_form_of_the_triggers_is_not_compared(
    client: Client, server: Server, triggers: object
) -> None:
    server.sync = live() | {"schedule_frequency": "never"}
    server.sync["mode"]["triggers"] = triggers
    outcome = client(command="diff", options=("--config", str(CONFIG)))
    assert outcome.code == 0
    assert outcome.out.startswith("Sync 52 matches the repository.\n")


def test_a_sync_is_triggered_only_if_it_is_as_configured(client: Client, server: Server) -> None:
    server.sync = live()
    check = ("--check", str(CONFIG))
    outcome = client(STARTED, run(), options=check)
    assert outcome.code == 0
    assert outcome.out.startswith("Sync 52 matches the repository.\nRun 94 of sync 52 has started.")
    server.requests.clear()

    server.sync["operation"] = "mirror"
    outcome = client(STARTED, run(), options=check)
    assert outcome.code == 1
    assert outcome.out == "operation: in Census mirror, in the repository update\n"
    assert outcome.err.startswith("Nothing was triggered. Sync 52 differs from the repository in 1")
    assert server.requests == [("GET", "/api/v2/syncs/52")]

    outcome = client(STARTED, run(), options=("--check", "no_such_file"))
    assert outcome.code == 2
    assert outcome.err.startswith("Nothing was triggered. no_such_file could not be read")


# --- JSON -------------------------------------------------------------------------------------


def test_a_sync_is_reported_as_json_with_peoples_lines_beside_it(
    client: Client, server: Server
) -> None:
    server.records = {"rejected": rejected(29)}
    outcome = client(STARTED, BAD, options=("--json",))
    assert outcome.code == 1
    (reason,) = outcome.json.pop("reasons")
    assert reason.pop("advice").startswith("another process")
    assert reason == {
        "message": program.masked(LOCK),
        "count": 29,
        "keys": [f"prop_00000{number}" for number in range(5)],
    }
    found = outcome.json
    assert found.pop("error") in outcome.err
    del found["reasons"]
    assert found == {
        "sync_id": 52,
        "run_id": 94,
        "status": "completed",
        "counts": {"processed": 2815, "updated": 2815, "invalid": 0, "rejected": 29},
        "records_read": 29,
        "records_total": 29,
        "exit_code": 1,
    }
    assert "Run 94 of sync 52 has started." in outcome.err


def test_an_error_is_reported_as_json_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENSUS_API_KEY", "")
    outcome = client(options=("--json",))
    assert outcome.code == outcome.json["exit_code"] == 2
    assert outcome.json["error"] == outcome.err.strip()


# --- The key and the address ------------------------------------------------------------------


def test_netrc_does_not_replace_the_key(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert client(STARTED, run()).code == 0  # which sees that each request had the key


def test_a_line_end_around_the_key_is_accepted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENSUS_API_KEY", f" {KEY}\r\n")
    assert client(STARTED, run()).code == 0


@pytest.mark.parametrize(
    "key", [None, "", " \n", f"{KEY} {KEY}", f"{KEY}\r\nX: y", f"{KEY}é", "short"]
)
def test_without_a_proper_key_nothing_is_sent(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.delenv("CENSUS_API_KEY")
    if key is not None:
        monkeypatch.setenv("CENSUS_API_KEY", key)
    outcome = client(STARTED, run())
    assert outcome.code == 2
    assert "API key in CENSUS_API_KEY" in outcome.err
    assert not server.requests


@BOTH_VERSIONS
def test_a_missing_key_is_described_for_the_version(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENSUS_API_KEY", "")
    assert f"Put {program.KEYS[server.version]} of the API there." in client().err


SECRET = ("--secret-scope", "product-property-sync", "--secret-key", "census-api-key")


def databricks(monkeypatch: pytest.MonkeyPatch, get: Callable[[str, str], str]) -> None:
    """Let the program import dbutils, as it can on Databricks."""
    runtime = types.ModuleType("databricks.sdk.runtime")
    runtime.dbutils = types.SimpleNamespace(secrets=types.SimpleNamespace(get=get))
    monkeypatch.setitem(sys.modules, "databricks.sdk.runtime", runtime)


@pytest.mark.parametrize("command", ["sync", "diff", "records"])
def test_the_key_is_read_from_a_secret_scope(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("CENSUS_API_KEY")
    secrets = {SECRET[1::2]: f"{KEY}\n"}
    databricks(monkeypatch, lambda scope, name: secrets[scope, name])
    server.sync = live()
    options = (*SECRET, *(("--config", str(CONFIG)) if command == "diff" else ()))
    answers = (STARTED, run()) if command == "sync" else (run(),)
    assert client(*answers, command=command, options=options).code == 0
    assert set(server.keys) == {f"Bearer {KEY}"}


def test_a_secret_that_is_not_accepted_is_the_one_to_correct(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    databricks(monkeypatch, lambda *_: KEY)
    outcome = client(Answer(status=401, body=""), options=SECRET)
    assert outcome.code == 2
    assert "into the secret census-api-key in the scope product-property-sync" in outcome.err


@pytest.mark.parametrize("fault", ["not on Databricks", "no such secret", "empty secret"])
def test_a_secret_that_cannot_be_read_is_reported(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def get(*_: str) -> str:
        if fault == "empty secret":
            return ""
        raise LookupError(f"about {KEY}")

    if fault == "not on Databricks":
        monkeypatch.setitem(sys.modules, "databricks.sdk.runtime", None)
    else:
        databricks(monkeypatch, get)
    outcome = client(STARTED, run(), options=SECRET)
    assert outcome.code == 2
    assert "the secret census-api-key in the scope product-property-sync" in outcome.err
    assert not server.requests


@pytest.mark.parametrize(
    "url",
    [
        "http://app.getcensus.com/api/v2",
        "http://localhost.example.com/api/v2",
        "ftp://localhost/api/v2",
        "app.getcensus.com/api/v2",
        "https://",
        "https://[",
        "https://app.getcensus.com:port/api/v2",
        "https://someone:else@app.getcensus.com/api/v2",
        "https://app.getcensus.com/api/v2?a=b",
    ],
)
def test_an_unsafe_address_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("CENSUS_API_URL", url)
    outcome = client(STARTED)
    assert outcome.code == 2
    assert outcome.err.startswith("CENSUS_API_URL is not an https address")
    assert "else" not in outcome.output


def test_the_address_is_that_of_v2_unless_another_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CENSUS_API_URL", raising=False)
    assert program.read_api_url() == "https://app.getcensus.com/api/v2"
    monkeypatch.setenv("CENSUS_API_URL", "https://app.getcensus.com/api/v1/")
    assert program.read_api_url() == "https://app.getcensus.com/api/v1"


@BOTH_VERSIONS
@pytest.mark.parametrize(
    ("today", "verb"),
    [
        (date(2026, 12, 14), None),
        (date(2026, 12, 15), "will be"),
        (date(2027, 1, 14), "will be"),
        (date(2027, 1, 15), "was"),
    ],
)
def test_v1_comes_with_a_warning_from_a_month_before_its_end(
    client: Client, server: Server, today: date, verb: str | None
) -> None:
    outcome = client(STARTED, run(), today=today)
    assert outcome.code == 0
    if server.version == "v2" or not verb:
        assert outcome.err == ""
    else:
        expected = (
            f"Warning: CENSUS_API_URL is an address of v1 of the API, which {verb} retired on"
        )
        assert outcome.err.startswith(f"{expected} 2027-01-15. Remove CENSUS_API_URL")


# --- Arguments and the terminal ---------------------------------------------------------------

WRONG = {
    "": "the following arguments are required: COMMAND",
    "sync": "the following arguments are required: --sync-id",
    "sync --sync-id 0": "argument --sync-id: 0 is not a whole number from 1",
    "sync --sync-id 5/../6": "argument --sync-id: 5/../6 is not a whole number from 1",
    "sync --sync-id=": "argument --sync-id: '' is not a whole number from 1",
    "sync --sync-id 5 --max-bad-share 1.1": "1.1 is not a share from 0 to 1 (0.01 is 1%)",
    "sync --sync-id 5 --max-bad-share nan": "nan is not a number",
    "sync --sync-id 5 --timeout-minutes 0": "0 is not a number of minutes above 0",
    "sync --sync-id 5 --timeout-minutes inf": "inf is not a number",
    "sync --sync-id 5 --max-records 0": "argument --max-records: 0 is not a whole number from 1",
    "sync --sync-id 5 --key x": "unrecognized arguments: --key x",
    "sync --sync-id 5 --time 3": "unrecognized arguments: --time 3",
    "sync --sync-id 5 --output no_such_folder/x": "no_such_folder is not a folder that can be",
    "sync --sync-id 5 --output pyproject.toml/x": "pyproject.toml is not a folder that can be",
    "sync --sync-id 5 --output /": "exists and is not a file",
    "sync --sync-id 5 --secret-scope x": "--secret-scope and --secret-key go together",
    "diff --sync-id 5 --secret-key x": "--secret-scope and --secret-key go together",
    "records --run-id x": "argument --run-id: x is not a whole number from 1",
    "records --run-id 5 --output /dev/null": "exists and is not a file",
}


@pytest.mark.parametrize("options", WRONG)
def test_wrong_arguments_are_refused_with_the_reason(
    options: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        program.main(options.split())
    assert stop.value.code == 2
    assert WRONG[options] in capsys.readouterr().err


def test_the_help_says_what_the_exit_codes_and_defaults_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = {}
    for command in ("", "sync", "diff", "records"):
        with pytest.raises(SystemExit) as stop:
            program.main([*command.split(), "--help"])
        assert stop.value.code == 0
        texts[command] = " ".join(capsys.readouterr().out.split())
    assert re.findall(r" ([012])  ?\w", texts[""])[:3] == ["0", "1", "2"]
    for default in ("0.01", "60", "1000"):
        assert f"(default: {default})" in texts["sync"]
    assert "(default: 1000)" in texts["records"]
    assert "(default: -, standard input)" in texts["diff"]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_the_program_runs_from_the_command_line_on_any_terminal(
    server: Server, tmp_path: Path, encoding: str
) -> None:
    server.answers = [STARTED, run(records_failed=1)]
    server.records = {"rejected": [record("Hôtel → 東", "naïve fault → 東")]}
    with start(
        *(server, "sync", "--sync-id", "52"), env={"PYTHONIOENCODING": encoding}, cwd=tmp_path
    ) as process:
        out, err = (stream.decode(encoding) for stream in process.communicate())
    no_key(out, err)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("Run 94 of sync 52 has started.\nRun 94 completed")
    if encoding == "utf-8":
        assert "Sync keys: Hôtel → 東" in out
    else:
        assert "\\u2192" in out
    assert server.keys == [f"Bearer {KEY}"] * 4


def test_its_own_texts_are_ascii(server: Server) -> None:
    assert PROGRAM.read_text().isascii()


def test_it_needs_nothing_but_requests() -> None:
    imports = re.findall(r"^ *(?:from|import) (\w+)", PROGRAM.read_text(), re.M)
    ours = {name for name in imports if name not in sys.stdlib_module_names}
    assert ours == {"requests", "databricks"}


@pytest.mark.parametrize("arguments", [("records", "--run-id", "94"), ("--help",)])
def test_a_reader_that_stops_reading_is_no_error(
    server: Server, arguments: tuple[str, ...]
) -> None:
    server.answers = [run(records_failed=1)]
    server.records = {"rejected": rejected(1)}
    with start(server, *arguments, env={"PYTHONUNBUFFERED": ""}) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 2


def test_ctrl_c_ends_a_waiting_process_with_one_line(server: Server) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    server.answers = [STARTED, run(status="working")]
    with start(server, "sync", "--sync-id", "52") as process:
        process.stdout.readline()
        while len(server.requests) < 2:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == b"Stopped. Run 94 goes on in Census: look at it there.\n"
