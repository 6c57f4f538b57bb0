"""Trigger the Census sync of a relation, wait for it and say what Census reported.

    CENSUS_API_KEY=… python scripts/trigger_census_sync.py --sync-id 123 --target prod

Through dbt it first asks the guard and counts the relation's rows: a tripped guard, or nothing to
sync, and Census is not called. Exit codes:

    0  Census has synced the relation, or there was nothing to sync
    1  it has not: the guard is tripped, or the run failed, was canceled or refused too many records
    2  it cannot be told: wrong arguments, key or address, dbt could not read, Census could not be
       reached or understood, or the run had not ended in time

Environment: CENSUS_API_KEY, and CENSUS_API_URL for another region or version of the API.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import requests
from agate import Table
from dbt.cli.main import dbtRunner
from dbt_common.events.base_types import EventMsg
from urllib3.util import Retry

# The one place that knows the address and the version. v1 is retired on 2027-01-15; v2 is
# https://app.getcensus.com/api/v2, with a key of its own.
API_URL = "https://app.getcensus.com/api/v1"
THIS_MACHINE = ("127.0.0.1", "localhost")  # the only hosts that may be asked without TLS
ENDED = ("completed", "failed", "skipped", "canceled")
SAYS_RUNNING = re.compile(r"(already|currently|still) running|in progress", re.IGNORECASE)


class Stop(Exception):
    """The end of the program before its goal: a sentence for people and an exit code."""

    code = 2


class Failed(Stop):
    """Census has not synced the relation, or not enough of it."""

    code = 1


class Unclear(Stop):
    """Whether Census has synced the relation cannot be told."""

    code = 2


@dataclass(frozen=True)
class Settings:
    """How long to wait, in seconds, and how often to try again."""

    connect_timeout: float = 10
    read_timeout: float = 60
    retries: int = 5  # so a request is sent six times at most
    backoff_factor: float = 2  # before the retries: 0, 4, 8, 16, 32
    backoff_max: float = 60
    retry_after_max: int = 300  # however long Census asks to wait before a retry
    poll_first: float = 2
    poll_growth: float = 1.5
    poll_max: float = 30
    progress_every: float = 60


DEFAULTS = Settings()


@dataclass(frozen=True)
class Waiting:
    """What dbt reads before Census is called: the guard's row, and how many rows are to sync."""

    is_tripped: bool
    verdict: str
    rows: int


# --- Arguments and environment ----------------------------------------------------------------


def positive(text: str) -> int:
    """Return a whole number from 1, or raise ValueError."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def minutes(text: str) -> float:
    """Return a number of minutes above 0, or raise ValueError."""
    if not 0 < (number := float(text)) < float("inf"):
        raise ValueError
    return number


def share(text: str) -> float:
    """Return a number from 0 to 1, or raise ValueError."""
    if not 0 <= (number := float(text)) <= 1:
        raise ValueError
    return number


def relation(text: str) -> str:
    """Return the name of a dbt model, or raise ValueError: it becomes part of a query."""
    if not re.fullmatch(r"[A-Za-z_]\w*", text, re.ASCII):
        raise ValueError
    return text


def project(text: str) -> Path:
    """Return the folder of a dbt project, or raise ValueError."""
    if not Path(text, "dbt_project.yml").is_file():
        raise ValueError
    return Path(text)


def dbt_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows what dbt_reader needs; every program adds its own arguments."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--project-dir", type=project, default=".", help="the dbt project (default: this folder)")
    add("--target", help="dbt's target (default: the profile's)")
    add("--vars", help="dbt's vars, as YAML")
    return parser


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; other users of a machine can see it, so no key."""
    parser = dbt_parser(__doc__)
    add = parser.add_argument
    add("--sync-id", type=positive, required=True, help="the sync, as its address in Census ends")
    add("--relation", type=relation, default="product_property_feature_sync", help="what it reads")
    add("--max-bad-share", type=share, default=0.01, help="records that may be invalid or rejected")
    add("--timeout-minutes", type=minutes, default=60, help="how long to wait for the run's end")
    return parser


