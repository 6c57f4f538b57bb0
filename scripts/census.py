"""Run a Census sync, compare its live configuration, or explain the records it did not sync.

    CENSUS_API_KEY=... python scripts/census.py sync --sync-id 52   (a personal access token)
    python scripts/census.py diff --sync-id 52 --config FILE
    python scripts/census.py records --run-id 94

Exit codes:

    0  synced; or the configurations match; or the records were read
    1  not synced, or not as asked, or too many records were refused; or the configurations differ
    2  unclear: wrong arguments, key or address, or Census could not be reached or understood, or
       the run had not ended in time
"""

from __future__ import annotations

import argparse
import contextlib
import html
import json
import math
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

API_URL = "https://app.getcensus.com/api/v2"
# Without TLS only this machine may be called.
SAFE_URL = re.compile(r"(https://[\w.-]+|http://(127\.0\.0\.1|localhost))(:\d+)?(/[\w./-]+)")
ENDED = ("completed", "failed", "skipped", "canceled")
NOT_SYNCED = ("rejected", "invalid")  # filters of the API; "invalid" covers NULL and DUPLICATE
PAGE = 100  # the most records that Census returns at a time
LATER = "Try again later."
REASONS_SHOWN, KEYS_SHOWN = 50, 5


class Stop(Exception):
    """Why the program ends before its goal. The outcome is unknown, unless it is Failed."""

    code = 2


class Failed(Stop):
    """Census has not synced everything, or its configuration differs."""

    code = 1


class Passing(Stop):
    """Census did not answer, or answered 429 or 5xx: it may answer later."""


