"""What the benchmark holds against its goals, and the page that it writes."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sources import ROOT, Sources

SYNC, NAIVE = "product_property_feature_sync", "naive query"
# What is read, in the order of the tables, and what it is called there.
NAMES = {
    "naive": NAIVE,
    "sync": f"`{SYNC}`",
    "dates": f"`{SYNC}`, `compare_feature_dates: true`",
    "recent": "`product_property_feature_recent`",
    "backfill": "`product_property_feature_backfill`, a table",
    "scan": "floor: reading the columns",
    "join": "floor: joining the keys",
}
# How `dbt build` is run: what that is called, and dbt's options.
BUILDS = {
    "cold": ("parsing everything", ("--no-partial-parse",)),
    "partial": ("parsing nothing", ()),
    "job": (
        "parsing nothing, without unit tests, as the hourly job",
        ("--exclude-resource-type", "unit_test"),
    ),
}
ALWAYS = "rows that Census drops; no guard"
LEFT_OUT = {
    "naive": f"empty flags; duplicates; {ALWAYS}",
    "pandas": f"empty flags; duplicates; {ALWAYS}",
    "polars": f"empty flags; duplicates; {ALWAYS}",
    "datacompy": f"duplicates are paired in the order of the rows; {ALWAYS}",
    "reladiff": f"tables where some keys are empty; {ALWAYS}",
    "sqlmesh": f"duplicates are compared all with all; {ALWAYS}",
}
TEXT = """# Benchmark

`make bench` wrote this page on {date}, on {machine}, with {versions}.

The source tables are made by `benchmark/sources.py` in the image of the incident, with 16 % or 1 %
of the properties mismatched. In messy ones one in 1,000 keys, flags and feature rows is blank,
empty or double. The project is built on them as it is, with the guard open. All contestants run in
turn, {rounds} times, each time in a new process. Times are medians in seconds, with the lowest and
the highest, and ratios are ratios of medians. Memory is the highest resident memory of the process.
The naive query joins the two source tables once and compares the flags with `!=`.
"""

WHY = """What the protections cost is paid at every read. In a trial at 1M, comparing without them
took as long as the naive query. Looking for duplicates added 0.4 of it on clean tables and 0.75 on
messy ones: a GROUP BY over the keys of each table, and one more read of the feature rows, to find
the latest of several. The guard added 0.1 to 0.2: it counts what differs, which is read anyway, and
scans both tables for its totals.

The goals leave less than that for duplicates, and no other form that was tried is cheaper. Looking
only among what differs, in one query with the guard, took 1.7 times the naive query on clean tables
and 1.9 on messy ones, as the models do; at 10M 2.3 and 2.6 where the models took 2.5 and 2.9; and
2.1 to 2.8 times the naive query's memory. Looking once per build would let through what is loaded
after it (`docs/scaling.md`).

