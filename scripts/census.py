"""Run a Census sync, compare its live configuration, or explain the records it did not sync.

    CENSUS_API_KEY=... python scripts/census.py sync --sync-id 123
    dbt --quiet run-operation census_sync_config --args '...' | python scripts/census.py diff ...
    python scripts/census.py records --run-id 456

Exit codes:

    0  synced; or the configurations match; or the records were read
    1  not synced, or too many records were invalid or rejected; or the configurations differ
    2  unclear: wrong arguments, key or address, or Census could not be reached or understood, or
       the run had not ended in time

Environment: CENSUS_API_KEY, and CENSUS_API_URL for another region or version of the API. v2 takes
an Activations personal access token, v1 (retired on 2027-01-15) a workspace key.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import io
import json
import math
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

API_URL = "https://app.getcensus.com/api/v2"
KEYS = {"v2": "an Activations personal access token for v2", "v1": "a workspace key for v1"}
V1_WARNING, V1_RETIRED = date(2026, 12, 15), date(2027, 1, 15)
THIS_MACHINE = ("127.0.0.1", "localhost")  # the only hosts that may be called without TLS
ENDED = ("completed", "failed", "skipped", "canceled")
NOT_SYNCED = ("rejected", "invalid")  # filters of the API; "invalid" covers NULL and DUPLICATE
PAGE = 100  # the most records that Census returns at a time
SAYS_RUNNING = re.compile(r"(already|currently|still) running|in progress", re.IGNORECASE)
PASSING = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
FINAL = requests.exceptions.SSLError  # a ConnectionError, but the next attempt would end the same
LOOK = "Look at the run in Census."


class Stop(Exception):
    """The end of the program before its goal: a message and an exit code."""

    code = 2


class Failed(Stop):
    """Census has not synced, or not enough of it, or its configuration differs."""

    code = 1


class Unclear(Stop):
    """The outcome is unknown."""


@dataclass(frozen=True)
class Settings:
    """Waiting times in seconds, and limits."""

    connect_timeout: float = 10
    read_timeout: float = 30
    request_timeout: float = 120  # all attempts of one request, without the waits Census asks for
    retries: int = 5  # so a request is sent six times at most
    backoff_first: float = 2  # doubles from retry to retry
    backoff_max: float = 60
    retry_after_max: float = 300  # however long Census asks to wait before a retry
    poll_first: float = 2
    poll_growth: float = 1.5
    poll_max: float = 30
    progress_every: float = 60
    reasons_kept: int = 1000  # distinct messages that are counted one by one
    reasons_shown: int = 50
    keys_shown: int = 5  # sync keys of one reason


DEFAULTS = Settings()


# --- Arguments and environment ----------------------------------------------------------------


def positive(text: str) -> int:
    """Return a whole number from 1, or raise ArgumentTypeError."""
    if not re.fullmatch(r"0*[1-9]\d{0,17}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text or repr(text)} is not a whole number from 1")
    return int(text)


def number(text: str) -> float:
    """Return a finite number, or raise ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text or repr(text)} is not a number")
    return value


