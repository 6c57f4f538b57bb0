"""Write the report: one HTML page that shows where Salesforce is wrong and what to do about it.

    python scripts/report.py --target prod --output output/report.html

    report.html            the page; it loads nothing and runs no script
    report_mismatches.csv  what is wrong in Salesforce: the mart feature_mismatches

With --records the page also shows why Salesforce rejected records: FILE is what
`census.py records --output FILE` writes.

The program reads the marts of the last build and changes nothing. The CSV is RFC 4180 in UTF-8.
Both files are replaced together or not at all. Exit codes:

    0  the files are written, whatever they say
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate, groupby, pairwise
from operator import attrgetter, itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote

from dbt_reader import GUARD, Read, Stop, make_parser, open_warehouse, run
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

ALL = "All products"
KINDS = ("missing", "left on", "never set", "only dates")
# Whole days that something has been wrong for, up to and without the number.
AGES = {"Less than a day": 1, "1 to 7 days": 8, "8 to 30 days": 31, "More than 30 days": math.inf}
UNKNOWN = "Unknown"
MOST_DAYS = 10  # shown one by one; the others by month
MOST_POINTS = 100  # of the history
MOST_EXAMPLES = 5  # for each reason
MOST_REJECTED = 50  # properties shown
MOST_REASONS, KEPT_REASONS = 20, 1_000  # shown; counted one by one
BUILD_IS_OLD_AFTER = 24  # hours


class State(NamedTuple):
    """How good something is: a word, a symbol, and a class of the style sheet."""

    word: str
    symbol: str
    style: str


IN_ORDER = State("In order", "●", "good")
ATTENTION = State("Attention", "▲", "warn")
TO_BE_REPAIRED = State("To be repaired", "■", "bad")
STOPPED = State("Stopped", "■", "bad")

# --- What the page shows ----------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """The last build, the guard, and the vars that the page depends on."""

    built_at: datetime
    as_of_date: date
    asked_day: str | None
    salesforce_url: str | None
    records_to_update: int
    properties_to_create: int
    is_tripped: bool
    verdict: str


@dataclass(frozen=True)
class Summary:
    """A row of feature_sync_summary."""

    cohort: str
    product: str
    properties: int
    missing_in_salesforce: int
    left_on_in_salesforce: int
    never_set_in_salesforce: int
    mismatched: int

    @property
    def kinds(self) -> list[int]:
        """Properties by kind of mismatch, in the order of KINDS; for one product only."""
        flags = [self.missing_in_salesforce, self.left_on_in_salesforce]
        flags.append(self.never_set_in_salesforce)
        return [*flags, self.mismatched - sum(flags)]


@dataclass(frozen=True)
class Run:
    """What a dbt run measured, over all products."""

    measured_at: datetime
    properties: int
    mismatched: int
    is_guard_tripped: bool
    is_rise: bool  # more properties differed than in the run before
    minutes_to_zero: int | None  # from a rise

    @property
    def share(self) -> float | None:
        """The share of properties that were right; None where the guard was tripped."""
        is_known = self.properties and not self.is_guard_tripped
        return 1 - self.mismatched / self.properties if is_known else None

    @property
    def right(self) -> str:
        """The share in words."""
        return "unknown" if self.share is None else percent(self.share)


@dataclass(frozen=True)
class Adoption:
    """How many properties have a product."""

    product: str
    properties_on: int
    share_of_properties: float
    newly_on_7_days: int
    newly_on_30_days: int
    newly_on_90_days: int


@dataclass(frozen=True)
class Finding:
    """An example of what a person has to look at, with the figures of its reason.

    `section` is the page's: exceptions or issues.
    """

    section: str
    reason: str
    what_to_do: str
    records: int
    mismatched: int
    salesforce_id: str | None
    property_name: str | None
    property_id: str | None


@dataclass(frozen=True)
class Sync:
    """A relation that a Census sync reads; all its rows are new where `mismatched` is None."""

    label: str
    url: str | None
    relation: str
    offered: int
    mismatched: int | None


@dataclass(frozen=True)
class Source:
    """Something that has an age, with its limits in hours."""

    name: str
    newest_at: datetime | None
    warn_after: float
    error_after: float | None = None

    def age(self, now: datetime) -> int:
        """Return how many minutes old it is; only where that is known."""
        return max((now - self.newest_at) // timedelta(minutes=1), 0)

    def state(self, now: datetime) -> State:
        """Return how fresh it is."""
        if not self.newest_at:
            return State("unknown", "○", "quiet")
        hours = (now - self.newest_at) / timedelta(hours=1)
        if self.error_after and hours > self.error_after:
            return State("too old", "■", "bad")
        return State("old", "▲", "warn") if hours > self.warn_after else State("fresh", "●", "good")


@dataclass(frozen=True)
class Rejections:
    """Records that did not reach Salesforce.

    `reasons` has each reason with its records and its wrong properties; `properties` the first of
    the wrong ones, each with its Salesforce id, name, products and reason.
    """

    records: int
    reasons: Sequence[tuple[str, int, int]]
    wrong: int
    properties: Sequence[tuple[str, str | None, str, str]]


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    read_at: datetime
    facts: Facts
    summary: Sequence[Summary]
    wrong_by_day: Mapping[date | None, Counter[str]]  # wrong properties by product, and ALL
    wrong_by_age: Mapping[str, Counter[str]]
    created: Mapping[date | None, int]  # properties by day of creation
    runs: Sequence[Run]
    adoption: Sequence[Adoption]
    findings: Sequence[Finding]
    syncs: Sequence[Sync]
    sources: Sequence[Source]
    mismatch_rows: int
    rejections: Rejections | None = None

    @property
    def total(self) -> Summary:
        """All properties and products."""
        return next(row for row in self.summary if (row.cohort, row.product) == ("all", ALL))

    @property
    def products(self) -> list[Summary]:
        """The products that differ, the most mismatches first."""
        rows = [row for row in self.summary if row.cohort == "all" and row.mismatched]
        return [row for row in rows if row.product != ALL]

    @property
    def exceptions(self) -> list[Finding]:
        """What cannot be synced."""
        return [finding for finding in self.findings if finding.section == "exceptions"]

    @property
    def issues(self) -> list[Finding]:
        """What may not have been matched correctly."""
        return [finding for finding in self.findings if finding.section == "issues"]

    @property
    def ages(self) -> list[Source]:
        """What can be too old."""
        return [*self.sources, Source("Last build", self.facts.built_at, BUILD_IS_OLD_AFTER)]

    @property
    def runs_per_point(self) -> int:
        """How many runs share a point of the history."""
        return -(-(len(self.runs) - 1) // (MOST_POINTS - 1))

    @property
    def points(self) -> list[Run]:
        """The history, thinned: the worst of every few runs, and the last one unchanged."""
        if len(self.runs) <= MOST_POINTS:
            return list(self.runs)
        starts = range(0, len(self.runs) - 1, self.runs_per_point)
        chunks = (self.runs[:-1][start : start + self.runs_per_point] for start in starts)
        worst = (
            min(chunk, key=lambda run: -1 if run.share is None else run.share) for chunk in chunks
        )
        return [*worst, self.runs[-1]]

    @property
    def needs(self) -> list[tuple[str, str]]:
        """What needs attention besides the mismatches: a text, and the section that explains it."""
        old = [
            source for source in self.ages if source.state(self.read_at).style in ("warn", "bad")
        ]
        new = counted(self.facts.properties_to_create, "property", "properties")
        texts = {
            "exceptions": f"{counted(records_of(self.exceptions), 'record')} cannot be synced",
            "issues": counted(records_of(self.issues), "matching issue"),
            "syncs": f"{new} to be created in Salesforce",
        }
        return [
            *(
                (f"{each.name}: {duration(each.age(self.read_at))} old", "freshness")
                for each in old
            ),
            *((text, section) for section, text in texts.items() if not text.startswith("0 ")),
        ]

    @property
    def state(self) -> State:
        """The verdict."""
        if self.facts.is_tripped:
            return STOPPED
        if self.facts.records_to_update:
            return TO_BE_REPAIRED
        return ATTENTION if self.total.mismatched or self.needs else IN_ORDER

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        properties = counted(self.total.properties, "property", "properties")
        if self.facts.is_tripped:
            return "Nothing reaches Census: the guard is tripped"
        if self.total.mismatched:
            return f"Salesforce is wrong about {self.total.mismatched:,} of {properties}"
        if self.needs:
            need = "things need" if len(self.needs) > 1 else "thing needs"
            return f"Nothing to repair in {properties}, but {len(self.needs)} {need} attention"
        return f"Salesforce is right about all {properties}"

    @property
    def lead(self) -> str:
        """What the verdict means; a single sentence where it is the guard's."""
        if self.facts.is_tripped:
            return self.facts.verdict
        wrong, repairable = self.total.mismatched, self.facts.records_to_update
        if not wrong and self.needs:
            return "No product differs as of the last build, but somebody should look at this:"
        if not wrong:
            return "Every product that is on shows as on in Salesforce, and every other one as off."
        if not repairable:
            return "No sync can repair this: the records cannot be synced."
        stuck = wrong - repairable
        what = f"{repairable:,} of them, and {stuck:,} cannot be synced" if stuck else "all of them"
        cohorts = {row.cohort: row.mismatched for row in self.summary if row.product == ALL}
        new = cohorts.get("as_of_date", 0)
        rest = f", the other {wrong - new:,} on other days" if new < wrong else ""
        created = (
            f" {new:,} {'was' if new == 1 else 'were'} created on {day(self.facts.as_of_date)}"
        )
        return f"A sync repairs {what}.{created}{rest}." if new else f"A sync repairs {what}."