@dataclass(frozen=True)
class Waiting:
    """Waiting times in seconds, and how often a request is retried."""

    read: float = 30  # for a connection, and between two bytes
    request: float = 900  # with its retries and their pauses
    poll: float = 60  # for one look at a run, which is not retried but repeated
    retries: int = 5
    backoff: float = 2  # pauses of 0, 4, 8, 16 and 32 seconds, unless Census asks for another
    poll_first: float = 2
    poll_max: float = 30
    progress: float = 60


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments. The key is none: other users of a machine see the arguments."""
    raw, defaults = argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, text in {
        "sync": "trigger a full sync, wait for its end and report",
        "diff": "compare the configuration of a sync with the repository's",
        "records": "explain the records that a run did not sync",
    }.items():
        add = commands.add_parser(command, help=text, formatter_class=defaults).add_argument
        if command == "records":
            add("--run-id", type=int, required=True, help="the run, as sync prints it")
        else:
            add("--sync-id", type=int, required=True, help="the end of its address in Census")
        if command == "sync":
            add("--max-bad-share", type=float, default=0.01, help="of invalid and rejected records")
            add("--timeout-minutes", type=float, default=60, help="how long to wait for the end")
            add("--check", metavar="FILE", help="run diff on it first; no sync if it differs")
        if command == "diff":
            add("--config", default="-", metavar="FILE", help="what census_sync_config prints")
        else:
            add("--max-records", type=int, default=1000, help="of each kind, rejected and invalid")
            add("--output", type=Path, metavar="FILE", help="write them there, as JSON lines")
        text = "the API's address, for another region; CENSUS_API_URL replaces the default"
        add("--api-url", default=os.environ.get("CENSUS_API_URL") or API_URL, help=text)
        add("--secret-scope", help="read the key from this Databricks secret scope")
        add("--secret-key", help="and under this name, instead of from CENSUS_API_KEY")
    arguments = parser.parse_args(argv)
    if not 0 <= getattr(arguments, "max_bad_share", 0) <= 1:
        parser.error("--max-bad-share is a share from 0 to 1 (0.01 is 1%)")
    if not SAFE_URL.fullmatch(arguments.api_url):
        parser.error(f"--api-url or CENSUS_API_URL is not an https address such as {API_URL}")
    return arguments


def read_key(scope: str | None, name: str | None) -> str:
    """Return the API key from a secret or the environment, or raise Stop, which never quotes it."""
    place, fault = "CENSUS_API_KEY", "missing, too short, or has a character that no key has"
    key = os.environ.get(place, "").strip()
    if scope:
        place, key = f"the secret {name} in the scope {scope}", ""
        try:
            from databricks.sdk.runtime import dbutils  # exists only on Databricks

            key = str(dbutils.secrets.get(scope, name)).strip()
        except Exception as error:
            fault = f"not readable ({type(error).__name__})"
    # Checked here because http.client quotes a header that it refuses in its error. The key is
    # hidden in what Census returns, where a short one could hide words that are needed.
    if not re.fullmatch(r"[!-~]{8,}", key):
        raise Stop(f"{place} is {fault}. Put an Activations personal access token there.")
    return key


def counted(number: float, noun: str) -> str:
    """Return a number with its noun: 1 second, 2,815 records."""
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"


def one_line(value: object, limit: int = 200) -> str:
    """Return text on one line, without what could control a terminal or a cut word at its end."""
    text = str(value)
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:limit]).split())
    return line if len(text) <= limit else f"{line.rpartition(' ')[0]} ...".strip()


# The first quote, but no apostrophe as in "can't".
QUOTE = re.compile(
    "[\"`\u201c\u201d\u201e\u00ab\u00bb]|(?<![A-Za-z])['\u2018\u2019]"
    "|['\u2018\u2019](?!(?:t|s|re|ve|ll|d|m)\\b)"
)
MASKS = {
    "<email>": re.compile(r"[^\s@<>:,;]+@[^\s@<>:,;]+\.[A-Za-z]{2,}"),
    # A Salesforce id has 15 or 18 characters, and a digit among them, unlike most words.
    "<id>": re.compile(r"(?<![^\W_])(?=[A-Za-z]*\d)[A-Za-z\d]{15}(?:[A-Za-z\d]{3})?(?![^\W_])"),
    "<number>": re.compile(r"\d(?:[.,:/-]?\d){3,}"),
}


def masked(text: object, sync_key: str = "") -> str:
    """Return a message on one line, without what may be a value: nothing after the first quote."""
    line = html.unescape(one_line(text or "", 2000))
    if len(sync_key) >= 4:  # else some messages would be a separate reason for each record
        line = line.replace(sync_key, "<key>")
    if quote := QUOTE.search(line):
        line = line[: quote.start()] + '"..."'
    for placeholder, pattern in MASKS.items():
        line = pattern.sub(placeholder, line)
    return line[:300]


def cause_of(error: BaseException) -> str:
    """Return the operating system's words in an error that urllib3 has wrapped several times."""
    words = re.search(
        r"(?:\[Errno -?\d+\] |Error\(\d+, '|Disconnected\(')([A-Z][\w ]+)", str(error)
    )
    is_late = "timed out" in str(error) or isinstance(error, requests.Timeout)
    return words[1] if words else "no answer in time" if is_late else type(error).__name__


class ReportedRetry(Retry):
    """urllib3's retries, with a line on standard error for each."""

    def increment(self, *request: Any, **outcome: Any) -> ReportedRetry:  # noqa: ANN401
        """Return the retries that are left, or raise when there are none."""
        left = super().increment(*request, **outcome)
        response, pause = outcome.get("response"), left.get_backoff_time()
        fault = f"could not be reached ({cause_of(outcome.get('error'))})"
        if response is not None:
            fault = f"answered {response.status}"
            pause = left.get_retry_after(response) or pause
        seconds = counted(math.ceil(pause), "second")
        print(f"Census {fault}; retry in {seconds}, {left.total} left after it.", file=sys.stderr)
        return left