def minutes(text: str) -> float:
    """Return a number of minutes above 0, or raise ArgumentTypeError."""
    if (value := number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes above 0")
    return value


def share(text: str) -> float:
    """Return a share from 0 to 1, or raise ArgumentTypeError."""
    if not 0 <= (value := number(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to 1 (0.01 is 1%)")
    return value


def new_file(text: str) -> Path:
    """Return the path of a file that can be written, or raise ArgumentTypeError."""
    path = Path(text).resolve()
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{path.parent} is not a folder that can be written to")
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(f"{path} exists and is not a file")
    return path


def make_parser() -> argparse.ArgumentParser:
    """Return the parser. The key is no argument: other users of a machine see the arguments."""
    default = "(default: %(default)s)"
    sync_id, limits, common = (argparse.ArgumentParser(add_help=False) for _ in range(3))
    text = "the sync: the number at the end of its address in Census"
    sync_id.add_argument("--sync-id", type=positive, required=True, metavar="ID", help=text)
    add = limits.add_argument
    text = f"how many rejected and invalid records to read {default}"
    add("--max-records", type=positive, default=1000, metavar="N", help=text)
    add("--output", type=new_file, metavar="FILE", help="write them to this file, as JSON lines")
    add = common.add_argument
    add("--json", action="store_true", help="print one JSON object on standard output at the end")
    add("--secret-scope", metavar="SCOPE", help="read the key from this Databricks secret scope")
    add("--secret-key", metavar="NAME", help="and under this name, instead of CENSUS_API_KEY")

    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(run: Command, text: str, *parents: argparse.ArgumentParser) -> Callable[..., Any]:
        more = {"description": text, "allow_abbrev": False, "parents": [*parents, common]}
        more["epilog"] = "census.py --help explains the exit codes and environment variables."
        sub = commands.add_parser(run.__name__, help=text, **more)
        sub.set_defaults(run=run)
        return sub.add_argument

    add = command(sync, "trigger a full sync, wait for its end and report", sync_id, limits)
    text = f"share of the records that may be invalid or rejected {default}"
    add("--max-bad-share", type=share, default=0.01, metavar="SHARE", help=text)
    text = f"how long to wait for the end of the run {default}"
    add("--timeout-minutes", type=minutes, default=60, metavar="MINUTES", help=text)
    add("--check", metavar="CONFIG", help="run diff on this file first; no sync if it differs")

    add = command(diff, "compare the configuration of a sync with the repository's", sync_id)
    text = "what census_sync_config prints (default: -, standard input)"
    add("--config", default="-", metavar="FILE", help=text)

    add = command(records, "explain the records that a run did not sync", limits)
    add("--run-id", type=positive, required=True, metavar="ID", help="the run, as sync prints it")
    return parser


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments; wrong ones end the program with exit code 2."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if bool(arguments.secret_scope) != bool(arguments.secret_key):
        parser.error("--secret-scope and --secret-key go together: give both or neither")
    return arguments


def read_key(scope: str | None, name: str | None, version: str) -> tuple[str, str]:
    """Return the API key and where it comes from, or raise Unclear, which never quotes it."""
    if scope:
        place = f"the secret {name} in the scope {scope}"
        try:
            from databricks.sdk.runtime import dbutils  # exists only on Databricks

            key = str(dbutils.secrets.get(scope, name))
        except Exception as error:
            raise Unclear(
                f"Databricks could not read {place} ({type(error).__name__}). Check both names and "
                "the permissions on the scope. Outside Databricks, set CENSUS_API_KEY instead."
            ) from None
    else:
        place = "CENSUS_API_KEY"
        key = os.environ.get(place, "")
    key = key.strip()
    if not key:
        raise Unclear(f"There is no API key in {place}. Put {KEYS[version]} of the API there.")
    # Checked here because http.client quotes a header that it refuses in its error. The key is
    # hidden in what Census returns, where a short one could hide words that are needed.
    if not re.fullmatch(r"[!-~]{8,}", key):
        raise Unclear(
            f"The API key in {place} has fewer than 8 characters, or one that no key has. Copy it "
            "again."
        )
    return key, place


def read_api_url() -> str:
    """Return the address of the API without a slash at its end, or raise Unclear."""
    url = os.environ.get("CENSUS_API_URL", "").strip() or API_URL
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a malformed port raises ValueError
    except ValueError:
        parts, host = urlsplit(""), None
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and host in THIS_MACHINE)
    if not is_safe or not host or "@" in parts.netloc or parts.query or parts.fragment:
        raise Unclear(
            f"CENSUS_API_URL is not an https address such as {API_URL}. Correct it, or remove it: "
            "then that address is used."
        )
    return url.rstrip("/")


def version_of(url: str) -> str:
    """Return v1 or v2; an address that ends in neither counts as v2."""
    return "v1" if url.endswith("/v1") else "v2"


def warn_of_v1(url: str, today: date) -> None:
    """Print a warning from a month before the end of v1 on."""
    if version_of(url) == "v1" and today >= V1_WARNING:
        verb = "was" if today >= V1_RETIRED else "will be"
        tell(
            f"Warning: CENSUS_API_URL is an address of v1 of the API, which {verb} retired on "
            f"{V1_RETIRED}. Remove CENSUS_API_URL, so that {API_URL} is used, and replace the key "
            f"with {KEYS['v2']}."
        )


# --- Text -------------------------------------------------------------------------------------


def say(sentence: str) -> None:
    """Print a result at once, because a job's log is read while it runs."""
    print(sentence, flush=True)


def tell(sentence: str) -> None:
    """Print what is not a result to standard error: retries, warnings, and why it stopped."""
    print(sentence, file=sys.stderr, flush=True)


def counted(count: float, noun: str) -> str:
    """Return a number with its noun: 1 second, 2,815 records."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


def is_count(value: object) -> bool:
    """Tell whether a value of an answer is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


QUOTES = {  # typographic quotes and the backtick, as straight quotes
    **dict.fromkeys((0x201C, 0x201D, 0x201E, 0xAB, 0xBB), '"'),
    **dict.fromkeys((0x2018, 0x2019, 0x201A, 0x60), "'"),
}
APOSTROPHE = re.compile(r"(?<=[A-Za-z])'(?=(?:t|s|re|ve|ll|d|m)\b)")
MASKS = (
    (re.compile(r"[^\s@<>\"':,;]+@[^\s@<>\"':,;]+\.[A-Za-z]{2,}"), "<email>"),
    # A Salesforce id has 15 or 18 characters, and a digit among them, unlike most words.
    (re.compile(r"(?<![^\W_])(?=[A-Za-z]*\d)[A-Za-z\d]{15}(?:[A-Za-z\d]{3})?(?![^\W_])"), "<id>"),
    (re.compile(r"\d(?:[.,:/-]?\d){3,}"), "<number>"),
)


def one_line(value: object, limit: int) -> str:
    """Return printable text on one line; the word that the limit cuts is left out."""
    text = str(value)
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:limit]).split())
    return line if len(text) <= limit else f"{line.rpartition(' ')[0]} ...".strip()