# --- Reading ----------------------------------------------------------------------------------

# As dbt templates. The columns are the fields of the classes above.
FACTS = """
    select
        summary.built_at,
        summary.as_of_date,
        '{{ var("as_of_date") or "" }}' as asked_day,
        '{{ var("salesforce_base_url") or "" }}' as salesforce_url,
        coalesce(guard.records_to_update, 0) as records_to_update,
        coalesce(guard.properties_to_create, 0) - (
            select count(*) from {{ ref('product_property_sync_exceptions') }}
            where sync_exception = 'sync_key_taken'
        ) as properties_to_create
    from {{ ref('feature_sync_summary') }} as summary
    left join {{ ref('feature_sync_guard') }} as guard on true
    where
        summary.cohort = 'all'
        and summary.product = 'All products'
"""
SUMMARY = """
    select
        cohort, product, properties, missing_in_salesforce, left_on_in_salesforce,
        never_set_in_salesforce, mismatched
    from {{ ref('feature_sync_summary') }}
    order by mismatched desc, product
"""
CREATED = """
    select
        cast(created_at as date) as created_on,
        count(*) as properties
    from {{ ref('int_product_properties_at_build') }}
    group by cast(created_at as date)
"""
RUNS = """
    select
        runs.measured_at,
        runs.properties,
        runs.mismatched,
        runs.is_guard_tripped,
        rises.run_id is not null as is_rise,
        rises.minutes_to_zero
    from {{ ref('feature_accuracy_history') }} as runs
    left join {{ ref('feature_time_to_zero') }} as rises
        on runs.run_id = rises.run_id and runs.product = rises.product
    where runs.product = 'All products'
    order by runs.measured_at, runs.run_id
"""
ADOPTION = """
    select
        product, properties_on, share_of_properties, newly_on_7_days, newly_on_30_days,
        newly_on_90_days
    from {{ ref('product_adoption') }}
    where started_month = 'all'
    order by properties_on desc, product
"""
FINDINGS = f"""
    with records as (
        select
            'exceptions' as section,
            sync_exception as reason,
            what_to_do,
            is_mismatched as is_wrong,
            salesforce_id,
            property_name,
            snappt_property_id_c as property_id
        from {{{{ ref('product_property_sync_exceptions') }}}}
        union all
        select
            'issues', issue, what_to_do, false, salesforce_id, property_name, snappt_property_id_c
        from {{{{ ref('feature_matching_issues') }}}}
    ),

    counted as (
        select
            *,
            count(*) over (partition by section, reason) as records,
            count(case when is_wrong then 1 end) over (partition by section, reason) as mismatched,
            row_number() over (
                partition by section, reason
                order by case when is_wrong then 1 else 2 end, salesforce_id, property_name
            ) as place
        from records
    )

    select
        section, reason, what_to_do, records, mismatched, salesforce_id, property_name, property_id
    from counted
    where place <= {MOST_EXAMPLES}
    order by records desc, reason, place
"""
SYNCS = """
    with wrong as (
        select reverse_etl_id_c from {{ ref('int_product_properties_at_build') }}
        where is_mismatched and sync_exception is null
    ),

    syncs as (
        select '' as label, '' as url, '' as relation, 0 as offered, 0 as mismatched
        where false
        {%- for exposure in graph.exposures.values() if execute and exposure.meta.operation %}
        {%- for id in exposure.depends_on.nodes if id in graph.nodes %}
        {%- set node = graph.nodes[id] %}
        union all
        select
            {{ dbt.string_literal(dbt.escape_single_quotes(exposure.label or exposure.name)) }},
            {{ dbt.string_literal(dbt.escape_single_quotes(exposure.url or '')) }},
            '{{ node.name }}',
            count(*),
            {% if node.name == 'product_property_create' %}null{% else -%}
            count(wrong.reverse_etl_id_c)
            {%- endif %}
        from {{ node.relation_name }} as offered
        left join wrong on offered.reverse_etl_id_c = wrong.reverse_etl_id_c
        {%- endfor %}
        {%- endfor %}
    )

    select * from syncs
    order by label desc
"""
SOURCES = """
    select
        'Salesforce replica' as name,
        cast(
            ({{ newest_sync_query(source('salesforce', 'product_property_c')) }})
            as {{ dbt.type_timestamp() }}
        ) as newest_at,
        {{ var('salesforce_warn_after_hours') }} as warn_after,
        {{ var('salesforce_error_after_hours') or 'null' }} as error_after
    union all
    select
        'Features table',
        cast(max({{ newest_update() }}) as {{ dbt.type_timestamp() }}),
        {{ var('features_warn_after_hours') }},
        {{ var('features_error_after_hours') or 'null' }}
    from {{ source('sfdc_dbx', 'product_property_w_features') }}
    order by name desc
"""
# Where nothing is wrong, the join gives an empty row, and with it the names of the columns.
MISMATCHES = """
    select mismatches.*
    from (select 1 as one) as header
    left join {{ ref('feature_mismatches') }} as mismatches on true
    order by mismatches.created_at desc, mismatches.salesforce_id, mismatches.product
"""


