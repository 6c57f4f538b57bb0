"""Write the report: one HTML page that shows where Salesforce is wrong and what to do about it.

    python scripts/report.py --target prod --output output/report.html

    report.html            the page; it loads nothing and runs no script
    report_mismatches.csv  every record and product that differs: the mart feature_mismatches

With --records the page also shows why Salesforce rejected records: FILE is what
`census.py records --output FILE` writes.

The program reads the marts of the last build and the project's analyses, and changes nothing. The
CSV is RFC 4180 in UTF-8 with a byte order mark, and a cell that a spreadsheet would take for a
formula begins with an apostrophe. Exit codes:

    0  the files are written, also when Salesforce is wrong
    1  the files could not be written, or the last build is for another day
    2  wrong arguments, a malformed FILE, or dbt could not read the marts
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TextIO
from urllib.parse import quote

from agate import Table
from dbt_reader import Row, Show, Stop, as_text, make_parser, open_warehouse, read, rows_of, run
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from mapping import PRODUCTS
from markupsafe import Markup

# The analyses of the project that the page shows; it knows their rows by these names.
ANALYSES = (
    *("mismatches", "mismatches_by_product", "mismatches_by_day", "mismatches_by_age"),
    *("mismatches_by_cause", "repairs", "sync_exceptions", "offered_to_census", "source_ages"),
    *("accuracy_by_day", "adoption"),
)
MOST_REASONS, MOST_REJECTED = 20, 50  # shown
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so

# Each state has a symbol beside the class that colours it, for readers who see no colour.
SIGNALS = {
    "In order": ("●", "good"),
    "Attention": ("▲", "warn"),
    "To be repaired": ("■", "bad"),
    "Stopped": ("■", "bad"),
    "fresh": ("●", "good"),
    "old": ("▲", "warn"),
    "too old": ("■", "bad"),
    "empty": ("■", "bad"),
    "unknown": ("○", "quiet"),
}

# --- Reading ----------------------------------------------------------------------------------


def read_report(show: Show, records: Path | None) -> tuple[dict[str, Any], Table]:
    """Return the variables of the page and the table of the CSV, or raise Stop."""
    begun = read(show, "verdict", "last_build")
    (guard,), (build,) = begun
    built, asked = build["as_of_date"], guard["asked_day"]
    if not built:
        raise Stop("feature_sync_summary is empty: run dbt build.", 2)
    if asked not in ("", str(built)):
        raise Stop(
            f"The last build is for {built}. Build {asked} first: "
            f"dbt build --vars 'as_of_date: {asked}'"
        )
    tables = show("--select", *ANALYSES)
    mismatches = tables.pop("mismatches")
    rows = {name: rows_of(table) for name, table in tables.items()}
    (repairs,) = rows.pop("repairs")
    if read(show, "verdict", "last_build") != begun:
        raise Stop("dbt build replaced the marts meanwhile: run this program again.", 2)
    report = {
        "guard": guard,
        "build": build,
        "repairs": repairs,
        **rows,
        "mismatch_rows": len(mismatches.rows),
        "rejections": read_rejections(records, rows_of(mismatches)) if records else None,
        "read_at": datetime.now(UTC),
    }
    return report, mismatches


def read_rejections(path: Path, mismatches: Sequence[Row]) -> dict[str, Any]:
    """Return the rejections in a file of `census.py records`, and which records still differ."""
    wrong = {
        key: list(rows) for key, rows in groupby(mismatches, key=itemgetter("reverse_etl_id_c"))
    }
    records, still_wrong = Counter(), {}
    for key, reason in read_records(path):
        records[reason] += 1
        if key in wrong:
            still_wrong[key] = reason
    wrong_by_reason = Counter(still_wrong.values())
    return {
        "records": records.total(),
        "wrong": len(still_wrong),
        "reasons": [(why, n, wrong_by_reason[why]) for why, n in records.most_common(MOST_REASONS)],
        "other_reasons": max(len(records) - MOST_REASONS, 0),
        "properties": [(wrong[k], why) for k, why in list(still_wrong.items())[:MOST_REJECTED]],
    }


def read_records(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the sync key of each record and the reason; or raise Stop."""
    place = 1
    try:
        with path.open("rb") as lines:
            for place, line in enumerate(lines, 1):  # noqa: B007
                record = json.loads(line)
                key, status, message = (record[name] for name in ("key", "status", "message"))
                reason = message[:300] or "no message"
                yield key + "", reason if status == "rejected" else status + ": " + reason
    except OSError as error:
        raise Stop(f"{path} cannot be read: {error.strerror}.", 2) from None
    except (ValueError, TypeError, LookupError, RecursionError):
        raise Stop(
            f"{path}, line {place}: expected a JSON object with the texts key, status and "
            "message, as census.py records writes them.",
            2,
        ) from None