def without_quoted(text: str, quote: str) -> str:
    """Return text without what is in quotes; from the first quote on if they do not pair up."""
    parts = text.split(quote)
    outside = parts[::2]
    pairs_up = (
        len(parts) % 2 == 1
        and not any(part.endswith("\\") for part in parts)
        and not any(re.match(r"\w", part) for part in outside[1:])
        and not any(re.search(r"\w$", part) for part in outside[:-1])
    )
    hidden = f"{quote}...{quote}"
    return hidden.join(outside) if pairs_up or len(parts) == 1 else parts[0] + hidden


def masked(text: object, sync_key: str = "") -> str:
    """Return a message of Census or Salesforce on one line of 300 characters, without values."""
    line = one_line(html.unescape(one_line(text or "", 2000)), 2000)
    if len(sync_key) >= 4:  # else some messages would give each record a reason of its own
        line = line.replace(sync_key, "<key>")
    line = APOSTROPHE.sub("\0", line.translate(QUOTES))
    for quote in ('"', "'"):
        line = without_quoted(line, quote)
    for pattern, placeholder in MASKS:
        line = pattern.sub(placeholder, line)
    return line.replace("\0", "'")[:300]


# --- Census -----------------------------------------------------------------------------------


class BearerKey(requests.auth.AuthBase):
    """The key as a header. As `auth`, because requests would else let ~/.netrc replace it."""

    def __init__(self, key: str) -> None:
        """Take the key."""
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header to a request."""
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class Record(NamedTuple):
    """A record that was not synced: its sync key, Census's status, the destination's message."""

    key: str
    status: str
    message: str


class Census:
    """The calls of the Census API that are needed. Nothing that they return holds the key."""

    def __init__(self, url: str, key: str, key_place: str, settings: Settings) -> None:
        """Take the address, the key, where it comes from, and the waiting times."""
        self._url = url
        self._key = key
        self._key_place = key_place
        self._settings = settings
        self._session = requests.Session()
        self._session.auth = BearerKey(key)

    def trigger(self, sync_id: int) -> int:
        """Start a run of the sync and return its id, or raise Unclear.

        Always a full sync: Census remembers what it sent. A row that leaves the relation and comes
        back with the same values may count as sent (nothing documents that it does not), but it is
        back because Salesforce does not hold them.
        """
        what = f"triggering sync {sync_id}"
        unsure = "Check in Census whether a run has started before you try again."
        query = {"force_full_sync": "true"}
        answer = self._ask("POST", f"/syncs/{sync_id}/trigger", what, unsure, query)
        if not is_count(run_id := answer.get("sync_run_id")):
            raise Unclear(f"Census returned no run id when {what}. {unsure}")
        return run_id

    def run(self, run_id: int) -> dict[str, Any]:
        """Return the state of a run, or raise Unclear."""
        unsure = "The run may go on: look at it in Census."
        run = self._ask("GET", f"/sync_runs/{run_id}", f"reading run {run_id}", unsure)
        if not isinstance(run.get("status"), str):
            raise Unclear(f"Census returned no status of run {run_id}. {unsure}")
        return run

    def sync(self, sync_id: int) -> dict[str, Any]:
        """Return the configuration of a sync, or raise Unclear."""
        return self._ask("GET", f"/syncs/{sync_id}", f"reading sync {sync_id}", "Try again later.")

    def records(self, run_id: int, limit: int) -> Iterator[Record]:
        """Yield at most so many records that a run did not sync, or raise Unclear.

        One page of each status in turn, so that the limit hides neither status.
        """
        path, what = f"/sync_runs/{run_id}/records", f"reading the records of run {run_id}"
        last_keys: dict[str, list[str]] = {status: [] for status in NOT_SYNCED}
        page = 0
        while last_keys:
            page += 1
            for status in tuple(last_keys):
                query = {"status": status, "page": str(page), "per_page": str(PAGE)}
                batch = self._ask("GET", path, what, "Try again later.", query, list)
                if not all(isinstance(record, dict) for record in batch):
                    raise Unclear(f"Census answered in an unknown form when {what}. {LOOK}")
                keys = [one_line(record.get("identifier") or "", 200) for record in batch]
                if len(set(keys)) > 1 and keys == last_keys[status]:
                    raise Unclear(f"Census returned the same page again when {what}. {LOOK}")
                for key, record in zip(keys, batch[:limit], strict=False):
                    message = str(record.get("status_message") or "")
                    yield Record(key, one_line(record.get("status") or status, 40), message)
                limit -= len(batch)
                if limit <= 0:
                    return
                last_keys[status] = keys
                if len(batch) != PAGE:
                    del last_keys[status]

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _ask(
        self,
        method: str,
        path: str,
        what: str,
        unsure: str,
        query: dict[str, str] | None = None,
        kind: type = dict,
    ) -> Any:  # noqa: ANN401 - a dict or a list, as `kind` says
        """Send a request and return the `data` of the answer, or raise Unclear.

        `what` the request is for; `unsure`: what to do when nobody knows whether it worked.
        """
        response = self._send(method, path, what, unsure, query)
        status = response.status_code
        self._explain(status, what)
        try:
            body = response.json(object_hook=self._clean)
        except (ValueError, RecursionError):
            body = None
        body = body if isinstance(body, dict) else {}
        message = masked(body.get("message")) or "no message"
        if status == 409 or SAYS_RUNNING.search(message):
            raise Unclear(
                f"Census answered that a run is going on when {what} ({message}). Wait "
                "for the end of that run, then try again."
            )
        data = body.get("data")
        if not response.ok or body.get("status") != "success" or not isinstance(data, kind):
            form = " in an unknown form" if response.ok else ""
            raise Unclear(f"Census answered {status}{form} when {what} ({message}). {unsure}")
        return data

    def _clean(self, value: dict[str, Any]) -> dict[str, Any]:
        """Drop the values of a record as soon as they are parsed, and the key from any text."""
        value.pop("record_payload", None)
        for name, text in value.items():
            if isinstance(text, str):
                value[name] = text.replace(self._key, "***")
        return value

    def _send(
        self, method: str, path: str, what: str, unsure: str, query: dict[str, str] | None
    ) -> requests.Response:
        """Send a request, again after a fault that may pass, and return the answer.

        Also a POST: the only one is the trigger, and a second run is harmless, since it writes the
        same values to the same records again. Raises Unclear when the fault stays.
        """
        settings = self._settings
        request = partial(
            self._session.request,
            *(method, self._url + path),
            params=query,
            timeout=(settings.connect_timeout, settings.read_timeout),
            allow_redirects=False,  # the key is for this host and no other
        )
        left = settings.request_timeout
        for attempt in range(1, settings.retries + 2):
            began = time.monotonic()
            asked_for, is_passing = None, True
            try:
                response = in_time(left, request)
            except (OSError, ValueError) as error:  # requests' own errors are OSErrors
                fault = f"could not be reached ({self._cause(error)})"
                is_passing = isinstance(error, PASSING) and not isinstance(error, FINAL)
            else:
                if response.status_code != 429 and response.status_code < 500:
                    return response
                fault = f"answered {response.status_code}"
                asked_for = retry_after(response)
            left -= time.monotonic() - began
            pause = min(settings.backoff_first * 2 ** (attempt - 1), settings.backoff_max)
            if asked_for is None:
                left -= pause
            else:
                pause = min(asked_for, settings.retry_after_max)
            if not is_passing or attempt > settings.retries or left <= 0:
                break
            seconds = counted(math.ceil(pause), "second")
            tell(f"Census {fault}; trying again in {seconds} ({attempt} of {settings.retries}).")
            time.sleep(pause)
        raise Unclear(f"Census {fault} in {counted(attempt, 'attempt')} at {what}. {unsure}")

    def _cause(self, error: BaseException) -> str:
        """Return the cause of a fault in the words of the operating system."""
        if isinstance(error, requests.Timeout):
            return "no answer in time"
        while inner := error.__cause__ or error.__context__:
            error = inner
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return masked(str(text).replace(self._key, "***"))

    def _explain(self, status: int, what: str) -> None:
        """Raise Unclear for the HTTP status codes that have a known cause."""
        if 300 <= status < 400:
            raise Unclear(
                f"Census answered {status}, a redirect, when {what}. It was not followed, because "
                "the key must not go elsewhere. Set CENSUS_API_URL to the right address."
            )
        if status in (401, 403):
            version = version_of(self._url)
            other = "v1" if version == "v2" else "v2"
            raise Unclear(
                f"Census answered {status} when {what}: it does not accept the key. Put "
                f"{KEYS[version]} of the API into {self._key_place}, with access to the sync. If "
                f"the key is {KEYS[other]}, set CENSUS_API_URL to an address that ends in {other}."
            )
        if status == 404:
            raise Unclear(
                f"Census answered 404 when {what}: it does not know that id. Check the id, "
                "CENSUS_API_URL, and that the key belongs to the right workspace."
            )


def retry_after(response: requests.Response) -> float | None:
    """Return how many seconds Census asks to wait, or None."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return int(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def in_time(seconds: float, call: Callable[[], requests.Response]) -> requests.Response:
    """Return what a call returns or raise what it raises; requests.Timeout when it takes longer.

    The timeouts of requests start again with every byte, and do not cover name resolution. A call
    that takes longer is left to itself and ends with the program.
    """
    outcome: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((call(), None))
        except Exception as error:
            outcome.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        response, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise requests.Timeout from None
    if error:
        raise error
    return response