def in_time(seconds: float, call: Callable[[], requests.Response]) -> requests.Response:
    """Return the result of a call; raise its error, or requests.Timeout when it takes longer.

    The timeouts of requests start again with every byte. A late call ends with the program.
    """
    outcome: queue.SimpleQueue[requests.Response | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put(call())
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        found = outcome.get(timeout=seconds)
    except queue.Empty:
        raise requests.Timeout from None
    if isinstance(found, Exception):
        raise found
    return found


class Census:
    """The calls of the Census API that are needed. Nothing that they return holds the key."""

    def __init__(self, url: str, key: str, waiting: Waiting) -> None:
        """Take the address, the key, and the waiting times."""
        self.waiting = waiting
        self.is_retried = False  # whether the last answer took more than one attempt
        self._url, self._key = url.rstrip("/"), key
        self._retry = ReportedRetry(
            total=waiting.retries,
            other=0,  # such as a wrong certificate: the next attempt would end the same
            # Also a POST: the only one is the trigger, and a second run is harmless, since it
            # writes the same values to the same records again.
            allowed_methods=None,
            status_forcelist=[429, *range(500, 600)],
            raise_on_status=False,
            backoff_factor=waiting.backoff,
            retry_after_max=100,
        )

    def trigger(self, sync_id: int) -> int:
        """Start a run and return its id.

        It is a full sync, because Census remembers what it sent: a row that left the relation and
        came back with the same values may count as sent (nothing documents that it does not).
        """
        request, what = (
            f"/syncs/{sync_id}/trigger?force_full_sync=true",
            f"triggering sync {sync_id}",
        )
        unsure = "Check in Census whether a run has started before you try again."
        run_id = self.ask(f"POST {request}", what, unsure).get("sync_run_id")
        if type(run_id) is not int:
            raise Stop(f"Census returned no run id when {what}. {unsure}")
        return run_id

    def run(self, run_id: int, limit: float = 0) -> dict[str, Any]:
        """Return the state of a run. With a limit of seconds the request is not retried."""
        what, unsure = f"reading run {run_id}", "The run may go on: look at it in Census."
        run = self.ask(f"GET /sync_runs/{run_id}", what, unsure, limit=limit)
        if not isinstance(run.get("status"), str):
            raise Stop(f"Census returned no status when {what}. {unsure}")
        return run

    def running(self, sync_id: int) -> int | None:
        """Return the id of the run of a sync that is going on, if Census names one."""
        request = f"GET /syncs/{sync_id}/sync_runs?order=desc&per_page=10"
        with contextlib.suppress(Stop):
            for run in self.ask(request, f"reading the runs of sync {sync_id}", kind=list):
                if run.get("status") in ("working", "queued") and type(run.get("id")) is int:
                    return run["id"]
        return None

    def records(self, run_id: int, status: str) -> Iterator[dict[str, str]]:
        """Yield key, status and message of the records of a run that were rejected, or invalid."""
        what = f"reading the records of run {run_id}"
        for page in count(1):
            request = f"GET /sync_runs/{run_id}/records?status={status}&page={page}&per_page={PAGE}"
            batch = self.ask(request, what, kind=list)
            for record in batch:
                yield {
                    "key": one_line(record.get("identifier") or ""),
                    "status": one_line(record.get("status") or status, 40),
                    "message": str(record.get("status_message") or ""),
                }
            if len(batch) < PAGE:
                return

    def ask(
        self, request: str, what: str, unsure: str = LATER, kind: type = dict, limit: float = 0
    ) -> Any:  # noqa: ANN401 - a dict or a list, as `kind` says
        """Send a request and return the `data` of the answer, or raise Stop.

        `what` the request is for; `unsure`: what to do when nobody knows whether it worked; with a
        `limit` of seconds it is sent once.
        """
        method, path = request.split(" ")

        def call() -> requests.Response:
            with requests.Session() as session:
                session.auth = self._sign  # else requests would let ~/.netrc replace the key
                session.mount(self._url, HTTPAdapter(max_retries=0 if limit else self._retry))
                # No redirects, because the key is for this host and no other.
                more = {"timeout": self.waiting.read, "allow_redirects": False}
                return session.request(method, self._url + path, **more)

        try:
            response = in_time(limit or self.waiting.request, call)
        except (OSError, ValueError) as error:  # requests' own errors are OSErrors
            is_final = isinstance(error, requests.exceptions.SSLError | ValueError)
            text = f"Census could not be reached ({cause_of(error)}) when {what}. {unsure}"
            raise (Stop if is_final else Passing)(text) from None
        self.is_retried = bool(response.raw.retries.history)
        status = response.status_code
        if status == 429 or status >= 500:
            raise Passing(f"Census answered {status} when {what}. {unsure}")
        body = None
        with contextlib.suppress(ValueError, RecursionError):
            body = response.json(object_hook=self._clean)
        is_json = isinstance(body, dict)
        data = body.get("data") if is_json else None
        is_success = 200 <= status < 300 and is_json and body.get("status") == "success"
        parts = data if isinstance(data, list) else [data]
        if is_success and isinstance(data, kind) and all(isinstance(part, dict) for part in parts):
            return data
        message = masked(body.get("message")) if is_json else ""
        cause = message or "an unknown form"
        if 300 <= status < 400:
            cause = "a redirect, which the key must not follow. Check --api-url"
        elif status == 403 and not is_json:
            cause = "no JSON, so perhaps a proxy or firewall on the way refused it"
        elif status in (401, 403):
            cause = "it does not accept the key. v2 takes an Activations personal access token"
        elif status == 404:
            cause = "it does not know that id. Check the id, --api-url and the key's account"
        raise Stop(f"Census answered {status} when {what}: {cause}. {unsure}")

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the key to a request."""
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def _clean(self, row: dict[str, Any]) -> dict[str, Any]:
        """Drop the values of a record as soon as they are parsed, and the key from any text."""
        row.pop("record_payload", None)
        return {k: v.replace(self._key, "***") if isinstance(v, str) else v for k, v in row.items()}


def status_of(run: dict[str, Any]) -> str:
    """Return working, queued, completed, failed, skipped or canceled; the last one is a flag."""
    status = one_line(run["status"], 40).lower()
    return "canceled" if run.get("canceled") is True or status == "cancelled" else status


def counts_of(run: dict[str, Any]) -> dict[str, int | None]:
    """Return how many records a run processed and so on; None where Census does not say."""
    names = {
        "in the source": "source_record_count",
        "processed": "records_processed",
        "updated": "records_updated",
        "invalid": "source_record_invalids",
        "rejected": "records_failed",
    }
    return {name: run[key] if type(run.get(key)) is int else None for name, key in names.items()}


def wait_for_end(census: Census, run_id: int, began: float, minutes: float) -> dict[str, Any]:
    """Return the run when it has ended, or raise Stop so many minutes after it began."""
    waiting = census.waiting
    reported, pause, status = began, waiting.poll_first, "running"
    while (left := began + minutes * 60 - time.monotonic()) > 0:
        try:
            run = census.run(run_id, min(waiting.poll, left))
            if (status := status_of(run)) in ENDED:
                return run
            if time.monotonic() - reported >= waiting.progress:
                reported = time.monotonic()
                done, minute = counts_of(run)["processed"] or 0, (reported - began) // 60
                print(f"Run {run_id}: {status}, {done:,} records processed, minute {minute:.0f}.")
        except Passing as passing:
            print(f"{passing} Asking again.", file=sys.stderr)
        time.sleep(max(0, min(pause, began + minutes * 60 - time.monotonic())))
        pause = min(pause * 1.5, waiting.poll_max)
    raise Stop(f"Run {run_id} is still {status} after {minutes:g} minutes and may go on in Census.")


def judge(run_id: int, run: dict[str, Any], max_bad_share: float) -> None:
    """Raise Failed or Stop unless the run has synced everything."""
    status, counts = status_of(run), counts_of(run).values()
    if status == "skipped":
        raise Stop(
            f"Census skipped run {run_id}, because an earlier one is going on. Wait for its end."
        )
    if status != "completed":
        verb = "was canceled" if status == "canceled" else status
        raise Failed(f"Run {run_id} {verb}. Look in Census for the cause, then sync again.")
    if None in counts or not isinstance(run.get("full_sync"), bool):
        raise Stop(
            f"Census did not return all counts of run {run_id}, or not full_sync. Look at it."
        )
    source, processed, updated, invalid, rejected = counts
    faults = []
    if not run["full_sync"]:
        faults.append("it was no full sync, so rows that Census had sent before may be missing")
    if processed < source - invalid:  # retries may push it above
        faults.append(f"only {processed:,} of {source - invalid:,} valid records were processed")
    if (answered := updated + rejected) < processed:
        faults.append(f"only {answered:,} of {processed:,} records were updated or rejected")
    if (bad := invalid + rejected) > max_bad_share * processed:
        share = f"{max_bad_share * 100:g}% of the {processed:,} processed"
        faults.append(f"{counted(bad, 'record')} were invalid or rejected, more than {share}")
    if faults:
        raise Failed(f"Run {run_id} completed, but {'; '.join(faults)}. Look at it in Census.")


def sync(census: Census, arguments: argparse.Namespace) -> None:
    """Run a sync to its end and report, or raise Failed or Stop."""
    sync_id = arguments.sync_id
    if arguments.check:
        try:
            compare(census, sync_id, arguments.check)
        except Stop as stop:
            raise type(stop)(f"Nothing was triggered. {stop}") from None
    limits = (time.monotonic(), arguments.timeout_minutes)
    goes_on = f"Check in Census whether a run of sync {sync_id} started."
    try:
        run_id = census.trigger(sync_id)
        is_retried = census.is_retried
        print(f"Run {run_id} of sync {sync_id} has started.")
        goes_on = f"Run {run_id} goes on in Census: look at it there."
        run = wait_for_end(census, run_id, *limits)
        if is_retried and status_of(run) == "skipped" and (other := census.running(sync_id)):
            print(f"Census skipped run {run_id}, because run {other} is going on: waiting for it.")
            run_id, run = other, wait_for_end(census, other, *limits)
    except KeyboardInterrupt:
        raise Stop(f"Stopped. {goes_on}") from None
    texts = [f"{'?' if n is None else f'{n:,}'} {name}" for name, n in counts_of(run).items()]
    errors = [masked(run.get(f"error_{part}")) for part in ("code", "message", "detail")]
    error = f" Census reports: {': '.join(filter(None, errors))}" if any(errors) else ""
    print(f"Run {run_id} {status_of(run)}: records {', '.join(texts)}.{error}")
    if status_of(run) != "skipped":
        try:
            explain(census, run_id, run, arguments)
        except Stop as stop:  # how the run ended is known all the same
            print(f"The rejected and invalid records were not read. {stop}")
    judge(run_id, run, arguments.max_bad_share)


SOURCE = "Correct the source; product_property_sync_exceptions lists such rows."
# Advice by cause. The first that is found counts: a failure inside a Flow before the Flow.
CAUSES = {
    r"^NULL:": f"the row has no sync key, so Census does not send it. {SOURCE}",
    r"^DUPLICATE:": f"more than one row has this sync key, so Census does not send it. {SOURCE}",
    r"\bUNABLE_TO_LOCK_ROW\b|exclusive access to this record": (
        "another process was changing the same records. Sync again when no other load runs. If it "
        "happens again, lower the batch size in the sync's Advanced Configuration."
    ),
    r"\bREQUEST_LIMIT_EXCEEDED\b": (
        "Salesforce has had all API requests that it allows in 24 hours. Sync again later, and "
        "find what sends so many."
    ),
    r"\bSTORAGE_LIMIT_EXCEEDED\b": "Salesforce's data storage is full. Ask the Salesforce admin.",
    r"\bENTITY_IS_LOCKED\b": "an approval process holds the record. Finish or recall the approval.",
    r"\b(ENTITY_IS_DELETED|INVALID_CROSS_REFERENCE_KEY|NOT_FOUND)\b": (
        "the record was deleted in Salesforce, or Census's user may not see it."
    ),
    r"\bFIELD_(CUSTOM|FILTER)_VALIDATION_EXCEPTION\b": (
        "a validation rule in Salesforce refuses the record. Correct the record, or have the rule "
        "exempt the user that Census logs in as."
    ),
    r"\bREQUIRED_FIELD_MISSING\b": (
        "Salesforce requires a field that is empty. Fill it in Salesforce, or map it in the sync."
    ),
    r"\b(STRING_TOO_LONG|INVALID_TYPE_ON_FIELD_IN_RECORD|JSON_PARSER_ERROR|MALFORMED_ID"
    r"|NUMBER_OUTSIDE_VALID_RANGE|FIELD_INTEGRITY_EXCEPTION|\w+_RESTRICTED_PICKLIST)\b": (
        "the value does not fit the field. Compare the field's type and length in Salesforce; for "
        "Date/Time fields set the var feature_date_type."
    ),
    r"\b(DUPLICATE_VALUE|DUPLICATES_DETECTED|DUPLICATE[_ ]EXTERNAL[_ ]ID)\b"
    r"|multiple (matches|records found)|more than one record found": (
        "more than one record in Salesforce has this key or value. Merge them or delete one. Keys "
        "that differ only in case count as the same key."
    ),
    r"\bINVALID_FIELD(_FOR_INSERT_UPDATE)?\b|\bINSUFFICIENT_ACCESS": (
        "the user that Census logs in as may not write the field or record. Give that user edit "
        "access in Salesforce, or remove the mapping."
    ),
    r"\b(INVALID_SESSION_ID|INVALID_LOGIN|INVALID_GRANT|API_(CURRENTLY_)?DISABLED\w*)\b": (
        "Salesforce does not let Census log in. Connect Salesforce again in Census."
    ),
    r"\b(SERVER_UNAVAILABLE|QUERY_TIMEOUT|REQUEST_RUNNING_TOO_LONG|UNKNOWN_EXCEPTION)\b": (
        "Salesforce could not answer. Sync again; if it lasts, look at Salesforce's status page."
    ),
    r"\b(CANNOT_EXECUTE_FLOW_TRIGGER|CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY|LIMIT_EXCEEDED)\b"
    r"|Too many (SOQL|DML|query rows|future calls)|CPU time limit": (
        "a Flow or trigger in Salesforce failed or reached a limit. Lower the batch size in the "
        "sync's Advanced Configuration (try 50), then sync again; or have the Flow corrected."
    ),
}


def explain(census: Census, run_id: int, run: dict[str, Any], given: argparse.Namespace) -> None:
    """Read the records that a run did not sync and print the reasons, or raise Stop."""
    if not (has_ended := status_of(run) in ENDED):
        print(f"Run {run_id} is still {status_of(run)}: more records may follow.")
    bad = [counts_of(run)[kind] for kind in NOT_SYNCED]
    total = sum(bad) if has_ended and None not in bad else None
    kinds = () if total == 0 else NOT_SYNCED
    read = [list(islice(census.records(run_id, kind), given.max_records)) for kind in kinds]
    found, reasons = [], {}
    for record in (record for part in read for record in part):
        # A message of Census's own says nothing without the status; one of Salesforce does.
        status = "" if record["status"] in NOT_SYNCED else f"{record['status']}: "
        message = masked(record["message"], record["key"])
        cause = next((c for c in CAUSES if re.search(c, status + record["message"], re.I)), None)
        keys = reasons.setdefault((status + (message or "no message"), cause), [])
        keys.append(record["key"])
        found.append(record | {"message": message})
    if given.output:
        try:
            given.output.write_text("".join(f"{json.dumps(record)}\n" for record in found))
        except OSError as error:
            raise Stop(f"{given.output} could not be written ({error.strerror}).") from None
    if not found and not total:
        if given.command == "records":
            print(f"Run {run_id} has no rejected or invalid records.")
        return
    of = f" of {total:,}" if total is not None and total > len(found) else ""
    rest = " Census has no others: it keeps the records of a run for 14 days." if of else ""
    if (of or total is None) and any(len(part) == given.max_records for part in read):
        rest = " To read more of them, raise --max-records."
    read = f"{len(found):,}{of} rejected or invalid records read"
    print(f"Run {run_id}: {read}, {counted(len(reasons), 'reason')}.{rest}")
    ranked = sorted(reasons.items(), key=lambda reason: -len(reason[1]))
    for (text, cause), keys in ranked[:REASONS_SHOWN]:
        print(f"  {counted(len(keys), 'record')}: {text}")
        if any(keys):
            shown = list(dict.fromkeys(filter(None, keys)))[:KEYS_SHOWN]
            print(f"    Sync keys: {', '.join(shown)}{', ...' if len(keys) > len(shown) else ''}")
        if cause:
            print(f"    What to do: {CAUSES[cause]}")
    if others := sum(len(keys) for _, keys in ranked[REASONS_SHOWN:]):
        print(f"  {counted(others, 'record')}: other reasons")


# Parts of the configuration that people may change in Census, or that Census does not return.
NOT_COMPARED = ("alert_attributes", "label", "not_verified", "validate_only")


def flat(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested JSON objects with their paths."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from flat(part, f"{path}.{name}" if path else name)
    else:
        yield path, value


def facts_of(sync: Any, place: str) -> dict[str, Any]:  # noqa: ANN401
    """Return a sync, as Census returns it or as census_sync_config prints it, by path."""
    try:
        facts = {name: value for name, value in sync.items() if name not in NOT_COMPARED}
        # Both may be at the top or below destination_attributes.
        destination = facts.pop("destination_attributes", None) or {}
        facts.setdefault("destination_object", destination.get("object"))
        facts.setdefault("activation_id", destination.get("connection_id"))
        facts["mappings"] = {}
        for mapping in sync.get("mappings") or []:
            origin, to = mapping["from"], one_line(mapping["to"])
            if isinstance(origin, dict):  # else a column's bare name
                kind = origin.get("type", "column")
                origin = origin.get("data") if kind == "column" else kind  # hides a constant
            names = ("is_primary_identifier", "sync_null_values", "preserve_values")
            parts = {"from": origin} | {name: mapping.get(name) for name in names}
            facts["mappings"][f"{to} again" if to in facts["mappings"] else to] = parts
    except (AttributeError, LookupError, TypeError):
        raise Stop(f"{place} is no sync in a known form. Compare it by eye.") from None
    return dict(flat(facts))


def compare(census: Census, sync_id: int, config: str) -> None:
    """Print how a sync differs from its configuration, or raise Failed if it does, or Stop."""
    try:
        text = sys.stdin.buffer.read() if config == "-" else Path(config).read_bytes()
        expected = facts_of(json.loads(text), config)
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or "not JSON"
        raise Stop(
            f"The configuration {config} could not be read ({why}). Give what `dbt --quiet "
            "run-operation census_sync_config` prints, and nothing else."
        ) from None
    live = census.ask(f"GET /syncs/{sync_id}", f"reading sync {sync_id}")
    live = facts_of(live, f"Sync {sync_id} in Census")
    # A setting that only the sync has counts if it changes the written values or the schedule.
    for name, value in live.items():
        is_trigger = name.startswith("mode.triggers.") and ".schedule." not in name
        if name.endswith(".from") or (value and (is_trigger or name.endswith(".preserve_values"))):
            expected[name] = expected.get(name) or "none"
    has_mappings = any(name.endswith(".from") for name in live)
    differences, absent, same = [], {}, 0
    for name, right in expected.items():
        left, origin = live.get(name), f"{name.rpartition('.')[0]}.from"
        if has_mappings and name.startswith("mappings.") and origin not in live:
            left, right = ("none", right) if name == origin else (None, None)
        if right is None:
            continue
        if left is None:
            absent[re.sub(r"^mappings\..*\.", "mappings: ", name)] = True  # once for all fields
        elif str(left).casefold() == str(right).casefold():  # names in the warehouse have no case
            same += 1
        else:
            left, right = one_line(left), one_line(right)
            differences.append(f"{name}: in Census {left}, in the repository {right}")
    if not same:
        raise Stop(f"{config} and sync {sync_id} have nothing in common. Compare them by eye.")
    for difference in differences:
        print(difference)
    if absent:
        print(f"Not compared, because Census did not return it: {', '.join(absent)}.")
    if differences:
        raise Failed(
            f"Sync {sync_id} differs from the repository in {counted(len(differences), 'place')}. "
            "Correct the sync in Census, or its configuration in the repository."
        )
    print(f"Sync {sync_id} matches the repository.")


def main(argv: list[str] | None = None, waiting: Waiting | None = None) -> int:
    """Run the program and return its exit code; the last sentence says what to do."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal need not know every character
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    arguments = parse(argv)
    try:
        key = read_key(arguments.secret_scope, arguments.secret_key)
        census = Census(arguments.api_url, key, waiting or Waiting())
        if arguments.command == "sync":
            sync(census, arguments)
        elif arguments.command == "diff":
            compare(census, arguments.sync_id, arguments.config)
        else:
            explain(census, arguments.run_id, census.run(arguments.run_id), arguments)
    except Stop as stop:
        print(str(stop), file=sys.stderr)
        return stop.code
    return 0


if __name__ == "__main__":
    # Not sys.exit(0): where a notebook's interpreter runs the program, that is a failure too.
    if exit_code := main():
        sys.exit(exit_code)
