"""Write the report: one HTML page that shows how right Salesforce is, and what is to be done.

    python scripts/report.py --target prod --output output/report.html

It reads the marts through dbt, changes nothing, and needs no network when it is opened. The page is
replaced as a whole or not at all. Exit codes:

    0  the page is there, whatever it says
    1  it could not be written
    2  wrong arguments, or dbt could not read the marts
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import report_figures as figures
from agate import Table
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from trigger_census_sync import Failed, Stop, dbt_parser, dbt_reader, say

ALL = "All products"
MOST_EXCEPTIONS = 50  # shown; the mart has them all
MOST_POINTS = 100  # of the history
KINDS = (
    figures.Kind("Missing", figures.BLUE),
    figures.Kind("Left on", figures.ORANGE, "////"),
    figures.Kind("Never set", figures.PURPLE, "||||"),
    figures.Kind("Dates", figures.GREEN, "xxxx"),
)
ADOPTION_KINDS = (
    figures.Kind("On for longer", figures.BLUE),
    figures.Kind("New in 30 days", figures.ORANGE, "////"),
)

Row = TypeVar("Row")

# --- What the page tells ----------------------------------------------------------------------


@dataclass(frozen=True)
class Guard:
    """The guard, and what it would let pass."""

    is_tripped: bool
    verdict: str
    to_update: int
    to_create: int


@dataclass(frozen=True)
class Summary:
    """A row of feature_sync_summary."""

    as_of_date: date
    cohort: str
    product: str
    properties: int
    missing: int
    left_on: int
    never_set: int
    mismatched: int

    @property
    def kinds(self) -> tuple[int, ...]:
        """Properties by kind of mismatch, in the order of KINDS; of one product only."""
        known = (self.missing, self.left_on, self.never_set)
        return (*known, self.mismatched - sum(known))


@dataclass(frozen=True)
class Run:
    """What a run of dbt measured, over all products."""

    at: datetime
    properties: int
    mismatched: int
    is_guard_tripped: bool

    def rank(self) -> float:
        """Return what makes the worst run of several the first: not to know is worst."""
        return -1 if self.share is None else self.share

    @property
    def right(self) -> str:
        """The share in words."""
        return "not known" if self.share is None else percent(self.share)

    @property
    def share(self) -> float | None:
        """The share of properties that were right; None where the guard could not trust it."""
        is_known = self.properties and not self.is_guard_tripped
        return 1 - self.mismatched / self.properties if is_known else None


@dataclass(frozen=True)
class Rise:
    """The last time that more properties differed than before."""

    at: datetime
    mismatched: int
    minutes_to_zero: int | None


@dataclass(frozen=True)
class Adoption:
    """How many properties have a product."""

    product: str
    on: int
    share: float
    new_7_days: int
    new_30_days: int
    new_90_days: int


@dataclass(frozen=True)
class SyncException:
    """A Salesforce record that cannot be synced."""

    salesforce_id: str
    property_name: str
    reason: str
    what_to_do: str
    in_all: int  # how many there are, with those that are not read


@dataclass(frozen=True)
class Sync:
    """A relation that a Census sync reads."""

    label: str
    url: str
    relation: str
    rows: int


@dataclass(frozen=True)
class Source:
    """How old the newest row of a source may be, in hours, and when it came."""

    name: str
    newest: datetime | None
    warn_after: float
    error_after: float

    def age(self, now: datetime) -> timedelta:
        """Return how old the newest row is."""
        return max(now - self.newest, timedelta())

    def state(self, now: datetime) -> str:
        """Return how fresh the source is, in words."""
        if not self.newest:
            return "not known"
        hours = self.age(now) / timedelta(hours=1)
        return (
            "too old" if hours > self.error_after else "old" if hours > self.warn_after else "fresh"
        )


@dataclass(frozen=True)
class Report:
    """All that the page tells."""

    guard: Guard
    summary: Sequence[Summary]
    runs: Sequence[Run]
    rises: Sequence[Rise]
    adoption: Sequence[Adoption]
    exceptions: Sequence[SyncException]
    syncs: Sequence[Sync]
    sources: Sequence[Source]

    @property
    def total(self) -> Summary:
        """All properties and products."""
        return next(row for row in self.summary if (row.cohort, row.product) == ("all", ALL))

    @property
    def products(self) -> list[Summary]:
        """The products, those with most mismatches first."""
        return [row for row in self.summary if row.cohort == "all" and row.product != ALL]

    @property
    def exceptions_in_all(self) -> int:
        """How many records cannot be synced, shown or not."""
        return self.exceptions[0].in_all if self.exceptions else 0

    @property
    def points(self) -> list[Run]:
        """The history, thinned: the worst of so many runs each, and the last one as it is."""
        if len(self.runs) <= MOST_POINTS:
            return list(self.runs)
        *earlier, last = self.runs
        starts = range(0, len(earlier), self.runs_per_point)
        chunks = (earlier[start : start + self.runs_per_point] for start in starts)
        return [*(min(chunk, key=Run.rank) for chunk in chunks), last]

    @property
    def runs_per_point(self) -> int:
        """How many runs a point of the history stands for."""
        return -(-(len(self.runs) - 1) // (MOST_POINTS - 1))

    @property
    def lead(self) -> str:
        """What the verdict means, in a sentence or two."""
        if self.guard.is_tripped:
            return self.guard.verdict
        if not self.total.mismatched:
            return "What is on shows as on in Salesforce, and everything else as off."
        right = percent(1 - self.total.mismatched / self.total.properties)
        totals = {row.cohort: row.mismatched for row in self.summary if row.product == ALL}
        new = totals.get("as_of_date", 0)
        if not new:
            return f"{right} are right."
        others = self.total.mismatched - new
        rest = f", the other {others:,} on other days" if others else ""
        created = f"{new:,} were created on {day(self.total.as_of_date)}"
        return f"{right} are right. Of those that are wrong, {created}{rest}."

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        properties = f"{self.total.properties:,} properties"
        if self.guard.is_tripped:
            return "Nothing may reach Census: the guard is tripped"
        if self.total.mismatched:
            return f"Salesforce is wrong about {self.total.mismatched:,} of {properties}"
        return f"Salesforce is right about all {properties}"


# --- Reading ----------------------------------------------------------------------------------

# As dbt templates. The columns are those of the classes above, in their order.
GUARD = """
    select
        is_tripped,
        verdict,
        (select count(*) from {{ ref('product_property_feature_sync') }}) as to_update,
        (select count(*) from {{ ref('product_property_create') }}) as to_create
    from {{ ref('feature_sync_guard') }}