# --- sync -------------------------------------------------------------------------------------


def status_of(run: dict[str, Any]) -> str:
    """Return working, queued, completed, failed, skipped or canceled; the last one is a flag."""
    return "canceled" if run.get("canceled") is True else one_line(run["status"], 40).lower()


def wait_for_end(
    census: Census, run_id: int, timeout_minutes: float, settings: Settings
) -> dict[str, Any]:
    """Return the run when it has ended, asking ever more slowly.

    Raises Unclear when it has not ended in time; the retries of a last request can add to it.
    """
    began = reported = time.monotonic()
    pause = settings.poll_first
    last = ""
    while True:
        run = census.run(run_id)
        status = status_of(run)
        if status in ENDED:
            return run
        if status not in ("working", "queued", last):
            say(f"Run {run_id} is {status}, a status this program does not know. Still waiting.")
        last = status
        now = time.monotonic()
        left = began + timeout_minutes * 60 - now
        if left <= 0:
            raise Unclear(
                f"Run {run_id} is still {status} after {timeout_minutes:g} minutes and may go on. "
                "Look at it in Census before you trigger the sync again."
            )
        if now - reported >= settings.progress_every:
            done, total = run.get("records_processed"), run.get("source_record_count")
            of = f" of {total:,}" if is_count(total) else ""
            elapsed = counted(round((now - began) / 60), "minute")
            done = done if is_count(done) else 0
            say(f"Run {run_id}: {done:,}{of} records processed after {elapsed}.")
            reported = now
        time.sleep(min(pause, left))
        pause = min(pause * settings.poll_growth, settings.poll_max)


