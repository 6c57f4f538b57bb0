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
    """The result of a run of the program: its exit code and its output."""

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
    tmp_path: Path,
) -> Client:
    """Return a function that runs the program in this process and checks that no key is shown."""
    netrc = tmp_path / "netrc"  # may not replace the key
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("CENSUS_API_KEY", f" {KEY}\r\n")
    monkeypatch.setenv("CENSUS_API_URL", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    caplog.set_level(logging.DEBUG)

    def call(
        *answers: Answer, options: str = "", command: str = "sync", waiting: Waiting = FAST
    ) -> Outcome:
        server.answers = list(answers)
        which = "--run-id 94" if command == "records" else "--sync-id 52"
        if command == "sync" and "--timeout" not in options:
            options += " --timeout-minutes 0.2"
        capfd.readouterr()  # discards the output of fixtures
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


# The end of a run: its values, the exit code and the output.
ENDS: list[tuple[dict[str, Any], int, str]] = [
    ({"status": "failed", "records_processed": None}, 1, "Run 94 failed. Look in Census"),
    ({"canceled": True}, 1, "Run 94 was canceled. Look in Census"),
    ({"status": "cancelled"}, 1, "Run 94 was canceled."),
    ({"status": "skipped", "records_failed": None}, 2, "Census skipped run 94, because an earlier"),
    ({"full_sync": False}, 1, "completed, but it was no full sync"),
    ({"processed": 10, "updated": 10}, 1, "only 10 of 2,815 valid records were processed"),
    ({"updated": 1000}, 1, "only 1,000 of 2,815 records were updated or rejected"),
    ({"processed": 2900, "updated": 2900}, 0, "2,900 processed"),  # retries count again
    ({"processed": 2814, "updated": 2814, "source_record_invalids": 1}, 0, "1 invalid"),
    ({"updated": 2787, "failed": 28}, 0, "28 rejected"),
    ({"updated": 2786, "failed": 29}, 1, "29 records were invalid or rejected, more than 1% of"),
    ({"processed": 0, "updated": 0, "source_record_invalids": 2815}, 1, "2,815 records were inval"),
    *(
        ({name: value}, 2, "Census did not return all counts of run 94")
        for name in (*(name for name in RUN if "record" in name), "full_sync")
        for value in (None, "2815")
    ),
    (
        {"status": "failed", "error_code": "X", "error_message": "Bad\nrow", "error_detail": "Fix"},
        1,
        "Census reports: X: Bad row: Fix\n",
    ),
    ({"error_detail": 'Make sure "name" with value "Oak Court"'}, 0, 'Make sure "..."\n'),
]


@pytest.mark.parametrize("end", ENDS)
def test_a_run_that_did_not_do_what_was_asked_is_no_success(
    client: Client, server: Server, end: tuple[dict[str, Any], int, str]
) -> None:
    server.records = {}
    values, code, expected = end
    counts = {n: f"records_{n}" for n in ("processed", "updated", "failed")}
    values = {counts.get(name, name): value for name, value in values.items()}
    outcome = client(STARTED, run(status="working"), run(**values))
    assert outcome.code == code
    assert expected in outcome.out + outcome.err


def test_the_share_of_bad_records_can_be_chosen(client: Client, server: Server) -> None:
    server.records = {}
    one = run(records_updated=2814, records_failed=1)
    assert client(STARTED, one, options="--max-bad-share 0").code == 1
    assert client(STARTED, run(), options="--max-bad-share 0").code == 0


def test_a_trigger_that_had_to_be_retried_follows_the_run_that_it_started(
    client: Client, server: Server
) -> None:
    lost, skipped = Answer(is_reset=True), run(status="skipped")
    server.runs = [{"id": 94, "status": "skipped"}, {"id": 93, "status": "working"}]
    outcome = client(lost, STARTED, skipped, run(id=93, status="working"), run(id=93))
    assert outcome.code == 0
    assert "Census skipped run 94, because run 93 is going on: waiting for it." in outcome.out
    assert "Run 93 completed: records 2,815 in the source" in outcome.out
    outcome = client(STARTED, skipped)  # somebody else's run is not ours
    assert (outcome.code, "waiting for it" in outcome.out) == (2, False)
    server.runs = [{"id": 94, "status": "skipped"}]
    outcome = client(lost, STARTED, skipped)
    assert (outcome.code, "Wait for its end" in outcome.err) == (2, True)


def test_progress_says_how_much_is_done(client: Client) -> None:
    working = [run(status="working", records_processed=done) for done in (None, 1200)]
    lines = client(STARTED, *working, run(), waiting=replace(FAST, progress=0)).out.splitlines()
    assert lines[1] == "Run 94: working, 0 records processed, minute 0."
    assert lines[2] == "Run 94: working, 1,200 records processed, minute 0."


def test_a_run_that_does_not_end_in_time_is_unclear(client: Client, server: Server) -> None:
    began, waiting = time.monotonic(), replace(FAST, poll_first=0.05, poll_max=0.1)
    options = "--timeout-minutes 0.01"
    outcome = client(STARTED, run(status="working"), options=options, waiting=waiting)
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
    assert "Run 94 is still running after 0.005 minutes and may go on in Census." in outcome.err


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
    "no data": Answer(body={"status": "success"}),
    "data in a list": Answer(body={"status": "success", "data": [94]}),
    "an error": Answer(body={"status": "error", "message": "nope"}),
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
    """A started run may go on even if Census answers with errors while we poll."""
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


LOCK = "UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record: a0B5g0000{:06}"
FLOW = "CANNOT_EXECUTE_FLOW_TRIGGER: We can't save it, because Too many SOQL queries: 101"


def rejected(count: int, message: str | None = LOCK, first: int = 0) -> list[dict[str, Any]]:
    """Return rejected records with sync keys that tell them apart."""
    numbers = range(first, first + count)
    return [record(f"prop_{n:06}", message and message.format(n)) for n in numbers]


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
    assert lines[4] == {
        "key": "prop_000010",
        "status": "rejected",
        "message": program.masked(LOCK.format(0)),
    }
    assert lines[-1] == {"key": "é [2J", "status": "invalid", "message": "wrong"}
    outcome = client(answer, command="records", options=f"--output {tmp_path}")
    assert outcome.code == 2
    assert outcome.err == f"{tmp_path} could not be written (Is a directory).\n"


# The beginning of the advice for a message, by Salesforce's status codes and by words.
ADVICE = {
    "REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded.": "Salesforce has had all API requests",
    "STORAGE_LIMIT_EXCEEDED: storage limit exceeded": "Salesforce's data storage is full",
    "INVALID_CROSS_REFERENCE_KEY: invalid cross reference id": "the record was deleted",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION:x": "a validation rule",
    "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]": "Salesforce requires a field",
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
    "SERVER_UNAVAILABLE: x": "Salesforce could not answer",
    "CANNOT_EXECUTE_FLOW_TRIGGER: x": "a Flow or trigger",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY: trigger": "a Flow or trigger",
    "System.LimitException: Too many SOQL queries: 101": "a Flow or trigger",
    "Apex CPU time limit exceeded": "a Flow or trigger",
    'The process "Too many SOQL queries: 101" failed': "a Flow or trigger",
    # The failure inside a Flow is the cause.
    "CANNOT_EXECUTE_FLOW_TRIGGER: FIELD_CUSTOM_VALIDATION_EXCEPTION: x": "a validation rule",
    "CANNOT_EXECUTE_FLOW_TRIGGER: UNABLE_TO_LOCK_ROW": "another process",
    "a bad value for a multiple-select record field": None,
    "LICENSE_LIMIT_EXCEEDED: x": None,
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
    "write to some.one+x@example.co.uk now": "write to <email> now",
    "call 555-0100 on 2026-11-20, line 12 of 999": "call <number> on <number>, line 12 of 999",
    "key prop_000000 is unknown": "key <key> is unknown",
    "two\nlines \x1b[31mcolour": "two lines [31mcolour",
    "a" * 200 + " b" * 200: "a" * 200 + " b" * 50,
    "x " * 995 + "a0B5g00000XyZ12": "x " * 150,
}


@pytest.mark.parametrize("message", MASKED)
def test_values_in_messages_are_masked(message: str) -> None:
    assert program.masked(message, "prop_000000") == MASKED[message]


# The records, the run's count of them, options, requests, and the output.
PAGES = [
    (0, 0, "", 1, "Run 94 has no rejected or invalid records."),
    (0, None, "", 3, "Run 94 has no rejected or invalid records."),
    (99, 99, "", 3, "Run 94: 99 rejected or invalid records read, 1 reason."),
    (100, 100, "", 4, "Run 94: 100 rejected or invalid records read, 1 reason."),
    (250, 250, "", 5, "Run 94: 250 rejected or invalid records read, 1 reason."),
    (250, 250, "--max-records 101", 4, "101 of 250 rejected or invalid records read, 1 reason. To"),
    (180, 250, "", 4, "180 of 250 rejected or invalid records read, 1 reason. Census has no"),
    (0, 250, "", 3, "0 reasons. Census has no others: it keeps the records of a run for 14 days."),
]


def test_all_pages_are_read_up_to_the_limit(client: Client, server: Server) -> None:
    for there, failed, options, requests, expected in PAGES:
        server.records = {"rejected": rejected(there), "invalid": []}
        server.requests.clear()
        outcome = client(run(records_failed=failed), command="records", options=options)
        assert outcome.code == 0
        assert expected in outcome.out
        assert len(server.requests) == requests


def test_more_records_of_a_run_that_is_not_over_may_follow(client: Client, server: Server) -> None:
    server.records = {"rejected": rejected(1)}
    out = client(run(status="working", records_failed=0), command="records").out
    assert out.startswith("Run 94 is still working: more records may follow.\nRun 94: 1 rejected")


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
        answer = run(records_failed=failed, records_updated=2815 - failed)
        outcome = client(STARTED, answer, options=f"--output {output}")
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
    request = "GET /sync_runs/94/records?status=rejected&page=1&per_page=100"
    (found,) = program.Census(server.url, KEY, FAST).ask(request, "reading", kind=list)
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


FRAUD = "Fraud_Detection_Enabled__c"
OBJECT = "source_attributes.object"


def put(sync: dict[str, Any], path: str, value: object) -> None:
    """Set the value at a path; a mapping is found by its field. None: Census does not return it."""
    *parents, name = path.split(".")
    part: Any = sync
    for parent in parents:
        is_list = isinstance(part, list)
        part = next(m for m in part if m["to"] == parent) if is_list else part[parent]
    part[name] = value


# Somebody's changes in Census: the value there, and the repository's.
DRIFT: dict[str, tuple[Any, str]] = {
    f"{OBJECT}.type": ("model", "table"),
    f"{OBJECT}.table_catalog": ("rds", "crm"),
    f"{OBJECT}.table_schema": ("dbt", "sfdc_dbx"),
    f"{OBJECT}.table_name": ("other", "product_property_feature_sync"),
    "source_attributes.connection_id": (12, "11"),
    "activation_id": ("other_donkey", "glimmering_donkey"),
    "operation": ("mirror", "update"),
    "destination_attributes.object": ("Account", "Product_Property__c"),
    "mappings.Snappt_Property_ID__c.is_primary_identifier": (True, "False"),
    "mappings.VOR_Start_Date__c.from": ("x_c", "vor_start_date_c"),
    "mappings.VOR_Updated_Date__c.sync_null_values": (False, "True"),
    "mappings.Bank_Linking_Enabled__c.preserve_values": (True, "none"),
    "field_behavior": ("sync_all_properties", "specific_properties"),
    "mode.type": ("live", "triggered"),
    "mode.triggers.schedule.frequency": ("weekly", "never"),
    "mode.triggers.dbt_cloud": ("job 1", "none"),
    "paused": (True, "False"),
}


def test_every_difference_is_a_line(client: Client, server: Server) -> None:
    """Each change alone gives its line and no other; all together give all of them."""
    together, lines = live(), []
    for path, (value, ours) in DRIFT.items():
        server.sync = live()
        put(server.sync, path, value)
        put(together, path, value)
        shown = path.replace("destination_attributes.", "destination_")
        lines.append(f"{shown}: in Census {value}, in the repository {ours}")
        outcome = client(command="diff", options=f"--config {CONFIG}")
        assert (outcome.code, outcome.out) == (1, f"{lines[-1]}\n")
        assert outcome.err.startswith("Sync 52 differs from the repository in 1 place. Correct ")
    constant = {"type": "constant_value", "data": {"value": "Secret Towers"}}
    put(together, f"mappings.{FRAUD}.from", constant)
    date = next(m for m in together["mappings"] if m["to"] == "IDV_Only_Start_Date__c")
    together["mappings"].remove(date)
    more = [{"from": "name", "to": "Name"}, {"from": "y_c", "to": FRAUD}]
    together["mappings"] += more
    server.sync = together
    outcome = client(command="diff", options=f"--config {CONFIG}")
    for to, theirs, ours in (
        (FRAUD, "constant_value", "fraud_detection_enabled_c"),
        ("IDV_Only_Start_Date__c", "none", "idv_only_start_date_c"),
        ("Name", "name", "none"),
        (f"{FRAUD} again", "y_c", "none"),
    ):
        lines.append(f"mappings.{to}.from: in Census {theirs}, in the repository {ours}")
    assert sorted(outcome.out.splitlines()) == sorted(lines)


MATCHES = "Sync 52 matches the repository.\n"
Change = Callable[[dict[str, Any]], Any]
# Another way to say the same, or a part that Census does not return, which is then said.
SAME: list[tuple[Change, str]] = [
    (lambda s: None, ""),
    (lambda s: put(s, f"{OBJECT}.table_catalog", "CRM"), ""),
    (lambda s: put(s, f"mappings.{FRAUD}.from", "FRAUD_DETECTION_ENABLED_C"), ""),
    (lambda s: put(s, "destination_attributes.connection_id", s.pop("activation_id")), ""),
    (lambda s: s.update(destination_object=s.pop("destination_attributes")["object"]), ""),
    (lambda s: s.pop("paused"), "paused"),
    (lambda s: put(s, "operation", None), "operation"),
    (lambda s: put(s, f"{OBJECT}.table_name", None), f"{OBJECT}.table_name"),
    (lambda s: put(s, "mode.triggers", ["x"]), "mode.triggers.schedule.frequency"),
    (
        lambda s: s.pop("mappings"),
        "mappings: from, mappings: is_primary_identifier, mappings: sync_null_values",
    ),
    (
        lambda s: [mapping.pop("sync_null_values") for mapping in s["mappings"]],
        "mappings: sync_null_values",
    ),
]


@pytest.mark.parametrize("change", SAME)
def test_what_says_the_same_or_is_not_returned_is_no_difference(
    client: Client, server: Server, change: tuple[Change, str]
) -> None:
    server.sync = live()
    change, absent = change
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


UNREADABLE = {
    "/no/such/file": "could not be read (No such file or directory)",
    "": "could not be read (not JSON)",
    "06:00:00  Running with dbt\n{}": "could not be read (not JSON)",
    "\udcff\udcfe": "could not be read (not JSON)",
    "[" * 100_000: "could not be read (not JSON)",
    "[]": "is no sync in a known form",
    '{"mappings": 3}': "is no sync in a known form",
    "{}": "have nothing in common",
}


def test_a_configuration_that_cannot_be_read_triggers_nothing(
    client: Client, server: Server, tmp_path: Path
) -> None:
    server.sync = live()
    for content, expected in UNREADABLE.items():
        config = tmp_path / "sync.json"
        config.write_bytes(content.encode(errors="surrogateescape"))
        config = content if content.startswith("/") else config
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
            "https://app.getcensus.com:port/api/v2",
            "https://app.getcensus.com",
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