def read_key() -> str:
    """Return the API key from the environment, or raise Unclear, which never quotes it."""
    key = os.environ.get("CENSUS_API_KEY", "").strip()
    if not key:
        raise Unclear("CENSUS_API_KEY is not set: put the API key of the Census workspace into it.")
    # Checked here because http.client quotes a header that it refuses in its error.
    if not re.fullmatch(r"[!-~]+", key):
        raise Unclear("CENSUS_API_KEY holds a blank or a character that no key has: copy it anew.")
    return key


def read_api_url() -> str:
    """Return the address of the API without a slash at its end, or raise Unclear."""
    url = os.environ.get("CENSUS_API_URL", "").strip() or API_URL
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    is_safe = parts.scheme == "https" or (parts.scheme, parts.hostname) in [
        ("http", host) for host in THIS_MACHINE
    ]
    if not is_safe or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise Unclear(f"CENSUS_API_URL is not an https address such as {API_URL}: correct it.")
    return url.rstrip("/")


# --- dbt --------------------------------------------------------------------------------------


def question(relation: str) -> str:
    """Return the query, as a dbt template: one row with the columns of Waiting, in their order."""
    return (
        "select is_tripped, verdict, "
        f"(select count(*) from {{{{ ref('{relation}') }}}}) as rows_to_sync "
        "from {{ ref('feature_sync_guard') }}"
    )


def answer(table: Table) -> Waiting:
    """Return what `dbt show` read, or raise Unclear when it is not one complete row."""
    if len(table.rows) != 1 or table.rows[0][0] is None:
        raise Unclear("feature_sync_guard has no verdict: nothing was sent. Run dbt build first.")
    is_tripped, verdict, count = table.rows[0].values()
    return Waiting(bool(is_tripped), str(verdict), int(count))


@contextlib.contextmanager
def dbt_reader(arguments: argparse.Namespace) -> Iterator[Callable[[str], Table]]:
    """Yield what reads a query, a dbt template, through dbt; dbt's noise is not printed.

    Reading raises Unclear with dbt's message when dbt cannot read it.
    """
    errors: list[str] = []

    def keep(event: EventMsg) -> None:
        if event.info.level == "error":
            errors.append(event.info.msg)

    # A folder of its own, because the project's may be read-only, and its target/ is the build's.
    with TemporaryDirectory() as folder:
        quiet = ["--quiet", "--log-level", "none", "--log-level-file", "none", "--log-path", folder]
        options = ["--limit", "-1", "--target-path", folder]
        options += ["--target", arguments.target] if arguments.target else []
        options += ["--vars", arguments.vars] if arguments.vars else []

        def read(query: str) -> Table:
            show = ["--no-use-colors", "show", "--inline", query]
            with contextlib.chdir(arguments.project_dir):
                result = dbtRunner(callbacks=[keep]).invoke([*quiet, *show, *options])
            if not result.success:
                message = "\n".join(errors) or str(result.exception)
                raise Unclear(f"dbt cannot read the relations: nothing was done.\n{message}")
            return result.result.results[0].agate_table

        yield read


def read_waiting(arguments: argparse.Namespace) -> Waiting:
    """Return what is waiting to be synced, or raise Unclear."""
    with dbt_reader(arguments) as read:
        return answer(read(question(arguments.relation)))


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