def counts_of(run: dict[str, Any]) -> dict[str, int | None]:
    """Return how many records a run processed and so on; None where Census does not say."""
    counts = {
        "processed": run.get("records_processed"),
        "updated": run.get("records_updated"),
        # The name of today; records_invalid is kept for older clients, as long as it is.
        "invalid": run.get("source_record_invalids", run.get("records_invalid")),
        "rejected": run.get("records_failed"),
    }
    return {name: count if is_count(count) else None for name, count in counts.items()}


def bad_records(counts: dict[str, int | None]) -> int | None:
    """Return how many records were not synced, or None where Census does not say."""
    bad = (counts["invalid"], counts["rejected"])
    return None if None in bad else sum(bad)


def judge(run_id: int, status: str, counts: dict[str, int | None], max_bad_share: float) -> None:
    """Raise Failed or Unclear unless the run has synced enough of its records."""
    if status == "skipped":
        raise Unclear(
            f"Census skipped run {run_id}, because an earlier run is still going on, perhaps one "
            "that this program started without an answer. Wait for its end, then try again."
        )
    if status != "completed":
        verb = "was canceled" if status == "canceled" else status
        raise Failed(
            f"Run {run_id} {verb}. Look in Census for the cause, then trigger the sync again."
        )
    if None in counts.values():
        raise Unclear(f"Census did not return all counts of run {run_id}. {LOOK}")
    # Invalid records were not sent, so Census does not count them as processed.
    bad, processed = bad_records(counts), counts["processed"]
    if bad > max_bad_share * processed:
        raise Failed(
            f"{counted(bad, 'record')} of run {run_id} {'was' if bad == 1 else 'were'} invalid or "
            f"rejected, more than {max_bad_share * 100:g}% of the {processed:,} processed. Correct "
            "the causes, then trigger the sync again."
        )


def sync(
    census: Census, arguments: argparse.Namespace, settings: Settings, result: dict[str, Any]
) -> None:
    """Run a sync to its end and report, or raise Failed or Unclear."""
    sync_id = result["sync_id"] = arguments.sync_id
    if arguments.check:
        try:
            compare(census, sync_id, arguments.check, result)
        except Stop as stop:
            raise type(stop)(f"Nothing was triggered. {stop}") from None
    try:
        run_id = result["run_id"] = census.trigger(sync_id)
    except KeyboardInterrupt:
        raise Unclear(
            f"Stopped. Check in Census whether a run of sync {sync_id} started."
        ) from None
    say(f"Run {run_id} of sync {sync_id} has started.")
    try:
        run = wait_for_end(census, run_id, arguments.timeout_minutes, settings)
    except KeyboardInterrupt:
        raise Unclear(f"Stopped. Run {run_id} goes on in Census: look at it there.") from None
    status, counts = status_of(run), counts_of(run)
    result |= {"status": status, "counts": counts}
    texts = {name: "?" if count is None else f"{count:,}" for name, count in counts.items()}
    error = [run.get("error_code"), run.get("error_message") or run.get("error_detail")]
    error = masked(": ".join(str(part) for part in error if part))
    say(
        f"Run {run_id} {status}: {texts['processed']} records processed, {texts['updated']} "
        f"updated, {texts['invalid']} invalid, {texts['rejected']} rejected."
        + (f" Census reports: {error}" if error else "")
    )
    if status != "skipped":
        try:
            explain(census, run_id, bad_records(counts), arguments, settings, result)
        except Unclear as stop:  # how the run ended is known all the same
            say(f"The rejected and invalid records were not read. {stop}")
    judge(run_id, status, counts, arguments.max_bad_share)


# --- records ----------------------------------------------------------------------------------