def plain(value: object) -> object:
    """Return a value of agate's as Python's own: whole numbers as int, times in UTC."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return value


def read_report(read: Read, records: Path | None) -> tuple[Report, Sequence[Mapping[str, Any]]]:
    """Return what the page shows, and the rows of the CSV; or raise Stop."""

    def rows(kind: type, query: str, **more: object) -> list:
        found = ({name: plain(value) for name, value in row.items()} for row in read(query))
        return [kind(**row, **more) for row in found]

    (guard,) = read(GUARD)
    facts = next(iter(rows(Facts, FACTS, **guard)), None)
    if not facts:
        raise Stop("feature_sync_summary is empty: run dbt build.", 2)
    if facts.asked_day and facts.asked_day != str(facts.as_of_date):
        raise Stop(
            f"The last build is for {facts.as_of_date}. Build {facts.asked_day} first: "
            f"dbt build --vars 'as_of_date: {facts.asked_day}'"
        )
    mismatches = read(MISMATCHES)
    wrong = [row for row in mismatches if row["salesforce_id"]]
    by_day, by_age = count_wrong(wrong, facts)
    report = Report(
        facts=facts,
        summary=rows(Summary, SUMMARY),
        wrong_by_day=by_day,
        wrong_by_age=by_age,
        created={row["created_on"]: plain(row["properties"]) for row in read(CREATED)},
        runs=rows(Run, RUNS),
        adoption=rows(Adoption, ADOPTION),
        findings=rows(Finding, FINDINGS),
        syncs=rows(Sync, SYNCS),
        sources=rows(Source, SOURCES),
        mismatch_rows=len(wrong),
        rejections=read_rejections(records, wrong) if records else None,
        read_at=datetime.now(UTC),
    )
    if [facts] != rows(Facts, FACTS, **guard):
        raise Stop("dbt build replaced the marts meanwhile: run this program again.", 2)
    return report, mismatches


def count_wrong(
    wrong: Sequence[Mapping[str, Any]], facts: Facts
) -> tuple[dict[date | None, Counter[str]], dict[str, Counter[str]]]:
    """Return the wrong properties by day of creation, and by the age of the oldest difference.

    The age is that at the end of as_of_date, or at the build if that was earlier.
    """
    midnight = datetime.combine(facts.as_of_date, time(), UTC) + timedelta(days=1)
    by_day: dict[date | None, Counter[str]] = {}
    by_age: dict[str, Counter[str]] = {age: Counter() for age in (*AGES, UNKNOWN)}
    for _, rows in groupby(wrong, key=itemgetter("salesforce_id")):
        differences = [{name: plain(value) for name, value in row.items()} for row in rows]
        known = [row["mismatched_since_at"] for row in differences if row["mismatched_since_at"]]
        age, created_at = UNKNOWN, differences[0]["created_at"]
        if known:
            days = (min(midnight, facts.built_at) - min(known)).days
            age = next(age for age, limit in AGES.items() if days < limit)
        counted_as = [ALL, *(row["product"] for row in differences)]
        by_day.setdefault(created_at.date() if created_at else None, Counter()).update(counted_as)
        by_age[age].update(counted_as)
    return by_day, by_age


def read_rejections(path: Path, wrong: Sequence[Mapping[str, Any]]) -> Rejections:
    """Return what a file of `census.py records` says, beside what is wrong; or raise Stop."""
    differences: dict[str, list[Mapping[str, Any]]] = {}
    for row in wrong:
        differences.setdefault(row["reverse_etl_id_c"], []).append(row)
    records: Counter[str] = Counter()
    reasons: dict[str, str] = {}  # of the wrong properties, by sync key
    for key, reason in read_records(path):
        kept = reason if reason in records or len(records) < KEPT_REASONS else "Other reasons"
        records[kept] += 1
        if key in differences:
            reasons[key] = kept
    still_wrong = Counter(reasons.values())
    properties = []
    for key in list(reasons)[:MOST_REJECTED]:
        products = ", ".join(dict.fromkeys(row["product"] for row in differences[key]))
        first = differences[key][0]
        properties.append((first["salesforce_id"], first["property_name"], products, reasons[key]))
    return Rejections(
        records=records.total(),
        reasons=[(reason, count, still_wrong[reason]) for reason, count in records.most_common()],
        wrong=len(reasons),
        properties=properties,
    )


def read_records(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the sync key of each record and the reason; or raise Stop."""
    done = 0
    try:
        with path.open("rb") as lines:
            for line in lines:
                record = json.loads(line)
                key, status, message = (record[name] for name in ("key", "status", "message"))
                reason = message[:300] or "no message"
                yield key + "", reason if status == "rejected" else status + ": " + reason
                done += 1
    except OSError as error:
        raise Stop(f"{path} cannot be read: {error.strerror}.", 2) from None
    except (ValueError, TypeError, LookupError, RecursionError):
        raise Stop(
            f"{path}, line {done + 1}: expected a JSON object with the texts key, status and "
            "message, as census.py records writes them.",
            2,
        ) from None


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


