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

from sources import Sources

SYNC, NAIVE = "product_property_feature_sync", "naive query"
# What is read, in the order of the tables, and what it is called there.
NAMES = {
    "naive": NAIVE,
    "sync": f"`{SYNC}`",
    "dates": f"`{SYNC}`, `compare_feature_dates: true`",
    "recent": "`product_property_feature_recent`",
    "backfill": "`product_property_feature_backfill`, a table",
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
BEGIN, END = "<!-- measured -->\n", "<!-- end -->"  # what is between them in the page is replaced
TEXT = """`make bench` measured this on {date}, on {machine}, with {versions}.
All contestants run in turn, {rounds} times, each time in a new process. Times are medians in
seconds, with the lowest and the highest, and ratios are ratios of medians. Memory is the highest
resident memory of the process. The job runs once per case.
"""


class Size(NamedTuple):
    """A number of Salesforce records."""

    name: str
    properties: int


class Case(NamedTuple):
    """Source tables to measure on."""

    size: Size
    share: float  # of the records, 0 to 1, that are mismatched
    is_messy: bool

    def __str__(self) -> str:
        state = "messy" if self.is_messy else "clean"
        return f"{self.size.properties:,} records, {state}, {self.share:.0%} mismatched"

    @property
    def sources(self) -> Sources:
        """Return what generates the tables."""
        return Sources(self.size.properties, self.share, self.is_messy)


class Sample(NamedTuple):
    """One measurement: seconds, MiB, a number of rows where the result is one, CPU seconds."""

    seconds: float
    peak_mib: float = math.nan
    value: object = None
    cpu: float = math.nan


Samples = dict[str, list[Sample]]


@dataclass
class Results:
    """All measurements, by what was measured."""

    rounds: int = 5
    queries: dict[Case, Samples] = field(default_factory=dict)
    builds: Samples = field(default_factory=dict)
    job: dict[Case, Samples] = field(default_factory=dict)
    databricks: Samples = field(default_factory=dict)
    #: Statements of an hour's job on the harness, by kind.
    statements: dict[str, int] = field(default_factory=dict)


class Goal(NamedTuple):
    """A figure that should not be larger than a limit, wherever it is measured."""

    text: str
    limit: float
    figures: Callable[[Results], Iterator[float]]


def seconds(samples: list[Sample]) -> float:
    """Return the median time."""
    return median(sample.seconds for sample in samples)


def memory(samples: list[Sample]) -> float:
    """Return the median of the highest memory in MiB."""
    return median(sample.peak_mib for sample in samples)


def times_naive(
    name: str, sizes: str, of: Callable[[list[Sample]], float] = seconds
) -> Callable[[Results], Iterator[float]]:
    """Return a function that compares a query with the naive one in every case of some sizes."""
    naive = "naive count" if name.endswith("count") else "naive"

    def ratios(results: Results) -> Iterator[float]:
        for case, samples in results.queries.items():
            if case.size.name in sizes.split() and name in samples:
                yield of(samples[name]) / of(samples[naive])

    return ratios


def growth(results: Results) -> Iterator[float]:
    """Return the exponent with which the time of the sync view grows from 1M to 10M rows."""
    cases = {(case.size.name, *case[1:]): samples for case, samples in results.queries.items()}
    for (name, *rest), samples in cases.items():
        if name == "10M" and ("1M", *rest) in cases:
            yield math.log10(seconds(samples["sync"]) / seconds(cases["1M", *rest]["sync"]))


def job_cpu(results: Results, size: str, is_messy: bool = True) -> float | None:
    """Return the CPU seconds of the hourly job on the tables with the incident's share."""
    for case, samples in results.job.items():
        if case.size.name == size and case.is_messy == is_messy:
            return sum(one[0].cpu for one in samples.values())
    return None


def job_at_1m(results: Results) -> Iterator[float]:
    """Return the CPU seconds of the job at 1M, messy."""
    if cpu := job_cpu(results, "1M"):
        yield cpu


def job_growth(results: Results) -> Iterator[float]:
    """Compare the CPU of the job at 10M with that at 1M."""
    at_10m, at_1m = job_cpu(results, "10M"), job_cpu(results, "1M")
    if at_10m and at_1m:
        yield at_10m / at_1m


def statements(results: Results) -> Iterator[float]:
    """Return how many statements an hour's job sends on the harness."""
    if results.statements:
        yield sum(results.statements.values())


def scheduled_build(results: Results) -> Iterator[float]:
    """Compare `dbt build` as scheduled with that of a project that does nothing."""
    if results.builds:
        yield seconds(results.builds["project job"]) / seconds(results.builds["no-op job"])


GOALS = (
    Goal("sync view in full, of the naive query, 1M", 2.03, times_naive("sync", "1M")),
    Goal("sync view in full, of the naive query, 10M", 2.87, times_naive("sync", "10M")),
    Goal(
        "`count(*)` of the sync view, of the naive query's",
        4.63,
        times_naive("sync count", "1M 10M"),
    ),
    Goal("exponent of growth from 1M to 10M", 1.07, growth),
    Goal(
        "memory of the sync view, of the naive query's", 1.43, times_naive("sync", "1M 10M", memory)
    ),
    Goal("hourly job at 1M, messy, CPU seconds", 20, job_at_1m),
    Goal("hourly job, CPU at 10M of that at 1M", 8, job_growth),
    Goal("statements of an hour's job on the Databricks harness", 130, statements),
    Goal("`dbt build` as scheduled, of a project that does nothing", 1.2, scheduled_build),
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
        ratios = sorted(goal.figures(results))
        if not ratios:
            measured = ["", "", "not measured"]
        else:
            best, worst = ratios[0], ratios[-1]
            missed = "met in part" if best <= goal.limit else "**not met**"
            measured = [f"{best:.2f}", f"{worst:.2f}", "met" if worst <= goal.limit else missed]
        rows.append([goal.text, f"{goal.limit:g}", *measured])
    return rows


def query_rows(results: Results) -> list[list[str]]:
    """Return a row for each case: the sync view beside the naive query."""
    rows = []
    for case, samples in results.queries.items():
        naive, sync, naive_count, count = (
            samples[name] for name in ("naive", "sync", "naive count", "sync count")
        )
        ratios = (
            seconds(sync) / seconds(naive),
            seconds(count) / seconds(naive_count),
            memory(sync) / memory(naive),
        )
        rows.append([str(case), spread(naive), spread(sync), *(f"{each:.2f}" for each in ratios)])
    return rows


def other_rows(results: Results) -> list[list[str]]:
    """Return a row for each relation, and a ratio for each size: clean, the incident's share."""
    cases = [samples for samples in results.queries.values() if "recent" in samples]
    return [
        [text, *(f"{seconds(samples[name]) / seconds(samples['naive']):.2f}" for samples in cases)]
        for name, text in NAMES.items()
        if name != "naive"
    ]


def job_rows(results: Results) -> list[list[str]]:
    """Return a row for each case of the hourly job."""
    rows = []
    for case, samples in results.job.items():
        build, verify = samples["build"][0], samples["verify"][0]
        cpu, wall = build.cpu + verify.cpu, build.seconds + verify.seconds
        naive = seconds(results.queries[case]["naive"])
        cells = [build.cpu, build.seconds, verify.cpu, verify.seconds, cpu, wall]
        rows.append([str(case), *(f"{cell:.1f}" for cell in cells), f"{wall / naive:.0f}"])
    return rows


def sections(results: Results) -> Iterator[str]:
    """Yield the measured parts of the page."""
    yield TEXT.format(
        date=datetime.now(UTC).date(), machine=machine(), versions=versions(), rounds=results.rounds
    )
    yield "## Goals\n\nThe figures are the smallest and the largest of all cases.\n"
    yield table("goal|at most|from|to|", goal_rows(results))
    if results.job:
        yield "## The hourly job\n\nBuild as scheduled, then verify, in seconds.\n"
        header = "|build, CPU|build|verify, CPU|verify|both, CPU|both|both, of a naive read"
        yield table(header, job_rows(results))
    if results.statements:
        kinds = ", ".join(f"{count} {kind}" for kind, count in results.statements.items())
        total = sum(results.statements.values())
        yield f"On the harness an hour sends {total} statements: {kinds}.\n"
    if results.builds:
        yield "## `dbt build` of the incident\n"
        yield "The no-op project has as many nodes of each kind.\n"
        rows = []
        for way, (text, _) in BUILDS.items():
            project, no_op = (results.builds[f"{who} {way}"] for who in ("project", "no-op"))
            ratio = f"{seconds(project) / seconds(no_op):.2f}"
            rows.append([text, spread(project), spread(no_op), ratio])
        yield table("|this project, s|no-op project, s|ratio", rows)
    yield "## One read\n"
    header = "|naive query, s|sync view, s|of naive|`count(*)`, of naive|memory, of naive"
    yield table(header, query_rows(results))
    sizes = [case.size.name for case, samples in results.queries.items() if "recent" in samples]
    yield "All relations, clean tables, of a naive read:\n"
    yield table("|".join(["", *sizes]), other_rows(results))
    if results.databricks:
        naive, sync = (results.databricks[name] for name in ("naive", "sync"))
        yield (
            f"On Sail, at 1M, clean, the naive query takes {spread(naive)} s and the sync view "
            f"{spread(sync)} s: {seconds(sync) / seconds(naive):.2f} times as long.\n"
        )


def machine() -> str:
    """Describe the machine: cores, memory, processor."""
    model = _line("/proc/cpuinfo", "model name").strip()
    gib = int(_line("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    return f"{os.cpu_count()} cores of {model} with {gib:.0f} GiB of memory"


def versions() -> str:
    """Name what was measured with, and its version."""
    packages = ("duckdb", "dbt-core", "dbt-duckdb", "dbt-databricks", "pysail")
    return ", ".join(f"{package} {version(package)}" for package in packages)


def _line(path: str, name: str) -> str:
    """Return what a file of `name: value` lines has for a name."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next(line.partition(":")[2] for line in lines if line.startswith(name))


def page(results: Results, before: str = BEGIN + END) -> str:
    """Return the page in Markdown: as it was before, with what is measured replaced."""
    head, _, rest = before.partition(BEGIN)
    return "".join([head, BEGIN, "\n".join(sections(results)), END, rest.partition(END)[2]])