# --- Words ------------------------------------------------------------------------------------


def needs_of(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a text and a section of the page for everything else that needs attention."""
    build, needs = report["build"], []
    for source in report["source_ages"]:
        if source["freshness"] in ("old", "too old"):
            needs.append((f"{source['title']}: {duration(source['minutes_old'])} old", "freshness"))
        elif source["freshness"] == "empty":
            needs.append((f"{source['title']}: the table is empty", "freshness"))
        if source["is_ahead"]:
            needs.append((f"{source['title']}: a time lies in the future", "freshness"))
    if build["exceptions"]:
        needs.append((f"{counted(build['exceptions'], 'record')} cannot be synced", "exceptions"))
    if build["properties_to_create"]:
        new = counted(build["properties_to_create"], "property", "properties")
        needs.append((f"{new} to be created in Salesforce", "syncs"))
    return needs


def judge(report: dict[str, Any], needs: int) -> tuple[str, str, str]:
    """Return the state, the headline and the sentence below it."""
    guard, build = report["guard"], report["build"]
    properties = counted(build["properties"], "property", "properties")
    if guard["is_tripped"]:
        return "Stopped", "Nothing is offered to Census", guard["verdict"]
    if build["mismatched"]:
        headline = f"Salesforce is wrong about {build['mismatched']:,} of {properties}"
        state = "To be repaired" if build["records_to_update"] else "Attention"
        return state, headline, what_a_sync_repairs(build)
    if needs:
        need = "things need" if needs > 1 else "thing needs"
        headline = f"Nothing to repair in {properties}, but {needs} {need} attention"
        return "Attention", headline, "No product differs as of the last build."
    lead = "Every product that is on shows as on in Salesforce, and every other one as off."
    return "In order", f"Salesforce is right about all {properties}", lead


def what_a_sync_repairs(build: Row) -> str:
    """Return how many properties a sync can repair, and how many were created on as_of_date."""
    if not build["records_to_update"]:
        return "No sync can repair this: the records cannot be synced."
    repaired = "A sync repairs all of them."
    if build["mismatched_exceptions"]:
        repaired = (
            f"A sync repairs {build['records_to_update']:,} of them; "
            f"{build['mismatched_exceptions']:,} cannot be synced."
        )
    new, others = build["mismatched_on_the_day"], build["mismatched_on_other_days"]
    if not new:
        return repaired
    created = f"{new:,} {'was' if new == 1 else 'were'} created on {day(build['as_of_date'])}"
    return f"{repaired} {created}{f', the other {others:,} on other days' if others else ''}."


def number(value: int) -> str:
    """Return a whole number with commas."""
    return f"{value:,}"


def percent(share: float | None) -> str:
    """Return a share of 0 to 1 as per cent, rounded down: only a full share reads 100.0 %."""
    if share is None:
        return "unknown"
    if 0 < share < 0.001:
        return "below 0.1 %"
    return f"{int(share * 1000 + 1e-9) / 10:.1f} %"


def counted(value: int, unit: str, units: str = "") -> str:
    """Return a number with its unit, in the plural unless it is one."""
    return f"{value:,} {unit if value == 1 else units or unit + 's'}"


def duration(minutes: int) -> str:
    """Return a number of minutes in the unit that fits."""
    if not minutes:
        return "less than a minute"
    if minutes < 120:
        return counted(minutes, "minute")
    return counted(minutes // 60, "hour") if minutes < 2880 else counted(minutes // 1440, "day")


def day(when: datetime) -> str:
    """Return a day in words."""
    return f"{when.day} {when:%B %Y}"


def timestamp(when: datetime) -> Markup:
    """Return a time as an element that people and programs can read."""
    return Markup('<time datetime="{}">{}, {} UTC</time>').format(
        f"{when:%Y-%m-%dT%H:%M:%SZ}", day(when), f"{when:%H:%M}"
    )


# --- The page and the CSV ---------------------------------------------------------------------


class Sparkline(NamedTuple):
    """The history as a drawing in a box of 100 by 100, from the upper left corner."""

    floor: float  # the share at the bottom of the box
    points: Sequence[tuple[float, float | None]]  # no height where the share is unknown
    path: str


def sparkline(shares: Sequence[float | None]) -> Sparkline:
    """Draw shares of 0 to 1 in equal steps."""
    worst = min((share for share in shares if share is not None), default=1)
    floor = min(max(math.ceil(worst * 20) - 1, 0), 18) / 20  # 5 % steps, below the worst
    points, path, was_known = [], "", False
    for place, share in enumerate(shares):
        x = 100 * place / (len(shares) - 1) if len(shares) > 1 else 100
        y = None if share is None else 100 * (1 - share) / (1 - floor)
        points.append((x, y))
        # A level, because a share holds until the next build.
        path += f"H{x:.2f}" if was_known else "" if y is None else f"M{x:.2f} {y:.2f}"
        path += f"V{y:.2f}" if was_known and y is not None else ""
        was_known = y is not None
    return Sparkline(floor, points, path)


def render(report: dict[str, Any], csv_name: str) -> tuple[str, str]:
    """Return the page and its headline; values from the data are escaped."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (number, percent, counted, duration, day, timestamp, quote)
    templates.filters |= {function.__name__: function for function in filters}
    needs = needs_of(report)
    state, headline, lead = judge(report, len(needs))
    page = templates.get_template("report.html").render(
        **report,
        needs=needs,
        state=state,
        headline=headline,
        lead=lead,
        history=sparkline([build["share_right"] for build in report["accuracy_by_day"]]),
        products=PRODUCTS,
        signals=SIGNALS,
        csv_name=csv_name,
    )
    return page, headline


def write_csv(file: TextIO, table: Table) -> None:
    """Write a table for Excel, which would take a text such as =1+1 for a formula."""
    writer = csv.writer(file)
    writer.writerow(table.column_names)
    for row in rows_of(table):
        cells = [as_text(value) for value in row.values()]
        writer.writerow(f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells)


def replace_file(path: Path, write: Callable[[TextIO], object], encoding: str) -> None:
    """Write a file beside its place, then move it there, so that nobody sees half of it."""
    with TemporaryDirectory(dir=path.parent, prefix=".report-") as staging_dir:
        new = Path(staging_dir, path.name)
        with new.open("w", encoding=encoding, newline="") as file:
            write(file)
        new.replace(path)


# --- Program ----------------------------------------------------------------------------------


def write(arguments: argparse.Namespace) -> str:
    """Write both files and return a sentence, or raise Stop and leave both unchanged."""
    page = arguments.output.resolve()
    table = page.with_name(f"{page.stem}_mismatches.csv")
    with open_warehouse(arguments) as show:
        report, mismatches = read_report(show, arguments.records)
    html, headline = render(report, table.name)
    page.parent.mkdir(parents=True, exist_ok=True)
    replace_file(table, lambda file: write_csv(file, mismatches), "utf-8-sig")
    replace_file(page, lambda file: file.write(html), "utf-8")
    return f"{page}: {headline}"


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--output", type=Path, default="output/report.html", help="the page (%(default)s)")
    add("--records", type=Path, metavar="FILE", help="the records that Salesforce rejected")
    arguments = parser.parse_args(argv)
    return run(lambda: write(arguments), "no report was written.")


if __name__ == "__main__":
    sys.exit(main())