def duration(minutes: int) -> str:
    """Return a number of minutes in the unit that fits."""
    if not minutes:
        return "less than a minute"
    if minutes < 120:
        return counted(minutes, "minute")
    return counted(minutes // 60, "hour") if minutes < 2880 else counted(minutes // 1440, "day")


def day(when: date | None) -> str:
    """Return a day in words."""
    return f"{when.day} {when:%B %Y}" if when else UNKNOWN


def timestamp(when: datetime) -> Markup:
    """Return a time as an element that people and programs can read."""
    return Markup('<time datetime="{}">{}, {} UTC</time>').format(
        f"{when:%Y-%m-%dT%H:%M:%SZ}", day(when), f"{when:%H:%M}"
    )


def by_reason(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Return the examples of each reason, the most frequent reason first."""
    return [list(group) for _, group in groupby(findings, key=attrgetter("reason"))]


def records_of(findings: Sequence[Finding]) -> int:
    """Return how many records were found, shown or not."""
    return sum(group[0].records for group in by_reason(findings))


# --- Bars and the history ---------------------------------------------------------------------


class Bar(NamedTuple):
    """A row of a table with bars; the lengths of its parts are in per cent."""

    name: str
    parts: Sequence[float]
    note: str
    value: str


def product_bars(report: Report) -> list[Bar]:
    """Return the mismatches of each product, by kind."""
    longest = max((row.mismatched for row in report.products), default=0) or 1
    bars = []
    for row in report.products:
        note = ", ".join(f"{n:,} {kind}" for n, kind in zip(row.kinds, KINDS, strict=True) if n)
        parts = [100 * part / longest for part in row.kinds]
        bars.append(Bar(row.product, parts, note, number(row.mismatched)))
    return bars


def wrong_bars(
    groups: Mapping[str, Counter[str]], created: Mapping[str, int | None] | None = None
) -> list[Bar]:
    """Return wrong properties by name of a group, and by product within each group."""
    longest = max((group[ALL] for group in groups.values()), default=0)
    bars = []
    for name, group in groups.items():
        note = ", ".join(f"{product} {n:,}" for product, n in group.most_common() if product != ALL)
        of = (created or {}).get(name)
        value = f"{group[ALL]:,} of {of:,}" if of else number(group[ALL])
        bars.append(Bar(name, [100 * group[ALL] / longest], note, value))
    return bars


def day_bars(report: Report) -> tuple[list[Bar], list[Bar]]:
    """Return the days with the most wrong properties, and all other days by month."""
    latest_first = sorted(report.wrong_by_day, key=lambda when: when or date.min, reverse=True)
    worst = sorted(latest_first, key=lambda when: -report.wrong_by_day[when][ALL])[:MOST_DAYS]
    months: dict[str, Counter[str]] = {}
    for when in latest_first:
        if when not in worst:
            month = months.setdefault(f"{when:%B %Y}" if when else UNKNOWN, Counter())
            month.update(report.wrong_by_day[when])
    days = {day(when): report.wrong_by_day[when] for when in worst}
    created = {day(when): report.created.get(when) for when in worst}
    return wrong_bars(days, created), wrong_bars(months)


def adoption_bars(report: Report) -> list[Bar]:
    """Return the share of properties that have each product, and what is new."""
    return [
        Bar(
            row.product,
            [100 * row.share_of_properties],
            f"{row.properties_on:,} on; new in 7 days {row.newly_on_7_days:,}, in 30 days "
            f"{row.newly_on_30_days:,}, in 90 days {row.newly_on_90_days:,}",
            percent(row.share_of_properties),
        )
        for row in report.adoption
    ]


class Course(NamedTuple):
    """The history as a drawing in a box of 100 by 100, from the upper left corner."""

    floor: float  # the share at the bottom of the box
    is_by_time: bool
    places: Sequence[tuple[float, float | None]]  # of each point; no height where it is unknown
    line: str


def course(points: Sequence[Run]) -> Course:
    """Return the share of right properties, run by run.

    The axis is by time, unless some runs would lie too close together.
    """
    shares = [point.share for point in points]
    worst = min((share for share in shares if share is not None), default=1)
    floor = min(max(math.ceil(worst * 20) - 1, 0), 18) / 20  # 5 % steps, below the worst
    gaps = [after.measured_at - before.measured_at for before, after in pairwise(points)]
    is_by_time = len(gaps) > 1 and min(gaps) * 4 * len(gaps) >= sum(gaps, timedelta())
    steps = list(accumulate(gaps, initial=timedelta())) if is_by_time else range(len(points))
    places, line, was_known = [], "", False
    for step, share in zip(steps, shares, strict=True):
        x = 100 * (step / steps[-1]) if steps[-1] else 100
        y = None if share is None else 100 * (1 - share) / (1 - floor)
        places.append((x, y))
        # A level, because what was measured holds until the next run.
        line += f"H{x:.2f}" if was_known else "" if y is None else f"M{x:.2f} {y:.2f}"
        line += f"V{y:.2f}" if was_known and y is not None else ""
        was_known = y is not None
    return Course(floor, is_by_time, places, line)


# --- The files --------------------------------------------------------------------------------


def render(report: Report, csv_name: str) -> str:
    """Return the page; whatever comes from the data is escaped."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (number, percent, counted, duration, day, timestamp, by_reason, records_of, quote)
    templates.filters |= {function.__name__: function for function in filters}
    worst_days, other_months = day_bars(report)
    return templates.get_template("report.html").render(
        report=report,
        product_bars=product_bars(report),
        worst_days=worst_days,
        other_months=other_months,
        age_bars=wrong_bars({age: group for age, group in report.wrong_by_age.items() if group}),
        adoption_bars=adoption_bars(report),
        course=course(report.points) if report.runs else None,
        most_reasons=MOST_REASONS,
        csv_name=csv_name,
        states={state.word: state for state in (IN_ORDER, ATTENTION, TO_BE_REPAIRED, STOPPED)},
    )


def as_text(value: object) -> str:
    """Return a value as the CSV has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"{plain(value).replace(tzinfo=None).isoformat()}Z"
    return "" if value is None else str(value)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of MISMATCHES; an empty row only gives the header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0])
        writer.writerows(map(as_text, row.values()) for row in rows if row["salesforce_id"])


def put_in_place(workshop: Path, page: Path, table: Path) -> None:
    """Move the finished files to their places, both or none."""
    old = workshop / "old"
    if table.exists():
        table.replace(old)
    try:
        (workshop / "table").replace(table)
        (workshop / "page").replace(page)
    except OSError:
        table.unlink(missing_ok=True)
        if old.exists():
            old.replace(table)
        raise


# --- Program ----------------------------------------------------------------------------------


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--output", type=Path, default="output/report.html", help="the page (%(default)s)")
    add("--records", type=Path, metavar="FILE", help="the records that Salesforce rejected")
    return parser.parse_args(argv)


def write(arguments: argparse.Namespace) -> str:
    """Write both files and return a sentence; or raise Stop and leave all as it was."""
    page = arguments.output.resolve()
    table = page.with_name(f"{page.stem}_mismatches.csv")
    with open_warehouse(arguments) as read:
        report, mismatches = read_report(read, arguments.records)
    page.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=page.parent, prefix=".report-") as workshop:
        Path(workshop, "page").write_text(render(report, table.name), encoding="utf-8")
        write_csv(Path(workshop, "table"), mismatches)
        put_in_place(Path(workshop), page, table)
    return f"{page}: {report.headline}"


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    arguments = parse(argv)
    return run(lambda: write(arguments), "no report was written.")


if __name__ == "__main__":
    sys.exit(main())
