"""The Census client, against a server on this machine that answers as documented."""

import io
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
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import census as program
import pytest
from census import Waiting
from census_server import RUN, STARTED, Answer, Server, data, record, run, serve

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "scripts" / "census.py"
CONFIG = ROOT / "models" / "marts" / "census" / "product_property_feature_sync.json"
KEY = "secret-token:7b0c9e/x"
FAST = Waiting(
    read=5, request=10, poll=5, retries=2, backoff=0, poll_first=0.01, poll_max=0.02, progress=60
)
TRIGGER = ("POST", "/syncs/52/trigger?force_full_sync=true")
POLL = ("GET", "/sync_runs/94")


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    """Yield the server that the program calls Census."""
    yield from serve()


@pytest.fixture
def server(running_server: Server) -> Server:
    """Return the server without what an earlier test left."""
    vars(running_server).update(vars(Server(running_server.port)))
    return running_server


class Outcome(NamedTuple):
    """What a run of the program left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Client = Callable[..., Outcome]


def no_secret(*texts: str) -> None:
    """Check that no text holds the key, a traceback, or the values that were sent."""
    for text in texts:
        for secret in (KEY, KEY.partition(":")[2], "Traceback", "Secret Towers", "someone@"):
            assert secret not in text


@pytest.fixture
def client(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Client:
    """Return a function that runs the program in this process and checks that no key is shown."""
    monkeypatch.setenv("CENSUS_API_KEY", KEY)
    monkeypatch.setenv("CENSUS_API_URL", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    caplog.set_level(logging.DEBUG)

    def call(
        *answers: Answer, options: str = "", command: str = "sync", waiting: Waiting = FAST
    ) -> Outcome:
        server.answers = list(answers)
        which = "--run-id 94" if command == "records" else "--sync-id 52"
        capfd.readouterr()  # what a fixture printed
        code = program.main([command, *which.split(), *options.split()], waiting)
        outcome = Outcome(code, *capfd.readouterr())
        no_secret(outcome.out, outcome.err, caplog.text)
        assert server.keys <= {f"Bearer {KEY}"}
        return outcome

    return call


def test_a_sync_is_triggered_in_full_and_followed_to_its_end(
    client: Client, server: Server
) -> None:
    outcome = client(STARTED, run(status="queued"), run(status="Postponed\x1b[2J"), run())
    assert (outcome.code, outcome.err) == (0, "")
    assert server.requests == [TRIGGER, POLL, POLL, POLL]
    assert outcome.out.splitlines() == [
        "Run 94 of sync 52 has started.",
        "Run 94 completed: records 2,815 in the source, 2,815 processed, 2,815 updated, 0 invalid, "
        "0 rejected.",
    ]


# How a run ends, with the exit code and what is printed.
ENDS: dict[str, tuple[dict[str, Any], int, str]] = {
    "failed": ({"status": "failed", "records_processed": None}, 1, "Run 94 failed. Look in Census"),
    "canceled as a flag": ({"canceled": True}, 1, "Run 94 was canceled. Look in Census"),
    "canceled": ({"status": "canceled"}, 1, "Run 94 was canceled."),
    "cancelled": ({"status": "cancelled"}, 1, "Run 94 was canceled."),
    "skipped": ({"status": "skipped", "records_failed": None}, 2, "Census skipped run 94, because"),
    "not full": ({"full_sync": False}, 1, "completed, but it was no full sync"),
    "few processed": (
        {"records_processed": 10, "records_updated": 10, "source_record_invalids": 0},
        1,
        "only 10 of 2,815 valid records were processed",
    ),
    "few updated": ({"records_updated": 1000}, 1, "only 1,000 of 2,815 records were updated or"),
    "retried": ({"records_processed": 2900, "records_updated": 2900}, 0, "2,900 processed"),
    "invalid are not processed": (
        {"records_processed": 2814, "records_updated": 2814, "source_record_invalids": 1},
        0,
        "1 invalid",
    ),
    "28 bad": ({"records_updated": 2787, "records_failed": 28}, 0, "28 rejected"),
    "29 bad": (
        {"records_updated": 2786, "records_failed": 29},
        1,
        "29 records were invalid or rejected, more than 1% of the 2,815 processed",
    ),
    "only invalid": (
        {"records_processed": 0, "records_updated": 0, "source_record_invalids": 2815},
        1,
        "2,815 records were invalid or rejected",
    ),
    **{
        f"{name} is {value!r}": ({name: value}, 2, "Census did not return all counts of run 94")
        for name in (*(name for name in RUN if "record" in name), "full_sync")
        for value in (None, "2815", 0.5)
    },
    "with an error": (
        {"status": "failed", "error_code": "X", "error_message": "Bad\nrow", "error_detail": "Fix"},
        1,
        "Census reports: X: Bad row: Fix\n",
    ),
    "with a value in the error": (
        {"status": "failed", "error_detail": 'Make sure "name" with value "Oak Court" is text'},
        1,
        'Census reports: Make sure "..."\n',
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_run_that_did_not_do_what_was_asked_is_no_success(
    client: Client, server: Server, end: str
) -> None:
    server.records = {}
    values, code, expected = ENDS[end]
    outcome = client(STARTED, run(status="working"), run(**values))
    assert outcome.code == code
    assert expected in outcome.out + outcome.err


def test_the_share_of_bad_records_can_be_chosen(client: Client, server: Server) -> None:
    server.records = {}
    one = run(records_updated=2814, records_failed=1)
    assert client(STARTED, one, options="--max-bad-share 0").code == 1
    assert client(STARTED, run(), options="--max-bad-share 0").code == 0
    bad = run(records_updated=2115, records_failed=700)
    assert client(STARTED, bad, options="--max-bad-share 0.25").code == 0


def test_a_trigger_that_had_to_be_retried_follows_the_run_that_it_started(
    client: Client, server: Server
) -> None:
    lost, skipped = Answer(is_reset=True), run(status="skipped")
    server.runs = [{"id": 94, "status": "skipped"}, {"id": 93, "status": "working"}]
    outcome = client(lost, STARTED, skipped, run(id=93, status="working"), run(id=93))
    assert outcome.code == 0
    assert "Census skipped run 94, because run 93 is going on: waiting for it." in outcome.out
    assert "Run 93 completed: records 2,815 in the source" in outcome.out
    assert client(STARTED, skipped).code == 2  # somebody else's run is not ours
    server.runs = [{"id": 94, "status": "skipped"}]
    outcome = client(lost, STARTED, skipped)
    assert (outcome.code, "Wait for its end" in outcome.err) == (2, True)


def test_progress_says_how_much_is_done(client: Client) -> None:
    working = [run(status="working", records_processed=done) for done in (None, 1200)]
    outcome = client(STARTED, *working, run(), waiting=replace(FAST, progress=0))
    assert outcome.out.splitlines()[1:3] == [
        "Run 94: working, 0 records processed, minute 0.",
        "Run 94: working, 1,200 records processed, minute 0.",
    ]


def test_a_run_that_does_not_end_in_time_is_unclear(client: Client, server: Server) -> None:
    began = time.monotonic()
    waiting = replace(FAST, poll_first=0.05, poll_max=0.1)
    outcome = client(
        STARTED, run(status="working"), options="--timeout-minutes 0.01", waiting=waiting
    )
    assert outcome.code == 2
    assert "Run 94 is still working after 0.01 minutes and may go on" in outcome.err
    assert 0.6 <= time.monotonic() - began < 3
    assert 5 <= len(server.requests) <= 11  # ever more slowly, up to poll_max


FAULTS = {
    "answered 500": Answer(status=500, body="<h1>Oops</h1>"),
    "answered 503": Answer(status=503, body=""),
    "answered 429": Answer(status=429, body=""),
    "could not be reached (Connection reset by peer)": Answer(is_reset=True),
    "could not be reached (no answer in time)": Answer(seconds=0.4, body=""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_retried_and_one_that_stays_is_unclear(
    client: Client, server: Server, fault: str
) -> None:
    answer, waiting = FAULTS[fault], replace(FAST, read=0.2)
    outcome = client(answer, answer, STARTED, run(), waiting=waiting)
    assert outcome.code == 0
    assert server.requests == [TRIGGER] * 3 + [POLL]
    assert outcome.err.splitlines() == [
        f"Census {fault}; retry in 0 seconds, 1 left after it.",
        f"Census {fault}; retry in 0 seconds, 0 left after it.",
    ]
    server.requests.clear()
    outcome = client(answer, waiting=waiting)
    assert (outcome.code, server.requests) == (2, [TRIGGER] * 3)
    last = f"Census {fault} when triggering sync 52. Check in Census whether a run has started"
    assert last in outcome.err.splitlines()[-1]


@pytest.mark.parametrize("fault", FAULTS)
def test_polling_goes_on_through_faults_until_the_deadline(
    client: Client, server: Server, fault: str
) -> None:
    answer, waiting = FAULTS[fault], replace(FAST, read=0.1)
    outcome = client(STARTED, *[answer] * 4, run(status="working"), answer, run(), waiting=waiting)
    assert outcome.code == 0
    line = f"Census {fault} when reading run 94. The run may go on: look at it in Census."
    assert outcome.err.splitlines() == [f"{line} Asking again."] * 5
    outcome = client(STARTED, answer, options="--timeout-minutes 0.005", waiting=waiting)
    assert outcome.code == 2
    assert "Run 94 is still going on after 0.005 minutes and may go on." in outcome.err


def test_an_answer_that_drips_does_not_eat_the_whole_time(client: Client, server: Server) -> None:
    drip = Answer(drips=0.05, body=STARTED.body | {"x": "x" * 200})
    began = time.monotonic()
    outcome = client(STARTED, drip, run(), waiting=replace(FAST, poll=0.3))
    assert outcome.code == 0
    assert "(no answer in time) when reading run 94" in outcome.err
    assert client(drip, waiting=replace(FAST, request=0.5)).code == 2
    assert time.monotonic() - began < 3


def test_census_may_ask_to_wait_before_a_retry(client: Client, server: Server) -> None:
    busy = Answer(status=429, body="", headers={"Retry-After": "1"})
    outcome = client(busy, STARTED, run())
    assert (outcome.code, server.times[1] - server.times[0] >= 1) == (0, True)
    assert outcome.err == "Census answered 429; retry in 1 second, 1 left after it.\n"
    malformed = Answer(status=429, body="", headers={"Retry-After": "soon"})
    assert client(malformed, STARTED, run()).code == 2
    long = Waiting()
    assert sum(long.backoff * 2**n for n in range(1, long.retries)) + 100 * 5 < long.request


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://127.0.0.1:{port}/api/v2", "(Connection refused)"),
        ("https://a..example.com/api/v2", "(LocationParseError)"),
        ("https://127.0.0.1:{server}/api/v2", "(SSLError)"),
    ],
)
def test_an_address_where_nobody_answers_is_unclear(
    client: Client, server: Server, url: str, cause: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # but does not listen
        url = url.format(port=taken.getsockname()[1], server=server.port)
        outcome = client(STARTED, options=f"--api-url {url}")
    assert outcome.code == 2
    assert f"Census could not be reached {cause} when triggering" in outcome.err
    assert outcome.err.count("; retry in ") == (FAST.retries if "refused" in cause else 0)


GOES_ON = ("Check in Census whether a run has started", "The run may go on: look at it in Census.")
BROKEN = {
    "not JSON": Answer(body="not JSON"),
    "deep": Answer(body="[" * 100_000),
    "a list": Answer(body=[]),
    "no data": Answer(body={"status": "success"}),
    "data in a list": Answer(body={"status": "success", "data": [94]}),
    "an error": Answer(body={"status": "error", "message": "nope"}),
    "no status": Answer(body={"data": {"sync_run_id": 94, **RUN}}),
    "422": Answer(status=422, body={"status": "success", "data": {"sync_run_id": 94, **RUN}}),
    "409": Answer(status=409, body={"status": "error", "message": "A run is in progress"}),
    "no id and no status": data(),
    "wrong types": data(sync_run_id="94/../95", status=3),
    "401: it does not accept the key": Answer(status=401, body=""),
    "403: it does not accept the key": Answer(status=403, body={"message": f"bad key {KEY}"}),
    "403: no JSON": Answer(status=403, body="<h1>Blocked</h1>"),
    "404: it does not know that id": Answer(status=404, body={"status": "404"}),
    **{f"{status}: a redirect": Answer(status, "") for status in (301, 302, 303, 307, 308)},
}


@pytest.mark.parametrize("answer", BROKEN)
def test_an_answer_that_cannot_be_used_is_unclear(
    client: Client, server: Server, answer: str
) -> None:
    """A run that has been started may go on, whatever is answered while polling."""
    BROKEN[answer].headers["Location"] = f"{server.url}/elsewhere"
    for before in ([], [STARTED]):
        server.requests.clear()
        outcome = client(*before, BROKEN[answer])
        assert outcome.code == 2
        assert GOES_ON[len(before)] in outcome.err
        assert len(server.requests) == len(before) + 1
        if ":" in answer:
            what = "reading run 94" if before else "triggering sync 52"
            status, cause = answer.split(": ")
            assert f"Census answered {status} when {what}: {cause}" in outcome.err


def test_a_key_that_census_repeats_is_not_shown(client: Client, server: Server) -> None:
    server.records = {"rejected": [record(f"x{KEY}", f"token {KEY}", status=KEY)]}
    bad = run(records_failed=29, records_updated=2786)
    assert "***: token ***" in client(STARTED, bad).out
    client(STARTED, run(status="failed", error_message=f"token {KEY}"))
    client(Answer(status=422, body=json.dumps({"message": KEY}).replace("/", "\\/")))


LOCK = "UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record: a0B5g00000XyZ12"
FLOW = "CANNOT_EXECUTE_FLOW_TRIGGER: We can't save it, because Too many SOQL queries: 101"


def rejected(count: int, message: str | None = LOCK, first: int = 0) -> list[dict[str, Any]]:
    """Return rejected records with sync keys that tell them apart."""
    return [record(f"prop_{number:06}", message) for number in range(first, first + count)]


def test_the_reasons_of_rejected_records_are_printed_most_frequent_first(
    client: Client, server: Server, tmp_path: Path
) -> None:
    server.records = {
        "rejected": rejected(4, FLOW) + rejected(240, LOCK, 10),
        "invalid": [record("prop_000001", None, "DUPLICATE")] * 2
        + [record(None, "Sync key is missing", "NULL"), record("é\n\x1b[2J", "wrong", None)],
    }
    answer = run(records_failed=244, records_updated=2571, source_record_invalids=4)
    output = tmp_path / "records.jsonl"
    outcome = client(STARTED, answer, options=f"--output {output}")
    assert outcome.code == 1
    tips = dict.fromkeys(program.CAUSES.values())
    lock = next(tip for tip in tips if tip.startswith("another process"))
    flow = next(tip for tip in tips if tip.startswith("a Flow"))
    assert outcome.out.splitlines()[2:] == [
        "Run 94: 248 rejected or invalid records read, 5 reasons.",
        "  240 records: UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record: <id>",
        "    Sync keys: prop_000010, prop_000011, prop_000012, prop_000013, prop_000014, ...",
        f"    What to do: {lock}",
        "  4 records: CANNOT_EXECUTE_FLOW_TRIGGER: We can't save it, because Too many SOQL "
        "queries: 101",
        "    Sync keys: prop_000000, prop_000001, prop_000002, prop_000003",
        f"    What to do: {flow}",
        "  2 records: DUPLICATE: no message",
        "    Sync keys: prop_000001, ...",
        "    What to do: more than one row has this sync key, so Census does not send it. Correct "
        "the source; product_property_sync_exceptions lists such rows.",
        "  1 record: NULL: Sync key is missing",
        "    What to do: the row has no sync key, so Census does not send it. Correct the source; "
        "product_property_sync_exceptions lists such rows.",
        "  1 record: wrong",
        "    Sync keys: é [2J",
    ]
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(lines) == 248
    assert lines[4] == {"key": "prop_000010", "status": "rejected", "message": program.masked(LOCK)}
    assert lines[-1] == {"key": "é [2J", "status": "invalid", "message": "wrong"}
    outcome = client(answer, command="records", options=f"--output {tmp_path}")
    assert outcome.code == 2
    assert outcome.err == f"{tmp_path} could not be written (Is a directory).\n"


# The beginning of the advice for a message, by Salesforce's status codes and by words.
ADVICE = {
    "UNABLE_TO_LOCK_ROW:x": "another process",
    "REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded.": "Salesforce has had all API requests",
    "STORAGE_LIMIT_EXCEEDED: storage limit exceeded": "Salesforce's data storage is full",
    "ENTITY_IS_LOCKED: x": "an approval process",
    "ENTITY_IS_DELETED: entity is deleted": "the record was deleted",
    "INVALID_CROSS_REFERENCE_KEY: invalid cross reference id": "the record was deleted",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION:x": "a validation rule",
    "FIELD_FILTER_VALIDATION_EXCEPTION:x": "a validation rule",
    "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]": "Salesforce requires a field",
    "STRING_TOO_LONG: x": "the value does not fit",
    "INVALID_TYPE_ON_FIELD_IN_RECORD: bad value": "the value does not fit",
    "JSON_PARSER_ERROR: Cannot deserialize instance of date": "the value does not fit",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST: x": "the value does not fit",
    "DUPLICATE_VALUE:duplicate value found": "more than one record in Salesforce",
    "DUPLICATES_DETECTED: Use one of these records?": "more than one record in Salesforce",
    "DUPLICATE external id": "more than one record in Salesforce",
    "Multiple matches for the sync key": "more than one record in Salesforce",
    "more than one record found for external id field: [x]": "more than one record in Salesforce",
    "INVALID_FIELD_FOR_INSERT_UPDATE:x": "the user that Census logs in as",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "the user that Census logs in as",
    "INVALID_SESSION_ID: Session expired or invalid": "Salesforce does not let Census log in",
    "API_CURRENTLY_DISABLED: x": "Salesforce does not let Census log in",
    "SERVER_UNAVAILABLE: try again": "Salesforce could not answer",
    "UNKNOWN_EXCEPTION: ErrorId 123": "Salesforce could not answer",
    "CANNOT_EXECUTE_FLOW_TRIGGER: x": "a Flow or trigger",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY: trigger": "a Flow or trigger",
    "System.LimitException: Too many SOQL queries: 101": "a Flow or trigger",
    "Apex CPU time limit exceeded": "a Flow or trigger",
    "LIMIT_EXCEEDED: x": "a Flow or trigger",
    'The process "Too many SOQL queries: 101" failed': "a Flow or trigger",
    # What failed inside a Flow is the cause.
    "CANNOT_EXECUTE_FLOW_TRIGGER: FIELD_CUSTOM_VALIDATION_EXCEPTION: x": "a validation rule",
    "CANNOT_EXECUTE_FLOW_TRIGGER: UNABLE_TO_LOCK_ROW": "another process",
    "a bad value for a multiple-select record field": None,
    "too many queries of yours": None,
}


def test_a_known_cause_comes_with_advice(client: Client, server: Server) -> None:
    for message, expected in ADVICE.items():
        server.records = {"rejected": rejected(1, message)}
        answer = run(records_failed=1)
        tips = re.findall("What to do: (.*)", client(answer, command="records").out)
        assert [tip[: len(expected or "")] for tip in tips] == ([expected] if expected else [])


MASKED = {
    'value "Oak "Court" x" is bad': 'value "..."',
    "value 'Oak Court' isn't valid": 'value "..."',
    "Can't find 'Oak Court' here": 'Can\'t find "..."',
    "value 's Court' is bad": 'value "..."',
    "value b'Oak Court'": 'value b"..."',
    "\u201cOak Court\u201d": '"..."',
    "it\u2019s \u2018Oak Court\u2019": 'it\u2019s "..."',
    "value &quot;Oak Court&quot; is bad": 'value "..."',
    "id a0B5g00000XyZ12EAF, a0B5g00000XyZ12 twice": "id <id>, <id> twice",
    "characteristics of responsibilities": "characteristics of responsibilities",
    "write to some.one+x@example.co.uk now": "write to <email> now",
    "call 555-0100 or 1,234.56 on 2026-11-20": "call <number> or <number> on <number>",
    "line 12 of 999": "line 12 of 999",
    "key prop_000000 is unknown": "key <key> is unknown",
    "two\nlines\tand \x1b[31mcolour": "two lines and [31mcolour",
    "a" * 200 + " b" * 200: "a" * 200 + " b" * 50,
    '"' + "x" * 10_000: "...",
    "x " * 995 + "a0B5g00000XyZ12": "x " * 150,
}


@pytest.mark.parametrize("message", MASKED)
def test_values_in_messages_are_masked(message: str) -> None:
    assert program.masked(message, "prop_000000") == MASKED[message]


def test_messages_that_differ_in_values_only_are_one_reason(client: Client, server: Server) -> None:
    messages = [f"UNABLE_TO_LOCK_ROW: a0B5g0000{number:06}" for number in range(300)]
    server.records = {"rejected": [record(f"p{i:05}", m) for i, m in enumerate(messages)]}
    assert (
        "300 rejected or invalid records read, 1 reason."
        in client(run(records_failed=300), command="records").out
    )


@pytest.mark.parametrize(
    ("there", "failed", "options", "requests", "expected"),
    [
        (0, 0, "", 1, "Run 94 has no rejected or invalid records."),
        (0, None, "", 3, "Run 94 has no rejected or invalid records."),
        (99, 99, "", 3, "Run 94: 99 rejected or invalid records read, 1 reason."),
        (100, 100, "", 4, "Run 94: 100 rejected or invalid records read, 1 reason."),
        (250, 250, "", 5, "Run 94: 250 rejected or invalid records read, 1 reason."),
        (250, 250, "--max-records 101", 4, "101 of 250 rejected or invalid records read, 1 reason."
         " To read more of them, raise --max-records."),
        (180, 250, "", 4, "180 of 250 rejected or invalid records read, 1 reason. Census returned "
         "no more: it keeps the records of a run for 14 days."),
        (0, 250, "", 3, "Run 94: 0 of 250 rejected or invalid records read, 0 reasons. Census "
         "returned no more: it keeps the records of a run for 14 days."),
    ],
)  # fmt: skip
def test_all_pages_are_read_up_to_the_limit(
    client: Client,
    server: Server,
    there: int,
    failed: int | None,
    options: str,
    requests: int,
    expected: str,
) -> None:
    server.records = {"rejected": rejected(there), "invalid": []}
    outcome = client(run(records_failed=failed), command="records", options=options)
    assert outcome.code == 0
    assert expected in outcome.out
    assert len(server.requests) == requests


def test_more_records_of_a_run_that_is_not_over_may_follow(client: Client, server: Server) -> None:
    server.records = {"rejected": rejected(1)}
    outcome = client(run(status="working", records_failed=0), command="records")
    assert outcome.out.splitlines()[:2] == [
        "Run 94 is still working: more records may follow.",
        "Run 94: 1 rejected or invalid records read, 1 reason.",
    ]


def test_rare_reasons_are_counted_together(client: Client, server: Server) -> None:
    rare = [record(f"key-{n}", "fault " + "x" * n) for n in range(1, 90)]
    server.records = {"rejected": rare + rejected(100)}
    lines = client(run(records_failed=189), command="records").out.splitlines()
    assert lines[1].startswith("  100 records: UNABLE_TO_LOCK_ROW")
    assert lines[-1] == "  40 records: other reasons"


@pytest.mark.parametrize("fault", [Answer(503), Answer(404), Answer(body={"status": "success"})])
def test_records_that_cannot_be_read_do_not_change_the_verdict(
    client: Client, server: Server, fault: Answer, tmp_path: Path
) -> None:
    page = "records?status=rejected&page=2&per_page=100"
    server.records = {"rejected": rejected(320)}
    output = tmp_path / "records.jsonl"
    for failed, code in ((1, 0), (320, 1)):
        server.faults = {page: [fault] * 3}
        outcome = client(
            STARTED,
            run(records_failed=failed, records_updated=2815 - failed),
            options=f"--output {output}",
        )
        assert outcome.code == code
        assert "The rejected and invalid records were not read. Census answered" in outcome.out
    server.faults = {page: [fault] * 3}
    assert client(run(records_failed=320), command="records").code == 2
    assert not output.exists()
    server.faults = {page: [Answer(429), Answer(503)]}
    outcome = client(run(records_failed=320), command="records")
    assert (outcome.code, "320 rejected or invalid records read" in outcome.out) == (0, True)


def test_the_values_of_a_record_are_dropped_when_it_is_parsed(server: Server) -> None:
    server.records = {"rejected": rejected(1)}
    (found,) = program.Census(server.url, KEY, FAST).ask(
        "GET /sync_runs/94/records?status=rejected&page=1&per_page=100", "reading", kind=list
    )
    assert set(found) == {"identifier", "status", "status_message", "operation"}


def live() -> dict[str, Any]:
    """Return the agreed configuration as Census would return it: more, and in another order."""
    sync = json.loads(CONFIG.read_text())
    for name in ("validate_only", "not_verified", "alert_attributes"):
        del sync[name]
    sync |= {"id": 52, "status": "Ready", "label": "renamed in the UI", "updated_at": "2026-11-01"}
    sync["mappings"].reverse()
    for position, mapping in enumerate(sync["mappings"]):
        mapping |= {"position": position, "preserve_values": False, "lookup_object": None}
    sync["mode"]["triggers"] |= {"dbt_cloud": None, "fivetran": None}
    sync["mode"]["triggers"]["schedule"] |= {"hour": 3, "minute": None}  # kept from before
    return sync


def mapping_to(sync: dict[str, Any], field: str) -> dict[str, Any]:
    """Return the mapping to a field."""
    return next(mapping for mapping in sync["mappings"] if mapping["to"] == field)


def table(sync: dict[str, Any]) -> dict[str, Any]:
    """Return the source object."""
    return sync["source_attributes"]["object"]


FRAUD = "Fraud_Detection_Enabled__c"
OBJECT = "source_attributes.object"
Change = Callable[[dict[str, Any]], Any]
# A change in Census, by what is said of it: the path, the value in Census, the repository's.
DRIFT: dict[tuple[str, str, str], Change] = {
    (f"{OBJECT}.type", "model", "table"): lambda s: table(s).update(type="model"),
    (f"{OBJECT}.table_catalog", "rds", "crm"): lambda s: table(s).update(table_catalog="rds"),
    (f"{OBJECT}.table_schema", "dbt", "sfdc_dbx"): lambda s: table(s).update(table_schema="dbt"),
    (f"{OBJECT}.table_name", "other", "product_property_feature_sync"): (
        lambda s: table(s).update(table_name="other")
    ),
    ("source_attributes.connection_id", "12", "11"): (
        lambda s: s["source_attributes"].update(connection_id=12)
    ),
    ("activation_id", "other_donkey", "glimmering_donkey"): (
        lambda s: s.update(activation_id="other_donkey")
    ),
    ("operation", "mirror", "update"): lambda s: s.update(operation="mirror"),
    ("destination_object", "Account", "Product_Property__c"): (
        lambda s: s["destination_attributes"].update(object="Account")
    ),
    ("mappings.Snappt_Property_ID__c.is_primary_identifier", "True", "False"): (
        lambda s: mapping_to(s, "Snappt_Property_ID__c").update(is_primary_identifier=True)
    ),
    ("mappings.VOR_Start_Date__c.from", "none", "vor_start_date_c"): (
        lambda s: s["mappings"].remove(mapping_to(s, "VOR_Start_Date__c"))
    ),
    ("mappings.Name.from", "name", "none"): lambda s: s["mappings"].append(
        {"from": {"type": "column", "data": "name"}, "to": "Name", "is_primary_identifier": False}
    ),
    ("mappings.IDV_Only_Enabled__c.from", "constant_value", "idv_only_enabled_c"): (
        lambda s: mapping_to(s, "IDV_Only_Enabled__c").update(
            {"from": {"type": "constant_value", "data": {"value": "Secret Towers"}}}
        )
    ),
    (f"mappings.{FRAUD} again.from", "x_c", "none"): lambda s: s["mappings"].append(
        mapping_to(s, FRAUD) | {"from": "x_c"}
    ),
    ("mappings.VOR_Updated_Date__c.sync_null_values", "False", "True"): (
        lambda s: mapping_to(s, "VOR_Updated_Date__c").update(sync_null_values=False)
    ),
    ("mappings.Bank_Linking_Enabled__c.preserve_values", "True", "none"): (
        lambda s: mapping_to(s, "Bank_Linking_Enabled__c").update(preserve_values=True)
    ),
    ("field_behavior", "sync_all_properties", "specific_properties"): (
        lambda s: s.update(field_behavior="sync_all_properties")
    ),
    ("mode.type", "live", "triggered"): lambda s: s["mode"].update(type="live"),
    ("mode.triggers.schedule.frequency", "weekly", "never"): lambda s: s["mode"]["triggers"].update(
        schedule={"frequency": "weekly", "day": "Monday"}
    ),
    ("mode.triggers.dbt_cloud.job_id", "1", "none"): lambda s: s["mode"]["triggers"].update(
        dbt_cloud={"job_id": "1"}
    ),
    ("paused", "True", "False"): lambda s: s.update(paused=True),
}


def test_every_difference_is_a_line(client: Client, server: Server) -> None:
    """Each change alone gives its line and no other; all together give all of them."""
    lines = {change: "{}: in Census {}, in the repository {}".format(*change) for change in DRIFT}
    together = live()
    for change, line in lines.items():
        server.sync = live()
        DRIFT[change](server.sync)
        outcome = client(command="diff", options=f"--config {CONFIG}")
        assert (outcome.code, outcome.out) == (1, f"{line}\n")
        assert outcome.err.startswith("Sync 52 differs from the repository in 1 place. Correct ")
        DRIFT[change](together)
    server.sync = together
    outcome = client(command="diff", options=f"--config {CONFIG}")
    assert sorted(outcome.out.splitlines()) == sorted(lines.values())


MATCHES = "Sync 52 matches the repository.\n"
# Another way to say the same, or a part that Census does not return, which is then said.
SAME: dict[str, tuple[Change, str]] = {
    "as it is": (lambda s: None, ""),
    "names of the warehouse in upper case": (
        lambda s: (
            table(s).update(table_catalog="CRM"),
            mapping_to(s, FRAUD).update({"from": "FRAUD_DETECTION_ENABLED_C"}),
        ),
        "",
    ),
    "the activation as a connection": (
        lambda s: s["destination_attributes"].update(connection_id=s.pop("activation_id")),
        "",
    ),
    "the object at the top": (
        lambda s: s.update(destination_object=s.pop("destination_attributes")["object"]),
        "",
    ),
    "paused": (lambda s: s.pop("paused"), "paused"),
    "operation": (lambda s: s.update(operation=None), "operation"),
    "source": (
        lambda s: s.update(source_attributes={"object": {"type": "table"}}),
        f"source_attributes.connection_id, {OBJECT}.table_catalog, {OBJECT}.table_name, "
        f"{OBJECT}.table_schema",
    ),
    "triggers": (
        lambda s: s["mode"].update(triggers=["x"]),
        "mode.triggers.schedule.frequency",
    ),
    "mappings": (
        lambda s: s.pop("mappings"),
        "mappings: from, mappings: is_primary_identifier, mappings: sync_null_values",
    ),
    "nulls": (
        lambda s: [mapping.pop("sync_null_values") for mapping in s["mappings"]],
        "mappings: sync_null_values",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", SAME)
def test_what_says_the_same_or_is_not_returned_is_no_difference(
    client: Client, server: Server, change: str
) -> None:
    server.sync = live()
    change, absent = SAME[change]
    change(server.sync)
    outcome = client(command="diff", options=f"--config {CONFIG}")
    line = f"Not compared, because Census did not return it: {absent}.\n" if absent else ""
    assert (outcome.code, outcome.out, outcome.err) == (0, line + MATCHES, "")


@pytest.mark.parametrize("sync", [{"id": 52}, {"mappings": "x"}, {"mappings": [1]}])
def test_a_sync_that_cannot_be_compared_is_unclear(
    client: Client, server: Server, sync: dict[str, Any]
) -> None:
    server.sync = sync
    outcome = client(command="diff", options=f"--config {CONFIG}")
    assert outcome.code == 2
    assert re.search(r"Compare (it|them) by eye", outcome.err)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "could not be read (No such file or directory)"),
        (b"", "could not be read (not JSON)"),
        (b"06:00:00  Running with dbt\n{}", "could not be read (not JSON)"),
        (b"\xff\xfe\x00", "could not be read (not JSON)"),
        (b"[" * 100_000, "could not be read (not JSON)"),
        (b"[]", "is no sync in a known form"),
        (b'{"mappings": 3}', "is no sync in a known form"),
        (b"{}", "have nothing in common"),
    ],
)
def test_a_configuration_that_cannot_be_read_triggers_nothing(
    client: Client, server: Server, tmp_path: Path, content: bytes | None, expected: str
) -> None:
    server.sync = live()
    config = tmp_path / "sync.json"
    if content is not None:
        config.write_bytes(content)
    outcome = client(STARTED, run(), options=f"--check {config}")
    assert outcome.code == 2
    assert outcome.err.startswith("Nothing was triggered. ")
    assert expected in outcome.err
    assert TRIGGER not in server.requests


def test_a_sync_is_triggered_only_if_it_is_as_configured(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.sync = live()
    outcome = client(STARTED, run(), options=f"--check {CONFIG}")
    assert outcome.out.startswith(f"{MATCHES}Run 94 of sync 52 has started.")
    server.sync["operation"] = "mirror\x1b[2J"
    server.requests.clear()
    outcome = client(STARTED, run(), options=f"--check {CONFIG}")
    assert outcome.code == 1
    assert outcome.out == "operation: in Census mirror [2J, in the repository update\n"
    assert outcome.err.startswith("Nothing was triggered. Sync 52 differs from the repository in 1")
    assert server.requests == [("GET", "/syncs/52")]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CONFIG.read_bytes())))
    assert client(command="diff").code == 1


@pytest.mark.parametrize("key", ["", " \n", f"{KEY} {KEY}", f"{KEY}\r\nX: y", f"{KEY}é", "short"])
def test_without_a_proper_key_nothing_is_sent(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("CENSUS_API_KEY", key)
    outcome = client(STARTED, run())
    assert outcome.code == 2
    assert "Put an Activations personal access token there." in outcome.err
    assert not server.requests


def test_netrc_does_not_replace_the_key(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("CENSUS_API_KEY", f" {KEY}\r\n")
    assert client(STARTED, run()).code == 0  # which checks the key of each request


SECRET = "--secret-scope product-property-sync --secret-key census-api-key"


@pytest.mark.parametrize("fault", [None, "not on Databricks", "no such secret", "empty secret"])
def test_the_key_is_read_from_a_secret_scope(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, fault: str | None
) -> None:
    def get(scope: str, name: str) -> str:
        assert (scope, name) == ("product-property-sync", "census-api-key")
        if fault == "no such secret":
            raise LookupError(f"about {KEY}")
        return "" if fault else f"{KEY}\n"

    runtime = types.ModuleType("databricks.sdk.runtime")
    runtime.dbutils = types.SimpleNamespace(secrets=types.SimpleNamespace(get=get))
    found = None if fault == "not on Databricks" else runtime
    monkeypatch.setitem(sys.modules, "databricks.sdk.runtime", found)
    monkeypatch.delenv("CENSUS_API_KEY")
    outcome = client(STARTED, run(), options=SECRET)
    assert outcome.code == (2 if fault else 0)
    assert bool(server.requests) == (not fault)
    place = "the secret census-api-key in the scope product-property-sync is "
    assert (place in outcome.err) == bool(fault)


WRONG = {
    "": "the following arguments are required: COMMAND",
    "sync": "the following arguments are required: --sync-id",
    "sync --sync-id 5/../6": "argument --sync-id: invalid int value",
    "sync --sync-id 5 --max-bad-share 5": "--max-bad-share is a share from 0 to 1 (0.01 is 1%)",
    "sync --sync-id 5 --max-bad-share nan": "--max-bad-share is a share from 0 to 1",
    "sync --sync-id 5 --key x": "unrecognized arguments: --key x",
    **{
        f"sync --sync-id 5 --api-url {url}": "--api-url or CENSUS_API_URL is not an https address"
        for url in (
            "http://app.getcensus.com/api/v2",
            "http://localhost.example.com/api/v2",
            "ftp://localhost/api/v2",
            "https://app.getcensus.com:port/api/v2",
            "https://someone:else@app.getcensus.com/api/v2",
            "https://app.getcensus.com/api/v2?a=b",
        )
    },
}


def test_wrong_arguments_are_refused_and_the_help_names_the_defaults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CENSUS_API_URL", raising=False)
    for options, expected in WRONG.items():
        with pytest.raises(SystemExit) as stop:
            program.main(options.split())
        assert stop.value.code == 2
        assert expected in capsys.readouterr().err
    with pytest.raises(SystemExit):
        program.main(["sync", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for default in ("0.01", "60", "1000", "https://app.getcensus.com/api/v2"):
        assert f"(default: {default})" in text


def start(server: Server, *arguments: str, encoding: str = "utf-8") -> subprocess.Popen:
    """Start the program as a process."""
    variables = {"CENSUS_API_KEY": KEY, "CENSUS_API_URL": server.url, "NO_PROXY": "127.0.0.1"}
    return subprocess.Popen(
        [sys.executable, PROGRAM, *arguments],
        env=os.environ | variables | {"PYTHONIOENCODING": encoding},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_program_runs_from_the_command_line_on_any_terminal(
    server: Server, encoding: str
) -> None:
    server.answers = [STARTED, run(records_failed=1, records_updated=2814)]
    server.records = {"rejected": [record("Hôtel → 東", "naïve fault → 東")]}
    with start(server, "sync", "--sync-id", "52", encoding=encoding) as process:
        out, err = (stream.decode(encoding) for stream in process.communicate())
    no_secret(out, err)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("Run 94 of sync 52 has started.\nRun 94 completed")
    assert ("Sync keys: Hôtel → 東" if encoding == "utf-8" else "\\u2192") in out


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


def test_it_is_ascii_and_needs_nothing_but_requests() -> None:
    text = PROGRAM.read_text()
    assert text.isascii()
    imports = re.findall(r"^ *(?:from|import) (\w+)", text, re.M)
    ours = {name for name in imports if name not in sys.stdlib_module_names}
    assert ours == {"requests", "urllib3", "databricks"}