class Census:
    """The two calls of the Census API that are needed."""

    def __init__(self, url: str, key: str, settings: Settings) -> None:
        """Take the address, the key and the waiting times; nothing is sent yet."""
        self._url = url
        self._key = key
        self._timeout = (settings.connect_timeout, settings.read_timeout)
        retry = Retry(
            total=settings.retries,
            # The trigger is a POST. A second one is harmless: the sync's operation is Update,
            # which writes the same values to the same records again.
            allowed_methods=("GET", "POST"),
            status_forcelist=(429, *range(500, 600)),
            backoff_factor=settings.backoff_factor,
            backoff_max=settings.backoff_max,
            retry_after_max=settings.retry_after_max,
            raise_on_status=False,  # the last answer says more than an exception
        )
        self._session = requests.Session()
        self._session.auth = BearerKey(key)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retry))

    def trigger(self, sync_id: int) -> int:
        """Start a run of the sync and return its id, or raise Unclear.

        Always a full sync: Census remembers what it sent. A row that leaves the relation and comes
        back with the same values may count as sent (nothing documents that it does not), but it is
        back because Salesforce does not hold them.
        """
        path = f"/syncs/{sync_id}/trigger"
        run_id = self._ask("POST", path, {"force_full_sync": "true"}).get("sync_run_id")
        if not is_count(run_id):
            raise Unclear(f"Census named no run of sync {sync_id}: see in Census if one has begun.")
        return run_id

    def run(self, run_id: int) -> dict[str, Any]:
        """Return what Census says about a run, or raise Unclear."""
        run = self._ask("GET", f"/sync_runs/{run_id}")
        if not isinstance(run.get("status"), str):
            raise Unclear(f"Census told no status of run {run_id}: look at the run in Census.")
        return run

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def quoted(self, text: object) -> str:
        """Return words of Census on one line, at most 300 characters, fit for a log.

        Without the key, and without what is in quotes: that can be a value of a record.
        """
        line = " ".join(str(text or "none").split()).replace(self._key, "***")
        return re.sub(r'"[^"]*"', '"…"', line)[:300]

    def _ask(self, method: str, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        """Send a request, again if it must be, and return the `data` of its answer."""
        try:
            response = self._session.request(
                method,
                self._url + path,
                params=query,
                timeout=self._timeout,
                allow_redirects=False,  # the key is for this host and no other
            )
        except requests.RequestException as error:
            raise Unclear(
                f"Census could not be reached: {self.quoted(error)}. See in Census if a run has "
                "begun or goes on, then try again."
            ) from None
        self._check_status(response.status_code)
        try:
            body = response.json()
        except ValueError:
            body = None
        body = body if isinstance(body, dict) else {}
        if response.status_code == 409 or SAYS_RUNNING.search(str(body.get("message"))):
            raise Unclear(
                f"Census says that a run is going on: {self.quoted(body.get('message'))}. "
                "Wait for its end, then try again."
            )
        data = body.get("data")
        if not response.ok or body.get("status") != "success" or not isinstance(data, dict):
            raise Unclear(
                f"Census answered {response.status_code}, which cannot be understood (message: "
                f"{self.quoted(body.get('message'))}): look at the sync in Census."
            )
        return data

    def _check_status(self, status: int) -> None:
        """Raise Unclear for the HTTP status codes that have a known cause."""
        if 300 <= status < 400:
            raise Unclear(
                f"Census answered {status}, a redirect, which is not followed because the key must "
                "not go elsewhere: set CENSUS_API_URL to the right address."
            )
        if status in (401, 403):
            raise Unclear(
                f"Census answered {status}, it does not accept the key: put one that is valid for "
                "the sync's workspace into CENSUS_API_KEY."
            )
        if status == 404:
            raise Unclear("Census answered 404: check --sync-id, CENSUS_API_URL and the workspace.")
        if status == 429 or status >= 500:
            raise Unclear(f"Census answered {status} again and again: try again later.")


def is_count(value: object) -> bool:
    """Tell whether a value of an answer is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def status_of(run: dict[str, Any]) -> str:
    """Return working, queued, completed, failed, skipped or canceled; the last one is a flag."""
    return "canceled" if run.get("canceled") is True else run["status"]


def wait_for_end(
    census: Census, run_id: int, timeout_minutes: float, settings: Settings
) -> dict[str, Any]:
    """Return the run when it has ended, asking ever more slowly.

    Raises Unclear when it has not ended in time; the retries of a last request can add to it.
    """
    began = reported = time.monotonic()
    pause = settings.poll_first
    while True:
        run = census.run(run_id)
        if status_of(run) in ENDED:
            return run
        now = time.monotonic()
        left = began + timeout_minutes * 60 - now
        if left <= 0:
            raise Unclear(
                f"Run {run_id} is still {census.quoted(run['status'])} after {timeout_minutes:g} "
                "minutes and may go on: look at it in Census before the sync is triggered again."
            )
        if now - reported >= settings.progress_every:
            done = run.get("records_processed")
            say(f"Run {run_id}: {done if is_count(done) else 0:,} records processed so far.")
            reported = now
        time.sleep(min(pause, left))
        pause = min(pause * settings.poll_growth, settings.poll_max)


def judge(census: Census, run_id: int, run: dict[str, Any], max_bad_share: float) -> None:
    """Print what Census reported, and raise Failed or Unclear unless the run was good."""
    counts = {name: run.get(f"records_{name}") for name in ("processed", "updated", "failed")}
    # The name of today; records_invalid is kept for older clients, as long as it is.
    counts["invalid"] = run.get("source_record_invalids", run.get("records_invalid"))
    status = status_of(run)
    shown = {name: f"{count:,}" if is_count(count) else "?" for name, count in counts.items()}
    say(
        f"Run {run_id} {status}: {shown['processed']} records processed, {shown['updated']} "
        f"updated, {shown['invalid']} invalid, {shown['failed']} rejected. "
        f"Error message: {census.quoted(run.get('error_message'))}"
    )
    if status == "skipped":
        raise Unclear(
            f"Census skipped run {run_id} because an earlier one still goes on, perhaps one that "
            "this program began without hearing of it: wait for its end, then try again."
        )
    if status != "completed":
        raise Failed(f"Run {run_id} {status}: see in Census why, then trigger it again.")
    if not all(map(is_count, counts.values())):
        raise Unclear(f"Census did not say how run {run_id} went: look at the run in Census.")
    # Invalid records were not sent, so Census does not count them as processed.
    bad = counts["invalid"] + counts["failed"]
    if bad > max_bad_share * counts["processed"]:
        raise Failed(
            f"{bad:,} records were invalid or rejected, more than {max_bad_share:.1%} of the "
            f"{counts['processed']:,} processed: see in Census why, and in "
            "product_property_sync_exceptions."
        )


# --- Program ----------------------------------------------------------------------------------


def say(sentence: str) -> None:
    """Print at once, because a job's log is read while it runs."""
    print(sentence, flush=True)


def sync(arguments: argparse.Namespace, census: Census, rows: int, settings: Settings) -> None:
    """Run the sync to its end, telling what happens, or raise Failed or Unclear."""
    run_id = census.trigger(arguments.sync_id)
    say(f"Run {run_id} of sync {arguments.sync_id} has begun: {rows:,} rows to sync.")
    run = wait_for_end(census, run_id, arguments.timeout_minutes, settings)
    judge(census, run_id, run, arguments.max_bad_share)


def main(
    argv: list[str] | None = None,
    settings: Settings = DEFAULTS,
    read: Callable[[argparse.Namespace], Waiting] = read_waiting,
) -> int:
    """Run the program and return its exit code; the last sentence says what to do."""
    arguments = make_parser().parse_args(argv)
    try:
        with contextlib.closing(Census(read_api_url(), read_key(), settings)) as census:
            waiting = read(arguments)
            if waiting.is_tripped:
                raise Failed(f"Census was not called. {waiting.verdict}")
            if waiting.rows:
                sync(arguments, census, waiting.rows, settings)
            else:
                say(f"{arguments.relation} has no rows: nothing to sync, Census was not called.")
    except Stop as stop:
        print(stop, file=sys.stderr, flush=True)
        return stop.code
    return 0


if __name__ == "__main__":
    # Not sys.exit(0): where a notebook's interpreter runs the program, that is a failure too.
    if exit_code := main():
        sys.exit(exit_code)