FLOW = (
    "a Flow or trigger in Salesforce failed or reached a limit. Lower the batch size in the "
    "Advanced Configuration of the sync (try 50), then trigger it again. If the "
    "message is about an error in the Flow, have the Flow corrected."
)
SOURCE = "Correct the source; product_property_sync_exceptions lists such rows."
CAUSES = {
    r"^NULL:": f"the row has no sync key, so Census does not send it. {SOURCE}",
    r"^DUPLICATE:": f"more than one row has this sync key, so Census does not send it. {SOURCE}",
    r"UNABLE_TO_LOCK_ROW|exclusive access to this record": (
        "another process was changing the same records. Trigger the sync again when no other load "
        "runs. If it happens again, lower the batch size in the sync's Advanced Configuration."
    ),
    r"Too many (SOQL|DML|query|queries|future)|CPU time limit|LIMIT_EXCEEDED": FLOW,
    r"FIELD_CUSTOM_VALIDATION_EXCEPTION": (
        "a validation rule in Salesforce refuses the record. Correct the record, or have the rule "
        "exempt the user that Census logs in as."
    ),
    r"REQUIRED_FIELD_MISSING": (
        "Salesforce requires a field that is empty. Fill it in Salesforce, or map it in the sync."
    ),
    r"DUPLICATE_VALUE|DUPLICATES_DETECTED|DUPLICATE.{0,10}EXTERNAL.{0,3}ID|"
    r"multiple (\w+ )?(match|record)|more than one record found": (
        "more than one record in Salesforce has this key or value. Merge them or delete one. Keys "
        "that differ only in case count as the same key."
    ),
    r"INVALID_FIELD_FOR_INSERT_UPDATE|INSUFFICIENT_ACCESS": (
        "the user that Census logs in as may not write the field or record. Give that user edit "
        "access in Salesforce, or remove the mapping."
    ),
    r"CANNOT_EXECUTE_FLOW_TRIGGER|CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": FLOW,
}


@dataclass
class Reason:
    """Why records were not synced: how many, some of their sync keys, and what to do."""

    message: str
    advice: str
    count: int = 0
    keys: list[str] = field(default_factory=list)

    def add(self, count: int, keys: Iterable[str], keys_shown: int) -> None:
        """Add records and as many of their keys as are shown."""
        self.count += count
        for key in keys:
            if key and len(self.keys) < keys_shown and key not in self.keys:
                self.keys.append(key)


def group(
    unsynced: Iterable[Record], write: Callable[[dict[str, str]], None], settings: Settings
) -> list[Reason]:
    """Write each record, keep none, and return the reasons, most frequent first."""
    reasons: dict[str, Reason] = {}
    others = Reason("other reasons", "")
    reported = time.monotonic()
    for done, record in enumerate(unsynced, 1):
        message = masked(record.message, record.key)
        write({"key": record.key, "status": record.status, "message": message})
        # A message of Census's own says nothing without the status; one of Salesforce does.
        status = "" if record.status in NOT_SYNCED else f"{record.status}: "
        text = status + (message or "no message")
        if text not in reasons and len(reasons) < settings.reasons_kept:
            whole = status + record.message
            advice = (tip for cause, tip in CAUSES.items() if re.search(cause, whole, re.I))
            reasons[text] = Reason(text, next(advice, ""))
        reasons.get(text, others).add(1, [record.key], settings.keys_shown)
        if time.monotonic() - reported >= settings.progress_every:
            tell(f"{done:,} records read so far.")
            reported = time.monotonic()
    ranked = sorted(reasons.values(), key=lambda reason: -reason.count)
    for reason in ranked[settings.reasons_shown :]:
        others.add(reason.count, reason.keys, settings.keys_shown)
    return ranked[: settings.reasons_shown] + ([others] if others.count else [])


@contextlib.contextmanager
def whole_file(path: Path | None) -> Iterator[Callable[[dict[str, str]], None]]:
    """Yield what writes a JSON line. The file appears whole when all has gone well, or not."""
    if path is None:
        yield lambda _: None
        return
    try:
        file = NamedTemporaryFile(  # noqa: SIM115 - closed below, before it is renamed
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        )
        try:
            with file:
                yield lambda record: print(json.dumps(record), file=file)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    except OSError as error:
        raise Unclear(
            f"{path} could not be written ({error.strerror}). Correct --output."
        ) from None


def explain(
    census: Census,
    run_id: int,
    total: int | None,
    arguments: argparse.Namespace,
    settings: Settings,
    result: dict[str, Any],
) -> None:
    """Read the records that a run did not sync and print the reasons, or raise Unclear."""
    limit = arguments.max_records
    with whole_file(arguments.output) as write:
        unsynced = iter(()) if total == 0 else census.records(run_id, limit)
        reasons = group(unsynced, write, settings)
    read = sum(reason.count for reason in reasons)
    result |= {"records_read": read, "records_total": total}
    result["reasons"] = [asdict(reason) for reason in reasons]
    if not read and not total:
        if arguments.command == "records":
            say(f"Run {run_id} has no rejected or invalid records.")
        return
    of, rest = "", ""
    if total is not None and total > read:
        of, rest = f" of {total:,}", " Census returned no more."
    if read == limit and (of or total is None):
        rest = " To read more of them, raise --max-records."
    noun = "record" if read == 1 and not of else "records"
    found = counted(len(reasons), "reason")
    say(f"Run {run_id}: {read:,}{of} rejected or invalid {noun} read, {found}.{rest}")
    for reason in reasons:
        say(f"  {counted(reason.count, 'record')}: {reason.message}")
        if reason.keys:
            more = ", ..." if reason.count > len(reason.keys) else ""
            say(f"    Sync keys: {', '.join(reason.keys)}{more}")
        if reason.advice:
            say(f"    What to do: {reason.advice}")