Sail computes a CTE that is read twice two times, so there the guard costs a second comparison. The
other relations ask the guard through `feature_sync_guard`, which compares once more on DuckDB too:
they are read once a day, or are tables.
"""


class Size(NamedTuple):
    """Rows of the two source tables."""

    name: str
    properties: int
    feature_rows: int


class Case(NamedTuple):
    """Source tables to measure on."""

    size: Size
    share: float  # of the properties, 0 to 1, that are mismatched
    is_messy: bool

    def __str__(self) -> str:
        return f"{self.size.name}, {'messy' if self.is_messy else 'clean'}, {self.share:.0%}"

    @property
    def sources(self) -> Sources:
        """Return what generates the tables."""
        return Sources(self.size.properties, self.size.feature_rows, self.share, self.is_messy)


class Sample(NamedTuple):
    """One measurement: seconds, MiB, and a number of rows where the result is one."""

    seconds: float
    peak_mib: float = math.nan
    value: object = None


Samples = dict[str, list[Sample]]


@dataclass
class Results:
    """All measurements, by what was measured."""

    rounds: int = 5
    queries: dict[Case, Samples] = field(default_factory=dict)
    builds: Samples = field(default_factory=dict)
    tools: Samples = field(default_factory=dict)
    #: Of each tool on messy tables the ids that are (wrong, missing), or why it found none.
    errors: dict[str, tuple[int, int] | str] = field(default_factory=dict)
    databricks: Samples = field(default_factory=dict)


class Goal(NamedTuple):
    """A ratio that should not be larger than a limit, wherever it is measured."""

    text: str
    limit: float
    ratios: Callable[[Results], Iterator[float]]


def seconds(samples: list[Sample]) -> float:
    """Return the median time."""
    return median(sample.seconds for sample in samples)


def memory(samples: list[Sample]) -> float:
    """Return the median of the highest memory in MiB."""
    return median(sample.peak_mib for sample in samples)


def times_naive(
    name: str, sizes: str, of: Callable[[list[Sample]], float] = seconds
) -> Callable[[Results], Iterator[float]]:
    """Return what compares a query with the naive one read alike, in all cases of some sizes."""
    naive = "naive count" if name.endswith("count") else "naive"

    def ratios(results: Results) -> Iterator[float]:
        for case, samples in results.queries.items():
            if case.size.name in sizes.split() and name in samples:
                yield of(samples[name]) / of(samples[naive])

    return ratios


def messy_by_clean(results: Results) -> Iterator[float]:
    """Compare the sync view on messy tables with itself on clean ones."""
    for case, samples in results.queries.items():
        if case.is_messy and case.size.name != "incident":
            clean = results.queries[case._replace(is_messy=False)]
            yield seconds(samples["sync"]) / seconds(clean["sync"])


def growth(results: Results) -> Iterator[float]:
    """Return the exponent with which the time of the sync view grows from 1M to 10M rows."""
    cases = {(case.size.name, *case[1:]): samples for case, samples in results.queries.items()}
    for (name, *rest), samples in cases.items():
        if name == "10M" and ("1M", *rest) in cases:
            yield math.log10(seconds(samples["sync"]) / seconds(cases["1M", *rest]["sync"]))


def sync_on_databricks(results: Results) -> Iterator[float]:
    """Compare the sync view with the naive query on the harness."""
    if results.databricks:
        yield seconds(results.databricks["sync"]) / seconds(results.databricks["naive"])


def builds(results: Results) -> Iterator[float]:
    """Compare `dbt build` with that of a project that does nothing."""
    for way in BUILDS:
        if results.builds:
            no_op = seconds(results.builds[f"no-op {way}"])
            yield seconds(results.builds[f"project {way}"]) / no_op


GOALS = (
    Goal("sync view in full, of the naive query, 1M", 1.5, times_naive("sync", "1M")),
    Goal("sync view in full, of the naive query, 10M", 2.0, times_naive("sync", "10M")),
    Goal(
        "`count(*)` of the sync view, of the naive query's",
        2.5,
        times_naive("sync count", "1M 10M"),
    ),
    Goal("sync view on messy tables, of that on clean ones", 1.15, messy_by_clean),
    Goal("sync view that compares dates, of the naive query", 2.5, times_naive("dates", "1M 10M")),
    Goal("exponent of growth from 1M to 10M", 1.1, growth),
    Goal(
        "memory of the sync view, of the naive query's", 1.5, times_naive("sync", "1M 10M", memory)
    ),
    Goal("sync view on the Databricks harness, of its naive query, 1M", 2.5, sync_on_databricks),
    Goal("`dbt build` of the incident, of a project that does nothing", 1.5, builds),
)


def table(header: str, rows: list[list[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    names = header.split("|")
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def spread(samples: list[Sample]) -> str:
    """Return the median time with the lowest and the highest."""
    low, high = min(samples).seconds, max(samples).seconds
    return f"{seconds(samples):.3f} ({low:.3f} to {high:.3f})"


def goal_rows(results: Results) -> list[list[str]]:
    """Return a row for each goal, with the best and the worst ratio measured."""
    rows = []
    for goal in GOALS:
        ratios = sorted(goal.ratios(results))
        if not ratios:
            measured = ["", "", "not measured"]
        else:
            best, worst = ratios[0], ratios[-1]
            missed = "met in part" if best <= goal.limit else "**not met**"
            measured = [f"{best:.2f}", f"{worst:.2f}", "met" if worst <= goal.limit else missed]
        rows.append([goal.text, f"{goal.limit:g}", *measured])
    return rows


def query_rows(samples: Samples) -> list[list[str]]:
    """Return a row for each relation, read in full and counted."""
    rows = []
    for name, text in NAMES.items():
        if name not in samples:
            continue
        full, count = samples[name], samples.get(f"{name} count")
        rows.append(
            [
                text,
                spread(full),
                f"{seconds(full) / seconds(samples['naive']):.2f}",
                spread(count) if count else "",
                f"{seconds(count) / seconds(samples['naive count']):.2f}" if count else "",
                f"{memory(full):.0f}",
                f"{memory(full) / memory(samples['naive']):.2f}",
            ]
        )
    return rows


def tool_rows(results: Results) -> list[list[str]]:
    """Return a row for each tool."""
    sync = results.tools["sync"]
    rows = [["this project", spread(sync), "1.00", f"{memory(sync):.0f}", "0", "0", ""]]
    for tool, errors in results.errors.items():
        samples = results.tools[tool]
        rows.append(
            [
                tool,
                spread(samples),
                f"{seconds(samples) / seconds(sync):.2f}",
                f"{memory(samples):.0f}",
                *([errors, ""] if isinstance(errors, str) else [f"{count:,}" for count in errors]),
                LEFT_OUT[tool],
            ]
        )
    return rows


def sections(results: Results) -> Iterator[str]:
    """Yield the parts of the page."""
    yield TEXT.format(
        date=datetime.now(UTC).date(), machine=machine(), versions=versions(), rounds=results.rounds
    )
    yield "## Goals\n\nThe ratios are the smallest and the largest of all cases.\n"
    yield table("goal|at most|from|to|", goal_rows(results))
    yield WHY
    for case, samples in results.queries.items():
        size = f"{case.size.properties:,} properties and {case.size.feature_rows:,} feature rows"
        state = "messy" if case.is_messy else "clean"
        yield f"## {size}, {state}, {case.share:.0%} mismatched\n"
        header = "|in full, s|of naive|`count(*)`, s|of naive|memory, MiB|of naive"
        yield table(header, query_rows(samples))
    if results.builds:
        yield "## `dbt build` of the incident\n"
        yield "The no-op project has as many nodes of each kind.\n"
        rows = []
        for way, (text, _) in BUILDS.items():
            project, no_op = (results.builds[f"{who} {way}"] for who in ("project", "no-op"))
            ratio = f"{seconds(project) / seconds(no_op):.2f}"
            rows.append([text, spread(project), spread(no_op), ratio])
        yield table("|this project, s|no-op project, s|ratio", rows)
    if results.tools:
        yield "## What one might take instead, at 1M\n"
        yield (
            "Times are for the keys of the clean tables, from the warehouse into Python. Wrong\n"
            "and missing are keys of the messy tables beside those that the sync view offers.\n"
        )
        header = "|clean, s|of this project|memory, MiB|wrong|missing|leaves out"
        yield table(header, tool_rows(results))
    if results.databricks:
        yield "## The Databricks adapter on Sail, at 1M, clean\n"
        naive = seconds(results.databricks["naive"])
        rows = [
            [NAMES[name], spread(samples), f"{seconds(samples) / naive:.2f}"]
            for name, samples in results.databricks.items()
        ]
        yield table("|in full, s|of naive", rows)


def machine() -> str:
    """Describe the machine: cores, memory, processor."""
    model = _line("/proc/cpuinfo", "model name").strip()
    gib = int(_line("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    return f"{os.cpu_count()} cores of {model} with {gib:.0f} GiB of memory"


def versions() -> str:
    """Name what was measured with, and its version."""
    packages = ("duckdb", "dbt-core", "dbt-duckdb", "dbt-databricks", "pysail")
    found = [f"{package} {version(package)}" for package in packages]
    pinned = (ROOT / "benchmark" / "requirements.txt").read_text(encoding="utf-8")
    tools = [
        line.replace("==", " ") for line in pinned.splitlines() if line.split("==")[0] in LEFT_OUT
    ]
    return ", ".join(found + tools)


def _line(path: str, name: str) -> str:
    """Return what a file of `name: value` lines has for a name."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next(line.partition(":")[2] for line in lines if line.startswith(name))


def page(results: Results) -> str:
    """Return the page in Markdown."""
    return "\n".join(sections(results))