"""
SUMMARY = """
    select
        as_of_date, cohort, product, properties, missing_in_salesforce, left_on_in_salesforce,
        never_set_in_salesforce, mismatched
    from {{ ref('feature_sync_summary') }}
    order by mismatched desc, product
"""
RUNS = """
    select measured_at, properties, mismatched, is_guard_tripped
    from {{ ref('feature_accuracy_history') }}
    where product = 'All products'
    order by measured_at, run_id
"""
LAST_RISE = """
    select rose_at, mismatched, minutes_to_zero
    from {{ ref('feature_time_to_zero') }}
    where product = 'All products'
    order by rose_at desc
    limit 1
"""
ADOPTION = """
    select
        product, properties_on, share_of_properties, newly_on_7_days, newly_on_30_days,
        newly_on_90_days
    from {{ ref('product_adoption') }}
    where started_month = 'all'
    order by properties_on desc, product
"""
EXCEPTIONS = f"""
    select
        salesforce_id, property_name, sync_exception, what_to_do, count(*) over () as in_all
    from {{{{ ref('product_property_sync_exceptions') }}}}
    order by sync_exception, reverse_etl_id_c, salesforce_id
    limit {MOST_EXCEPTIONS}
"""
SYNCS = """
    {%- set syncs = [] %}
    {%- for exposure in graph.exposures.values() if execute %}
        {%- for node in exposure.depends_on.nodes if node in graph.nodes %}
            {%- do syncs.append((exposure, graph.nodes[node])) %}
        {%- endfor %}
    {%- endfor %}
    {%- for exposure, node in syncs %}
        {%- for text in [exposure.label or exposure.name, exposure.url or '', node.name] %}
        {{ 'select' if loop.first }}
        {{ dbt.string_literal(dbt.escape_single_quotes(text)) }} as text_{{ loop.index }},
        {%- endfor %}
        (select count(*) from {{ node.relation_name }}) as rows_offered
        {{ 'union all' if not loop.last }}
    {%- else %}
    select '' as text_1, '' as text_2, '' as text_3, 0 as rows_offered
    from {{ ref('feature_sync_guard') }} where false
    {%- endfor %}
    order by text_1 desc
"""
SOURCES = """
    select
        'Salesforce replica' as name,
        {%- set column = optional_column('salesforce_loaded_at_column') or 'null' %}
        cast(max({{ column }}) as {{ dbt.type_timestamp() }}) as newest,
        {{ var('salesforce_warn_after_hours') }} as warn_after,
        {{ var('salesforce_error_after_hours') }} as error_after
    from {{ source('salesforce', 'product_property_c') }}
    union all
    select
        'Features table',
        cast(max({{ newest_update() }}) as {{ dbt.type_timestamp() }}),
        {{ var('features_warn_after_hours') }},
        {{ var('features_error_after_hours') }}
    from {{ source('sfdc_dbx', 'product_property_w_features') }}
    order by name desc
"""


def plain(value: object) -> object:
    """Return a value of agate's as Python's own: whole numbers as int, times in UTC."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return value