def records(
    census: Census, arguments: argparse.Namespace, settings: Settings, result: dict[str, Any]
) -> None:
    """Explain the records that a run did not sync, or raise Unclear."""
    run_id = arguments.run_id
    run = census.run(run_id)
    status = status_of(run)
    result |= {"run_id": run_id, "status": status}
    if status not in ENDED:
        say(f"Run {run_id} is still {status}: more records may follow.")
    total = bad_records(counts_of(run)) if status in ENDED else None
    explain(census, run_id, total, arguments, settings, result)


# --- diff -------------------------------------------------------------------------------------

# The parts of a schedule that count for a frequency; Census may keep others from before.
SCHEDULE_PARTS = {
    "never": (),
    "continuous": (),
    "quarter_hourly": (),
    "hourly": ("minute",),
    "daily": ("hour", "minute"),
    "expression": ("cron_expression",),
}


class Facts(NamedTuple):
    """What is compared of a sync. None where it is absent."""

    settings: dict[str, Any]
    mappings: dict[str, dict[str, Any]] | None  # by field of the destination


def part_of(value: object, *names: str) -> Any:  # noqa: ANN401
    """Return a part of nested JSON objects, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def facts_of(sync: dict[str, Any]) -> Facts:
    """Return the facts of a sync as Census returns it, or as census_sync_config prints it.

    v1 may have the schedule beside the other settings and a column's bare name in a mapping; v2 may
    have the destination's object at the top. Raises ValueError for an unknown form.
    """
    source = part_of(sync, "source_attributes", "object")
    settings = {
        "source type": part_of(source, "type"),
        "source catalog": part_of(source, "table_catalog"),
        "source schema": part_of(source, "table_schema"),
        "source table": part_of(source, "table_name"),
        "operation": sync.get("operation"),
        "destination object": part_of(sync, "destination_attributes", "object")
        or sync.get("destination_object"),
        "sync key": None,
        "field_behavior": sync.get("field_behavior"),
        "mode": part_of(sync, "mode", "type"),
        "schedule": None,
        "other triggers": None,
        "paused": sync.get("paused"),
    }
    triggers = part_of(sync, "mode", "triggers")
    triggers = triggers if isinstance(triggers, dict) else None
    schedule = part_of(triggers, "schedule")
    if schedule is None and "schedule_frequency" in sync:
        names = ("frequency", "day", "hour", "minute")
        schedule = {name: sync.get(f"schedule_{name}") for name in names}
        schedule["cron_expression"] = sync.get("cron_expression")
    if frequency := str(part_of(schedule, "frequency") or ""):
        names = SCHEDULE_PARTS.get(frequency, ("day", "hour", "minute"))
        details = [f"{name} {schedule[name]}" for name in names if schedule.get(name)]
        settings["schedule"] = ", ".join([frequency, *details])
        settings["mode"] = settings["mode"] or (
            "live" if frequency == "continuous" else "triggered"
        )
    if triggers is not None or frequency:
        others = {name for name, value in (triggers or {}).items() if value and name != "schedule"}
        others |= {"dbt_cloud"} if sync.get("trigger_on_dbt_cloud_rebuild") else set()
        settings["other triggers"] = ", ".join(sorted(others)) or "none"

    mappings = sync.get("mappings")
    if mappings is None:
        return Facts(settings, None)
    if not isinstance(mappings, list) or not all(isinstance(each, dict) for each in mappings):
        raise ValueError("mappings")
    if not mappings or any("is_primary_identifier" in each for each in mappings):
        keys = [str(each.get("to")) for each in mappings if each.get("is_primary_identifier")]
        settings["sync key"] = ", ".join(sorted(keys)) or "none"
    found: dict[str, dict[str, Any]] = {}
    for mapping in sorted(mappings, key=origin_of):
        nulls = mapping.get("sync_null_values")
        facts = {
            "mapping": origin_of(mapping),
            "NULL handling": None if nulls is None else "synced" if nulls else "left out",
            "existing value": "kept" if mapping.get("preserve_values") else "overwritten",
        }
        to = one_line(mapping.get("to"), 200)
        if to in found:  # a second mapping to the same field
            facts["mapping"] = f"{found[to]['mapping']} and {facts['mapping']}"
        found[to] = facts
    return Facts(settings, found)


def origin_of(mapping: dict[str, Any]) -> str:
    """Return the column that a mapping reads, or what else it holds, without a constant's value."""
    origin = mapping.get("from")
    if not isinstance(origin, dict):
        return str(origin)
    kind = origin.get("type", "column")
    return str(origin.get("data") if kind == "column" else kind)