def read_report(read: Callable[[str], Table]) -> Report:
    """Read the marts, or raise Unclear when they are not there."""

    def rows(kind: Callable[..., Row], query: str) -> list[Row]:
        return [kind(*map(plain, row.values())) for row in read(query).rows]

    return Report(
        guard=rows(Guard, GUARD)[0],
        summary=rows(Summary, SUMMARY),
        runs=rows(Run, RUNS),
        rises=rows(Rise, LAST_RISE),
        adoption=rows(Adoption, ADOPTION),
        exceptions=rows(SyncException, EXCEPTIONS),
        syncs=rows(Sync, SYNCS),
        sources=rows(Source, SOURCES),
    )


# --- Words ------------------------------------------------------------------------------------


def number(value: int) -> str:
    """Return a whole number with commas."""
    return f"{value:,}"


def percent(share: float) -> str:
    """Return a share of 0 to 1 as per cent, cut off: only all of it is 100.0 %."""
    if 0 < share < 0.001:
        return "below 0.1 %"
    return f"{int(share * 1000 + 1e-9) / 10:.1f} %"


def counted(value: int, unit: str, units: str = "") -> str:
    """Return a number with its unit, in the plural but for one."""
    return f"{value:,} {unit if value == 1 else units or unit + 's'}"


def duration(age: timedelta) -> str:
    """Return how long something took, in the unit that fits."""
    minutes = age // timedelta(minutes=1)
    if not minutes:
        return "less than a minute"
    if minutes < 120:
        return counted(minutes, "minute")
    return counted(minutes // 60, "hour") if minutes < 2880 else counted(minutes // 1440, "day")


def minutes(value: int) -> str:
    """Return a number of minutes in the unit that fits."""
    return duration(timedelta(minutes=value))


def day(when: date) -> str:
    """Return a day in words."""
    return f"{when.day} {when:%B %Y}"


def moment(when: datetime) -> Markup:
    """Return a moment as an element that says it to people and to programs."""
    return Markup('<time datetime="{}">{}, {} UTC</time>').format(
        f"{when:%Y-%m-%dT%H:%M:%SZ}", day(when), f"{when:%H:%M}"
    )


# --- The page ---------------------------------------------------------------------------------


def kinds_of(report: Report) -> Sequence[figures.Kind]:
    """Return the kinds of mismatch to show: dates are compared only where a var says so."""
    return KINDS if any(row.kinds[-1] for row in report.products) else KINDS[:-1]


def mismatch_figure(report: Report) -> Markup:
    """Return the mismatches of each product, by kind."""
    kinds = kinds_of(report)
    rows = []
    for row in report.products:
        parts = row.kinds[: len(kinds)]
        named = zip(parts, kinds, strict=True)
        note = " · ".join(f"{part:,} {kind.label.lower()}" for part, kind in named if part)
        rows.append(figures.Bar(row.product, parts, number(row.mismatched), note))
    return figures.bars("mismatches", "Mismatches by product", rows, kinds)


def history_figure(report: Report) -> Markup:
    """Return the share of properties that were right, run by run."""
    points = [figures.Point(run.at, run.share, run.right) for run in report.points]
    return figures.history("history", "Share of properties that are right", points)


def adoption_figure(report: Report) -> Markup:
    """Return the share of properties that have each product."""
    properties = report.total.properties
    rows = [
        figures.Bar(
            row.product,
            (row.on - row.new_30_days, row.new_30_days),
            percent(row.share),
            f"{row.on:,} on · {row.new_30_days:,} new",
        )
        for row in report.adoption
    ]
    title = "Share of properties that have each product"
    return figures.bars("adoption", title, rows, ADOPTION_KINDS, whole=properties)


def render(report: Report, now: datetime) -> str:
    """Return the page; whatever comes from the data is escaped."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        function.__name__: function
        for function in (number, percent, counted, duration, minutes, day, moment)
    }
    return templates.get_template("report.html").render(
        report=report,
        now=now,
        kinds=kinds_of(report),
        mismatch_figure=mismatch_figure(report) if report.total.mismatched else "",
        history_figure=history_figure(report) if report.runs else "",
        adoption_figure=adoption_figure(report) if report.total.properties else "",
    )


def write(page: str, output: Path) -> None:
    """Put the page in place, whole."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=".report-") as workshop:
        new = Path(workshop, "new")
        new.write_text(page, encoding="utf-8")
        new.replace(output)


# --- Program ----------------------------------------------------------------------------------


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = dbt_parser(__doc__)
    parser.add_argument("--output", type=Path, default="output/report.html", help="the page")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code; the last sentence says what to do."""
    arguments = make_parser().parse_args(argv)
    try:
        with dbt_reader(arguments) as read:
            report = read_report(read)
        write(render(report, datetime.now(UTC)), arguments.output.resolve())
    except Stop as stop:
        print(f"{stop}\nHas dbt build made the marts?", file=sys.stderr, flush=True)
        return stop.code
    except OSError as error:
        print(f"{error}: no report was written.", file=sys.stderr, flush=True)
        return Failed.code
    say(f"{arguments.output.resolve()}: {report.headline}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