def read_config(name: str) -> Facts:
    """Return the facts of the configuration in a file, or raise Unclear. `-`: standard input."""
    place = "Standard input" if name == "-" else name
    again = "Give it what `dbt --quiet run-operation census_sync_config` prints, and nothing else."
    try:
        content = getattr(sys.stdin, "buffer", sys.stdin).read() if name == "-" else None
        content = Path(name).read_bytes() if content is None else content
        if not content.strip():
            raise Unclear(f"{place} is empty: it holds no configuration. {again}")
        config = json.loads(content)
        facts = facts_of(config if isinstance(config, dict) else {})
    except OSError as error:
        raise Unclear(f"{place} could not be read ({error.strerror}). Check its name.") from None
    except (ValueError, RecursionError) as error:
        line = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Unclear(f"{place} is not a valid configuration{line}. {again}") from None
    needed = ("source table", "operation", "destination object", "sync key")
    if missing := [name for name in needed if facts.settings[name] is None]:
        raise Unclear(f"{place} is not a configuration: no {', no '.join(missing)}. {again}")
    return facts


def both_sides(live: Facts, expected: Facts) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each fact with its value in Census and in the repository."""
    for name, value in expected.settings.items():
        yield name, live.settings[name], value
    if live.mappings is None or expected.mappings is None:
        yield "mappings", live.mappings, expected.mappings
        return
    for to in expected.mappings | live.mappings:
        left, right = live.mappings.get(to), expected.mappings.get(to)
        if left is None or right is None:
            nothing = {"mapping": "none"}
            yield f"mapping of {to}", (left or nothing)["mapping"], (right or nothing)["mapping"]
        else:
            for name, value in right.items():
                yield f"{name} of {to}", left[name], value


def is_same(what: str, left: object, right: object) -> bool:
    """Tell whether two facts are the same. Names in the warehouse have no case."""
    if what.startswith(("source ", "mapping of ")):
        return str(left).casefold() == str(right).casefold()
    return left == right


def shown(value: object) -> str:
    """Return a fact as text on one line."""
    return json.dumps(value) if isinstance(value, bool) else one_line(value, 200)


def compare(census: Census, sync_id: int, config: str, result: dict[str, Any]) -> None:
    """Print how a sync differs from its configuration, or raise Failed if it does, or Unclear."""
    expected = read_config(config)
    by_eye = f"Compare sync {sync_id} in Census by eye."
    try:
        live = facts_of(census.sync(sync_id))
    except ValueError:
        raise Unclear(f"Census returned mappings in an unknown form. {by_eye}") from None
    if live.mappings is None and not any(live.settings.values()):
        raise Unclear(f"Census returned nothing that can be compared. {by_eye}")
    differences, absent = [], {}
    for what, left, right in both_sides(live, expected):
        if right is not None and left is None:
            absent[what.partition(" of ")[0]] = True  # once for all fields
        elif right is not None and not is_same(what, left, right):
            differences.append({"what": what, "census": shown(left), "repository": shown(right)})
    result |= {"sync_id": sync_id, "differences": differences, "not_compared": list(absent)}
    for difference in differences:
        say("{what}: in Census {census}, in the repository {repository}".format(**difference))
    if not differences:
        say(f"Sync {sync_id} matches the repository.")
    if absent:
        say(f"Not compared, because Census did not return it: {', '.join(absent)}.")
    if differences:
        places = counted(len(differences), "place")
        raise Failed(
            f"Sync {sync_id} differs from the repository in {places}. Correct the sync in Census, "
            "or its configuration in the repository."
        )


def diff(
    census: Census, arguments: argparse.Namespace, _: Settings, result: dict[str, Any]
) -> None:
    """Compare a sync with its configuration, or raise Failed or Unclear."""
    compare(census, arguments.sync_id, arguments.config, result)


# --- Program ----------------------------------------------------------------------------------

Command = Callable[[Census, argparse.Namespace, Settings, dict[str, Any]], None]


def run_command(arguments: argparse.Namespace, settings: Settings, today: date) -> int:
    """Run a subcommand and return its exit code; the last sentence says what to do."""
    result: dict[str, Any] = {}
    code, error = 0, None
    with contextlib.redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        try:
            url = read_api_url()
            warn_of_v1(url, today)
            key, place = read_key(arguments.secret_scope, arguments.secret_key, version_of(url))
            with contextlib.closing(Census(url, key, place, settings)) as census:
                arguments.run(census, arguments, settings, result)
        except Stop as stop:
            code, error = stop.code, str(stop)
        except KeyboardInterrupt:
            code, error = 2, "Stopped."
        if error:
            tell(error)
    if arguments.json:
        say(json.dumps(result | {"exit_code": code, "error": error}))
    return code


def main(
    argv: list[str] | None = None, settings: Settings = DEFAULTS, today: date | None = None
) -> int:
    """Run the program and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal need not know every character
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return run_command(parse(argv), settings, today or date.today())
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the output, such as head, has seen enough
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2


if __name__ == "__main__":
    # Not sys.exit(0): where a notebook's interpreter runs the program, that is a failure too.
    if exit_code := main():
        sys.exit(exit_code)
