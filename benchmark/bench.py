"""Measure one read and one hour of the project beside the naive query: `make bench`.

    python benchmark/bench.py [--project PATH] [--sizes incident 1M 10M] [--rounds 3] [--page PATH]

Copies a checkout of the project, this one or another, and builds it on generated source tables. The
naive query and the sync view are then read in turn, each time in a new process with DuckDB's own
number of threads, into a temporary table: that costs both the same. Last comes dbt's part of the
hourly job. The results go to the terminal, or between the two marks of a Markdown page.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "scripts"), str(ROOT / "tests" / "python" / "support")]

from mapping import PRODUCTS  # noqa: E402

SIZES = {"incident": 17_102, "1M": 1_000_000, "10M": 10_000_000}
SALESFORCE = "hive_metastore.salesforce.product_property_c"
FEATURES = "crm.sfdc_dbx.product_property_w_features"
PROPERTIES = "rds.pg_rds_public.properties"
CATALOGS = ("hive_metastore", "crm", "rds")
SYNC = "select * from crm.sfdc_dbx.product_property_feature_sync"
INCIDENT = ("--vars", "as_of_date: 2025-11-21")
MOVED = ("--vars", "{as_of_date: 2025-11-21, salesforce_catalog: crm}")
BUILD = ("build", "--exclude-resource-type", "unit_test")
VERIFY = ("test", "--selector", "after_sync")
SEEDED = 17_102  # Salesforce records of the seeds
ID_STEP = 10_000_000  # more than any property id of the seeds
BEGIN, END = "<!-- measured -->\n", "<!-- end -->"
STARTED = time.monotonic()


class Read(NamedTuple):
    """One read: seconds, the highest memory of the process in MiB, rows."""

    seconds: float
    peak_mib: float
    rows: int


class Case(NamedTuple):
    """The measurements on one set of source tables."""

    records: int
    is_messy: bool
    naive: list[Read]
    sync: list[Read]
    hour_seconds: float  # build and proof
    hour_cpu: float  # CPU seconds


def say(text: str) -> None:
    """Print a line with the minutes since the start."""
    print(f"{(time.monotonic() - STARTED) / 60:5.1f} min  {text}", file=sys.stderr, flush=True)


def in_a_process(function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
    """Call a function in a new process and return its result."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


# --- Source tables ----------------------------------------------------------------------------


def write_sources(seeds: Path, warehouse: Path, records: int, is_messy: bool) -> None:
    """Write the source tables of a warehouse: the seeded ones, copied as often as it takes.

    Each copy has its own ids, so the tables have the incident's shares of everything, and are the
    same in every run. In messy tables one Salesforce record in 1,000 has a blank sync key, another
    record's sync key or a blank property id, one in 1,000 has an empty flag, and one property in
    1,000 has a second, outdated feature row.
    """
    warehouse.mkdir(exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        for catalog in CATALOGS:
            connection.execute(f"attach '{seeds / catalog}.duckdb' as seeded_{catalog} (read_only)")
            connection.execute(f"attach '{warehouse / catalog}.duckdb' as {catalog}")
        for name, select in source_tables(records, is_messy).items():
            connection.execute(f"create schema if not exists {name.rpartition('.')[0]}")
            connection.execute(f"create or replace table {name} as {select}")


def source_tables(records: int, is_messy: bool) -> dict[str, str]:
    """Return a query for each source table."""
    copies = f"range({-(-records // SEEDED)}) as copies(copy)"
    key, property_id, flag = "'prop_' || new_id", "new_id::varchar", PRODUCTS[-1].flag
    empty, outdated = "false", "false"
    if is_messy:
        next_key = "'prop_' || lead(new_id) over (order by number)"
        key = f"case number % 3000 when 1000 then '' when 2000 then {next_key} else {key} end"
        property_id = f"if(number % 3000 = 0, null, {property_id})"
        empty, outdated = "number % 1000 = 500", "hash(property_id) % 1000 = 0"
    new_id = f"property_id::bigint + copy * {ID_STEP}"
    never = ", ".join(f"null as {product.feature_columns[2]}" for product in PRODUCTS)
    return {
        SALESFORCE: f"""
            with copied as (
                select
                    *,
                    snappt_property_id_c::bigint + copy * {ID_STEP} as new_id,
                    row_number() over (order by copy, id) as number
                from seeded_{SALESFORCE}, {copies}
                qualify number <= {records}
            )
            select * exclude (copy, new_id, number) replace (
                id || '-' || copy as id,
                {property_id} as snappt_property_id_c,
                {key} as reverse_etl_id_c,
                if({empty}, null, {flag}) as {flag}
            )
            from copied
            order by hash(number)
        """,
        FEATURES: f"""
            select * exclude (copy) replace (({new_id})::varchar as property_id)
            from seeded_{FEATURES}, {copies}
            union all by name
            select * exclude (copy) replace (({new_id}) || ' ' as property_id, {never})
            from seeded_{FEATURES}, {copies}
            where {outdated}
            order by hash(property_id)
        """,
        PROPERTIES: f"""
            select * exclude (copy) replace (id + copy * {ID_STEP} as id)
            from seeded_{PROPERTIES}, {copies}
            order by hash(id)
        """,
    }


# --- One read ---------------------------------------------------------------------------------


def naive_query() -> str:
    """Return the query that one would write first: one join and `!=`."""
    columns = ["records.snappt_property_id_c", "records.reverse_etl_id_c"]
    differs = []
    for product in PRODUCTS:
        enabled, *dates = product.feature_columns
        columns.append(f"coalesce(features.{enabled}, false) as {product.flag}")
        columns += [
            f"cast(features.{date} as date) as {column}"
            for date, column in zip(dates, product.salesforce_columns[1:], strict=True)
        ]
        differs.append(f"records.{product.flag} != coalesce(features.{enabled}, false)")
    return (
        f"select {', '.join(columns)} from {SALESFORCE} as records left join {FEATURES} as features"
        f" on records.snappt_property_id_c = features.property_id where {' or '.join(differs)}"
    )


def connect(warehouse: Path) -> duckdb.DuckDBPyConnection:
    """Return a new connection with the catalogs attached."""
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    for catalog in CATALOGS:
        connection.execute(f"attach '{warehouse / catalog}.duckdb' as {catalog} (read_only)")
    return connection


def read(warehouse: Path, query: str) -> Read:
    """Read a query in full in this process."""
    connection = connect(warehouse)
    start = time.perf_counter()
    rows = connection.execute(f"create temp table result as {query}").fetchall()[0][0]
    seconds = time.perf_counter() - start
    # ru_maxrss would begin with the memory of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return Read(seconds, int(peak) / 1024, rows)


# --- One hour ---------------------------------------------------------------------------------


def dbt(project: Path, *command: str, code: int = 0) -> tuple[float, float]:
    """Run dbt as a person would; return seconds and CPU seconds, or raise RuntimeError."""
    start, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
    program = Path(sys.executable).with_name("dbt")
    done = subprocess.run([program, *command], cwd=project, capture_output=True, text=True)
    after = getrusage(RUSAGE_CHILDREN)
    if done.returncode != code:
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-2000:])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


def copy_project(source: Path, target: Path) -> None:
    """Copy a checkout without what git, Python and dbt keep beside it."""
    left_out = (".git", ".venv", ".*_cache", "python", "target", "logs", "warehouse", "output")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*left_out))
    shutil.copy(target / "profiles.yml.example", target / "profiles.yml")
    (target / "warehouse").mkdir()


def measure(project: Path, seeds: Path, records: int, is_messy: bool, rounds: int) -> Case:
    """Measure reads and the hourly job on source tables of a size.

    Nothing is synced before the proof, so it fails; it compares everything either way.
    """
    warehouse = project / "warehouse"
    shutil.rmtree(warehouse)
    write_sources(seeds, warehouse, records, is_messy)
    dbt(project, "run", *INCIDENT)  # an hour's build finds the relations of the build before it
    naive, sync = [], []
    for _ in range(rounds):
        naive.append(in_a_process(read, warehouse, naive_query()))
        sync.append(in_a_process(read, warehouse, SYNC))
    if not is_messy and naive[0].rows != sync[0].rows:
        raise RuntimeError(f"clean tables, but {naive[0].rows} and {sync[0].rows} rows differ")
    build, verify = dbt(project, *BUILD, *INCIDENT), dbt(project, *VERIFY, *INCIDENT, code=1)
    return Case(records, is_messy, naive, sync, build[0] + verify[0], build[1] + verify[1])


def statements(project: Path, seeds: Path) -> Counter[str]:
    """Return the statements of an hour on the Databricks harness of the tests, by kind.

    The Salesforce table has moved to Unity Catalog, so the comparison is a view there.
    """
    import pyarrow as pa
    from databricks_harness import LEADING_COMMENTS, DatabricksHarness

    connection, utc = connect(seeds), pa.timestamp("us", "UTC")
    with TemporaryDirectory() as folder, DatabricksHarness(Path(folder)) as harness:
        for name in (SALESFORCE, FEATURES, PROPERTIES):
            table = connection.sql(f"from {name}").to_arrow_table()
            kinds = [utc if pa.types.is_timestamp(kind) else kind for kind in table.schema.types]
            table = table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))
            harness.load_arrow(name.replace("hive_metastore", "crm"), table)
        for _ in range(2):  # the first hour creates everything
            harness.statements.clear()
            for command in (("source", "freshness"), BUILD, VERIFY):
                harness.dbt(
                    "--quiet",
                    "--log-level",
                    "none",
                    "--no-print",
                    *command,
                    *MOVED,
                    project_dir=project,
                )
        kinds = (LEADING_COMMENTS.sub("", sql).split()[0].lower() for sql in harness.statements)
        return Counter(kinds)


# --- The page ---------------------------------------------------------------------------------


def results(cases: list[Case], sent: Counter[str], rounds: int) -> str:
    """Return the results in Markdown: the medians, and the statements of an hour."""
    model = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    )
    packages = ("duckdb", "dbt-core", "dbt-duckdb", "dbt-databricks", "pysail")
    lines = [
        f"Measured on {datetime.now(UTC).date()} on {os.cpu_count()} cores of {model}, with "
        + ", ".join(f"{package} {version(package)}" for package in packages)
        + f". Reads are medians of {rounds}; the hour ran once.",
        "",
        "| records | naive read, s | sync view, s | of naive | memory, of naive | hour, CPU s "
        "| hour, s | hour, of a naive read |",
        "| --- |" + " ---: |" * 7,
    ]
    for case in cases:
        naive, sync = (median(one.seconds for one in reads) for reads in (case.naive, case.sync))
        memory = [median(one.peak_mib for one in reads) for reads in (case.naive, case.sync)]
        lines.append(
            f"| {case.records:,}, {'messy' if case.is_messy else 'clean'} | {naive:.3f} "
            f"| {sync:.3f} | {sync / naive:.2f} | {memory[1] / memory[0]:.2f} "
            f"| {case.hour_cpu:.1f} | {case.hour_seconds:.1f} | {case.hour_seconds / naive:.0f} |"
        )
    kinds = ", ".join(f"{count} {kind}" for kind, count in sent.most_common())
    lines += ["", f"On the harness an hour sends {sent.total()} statements: {kinds}."]
    return "\n".join(lines) + "\n"


def insert(text: str, page: str) -> str:
    """Return a page with the text between its marks in place of the old text."""
    head, _, rest = page.partition(BEGIN)
    return head + BEGIN + text + END + rest.partition(END)[2]


def main() -> None:
    """Measure, and print or write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--project", type=Path, default=ROOT, help="the checkout to measure")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=[*SIZES])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", type=Path, help="put the results between its two marks")
    arguments = parser.parse_args()
    cases = []
    with TemporaryDirectory(prefix="benchmark-") as folder:
        project, seeds = Path(folder, "project"), Path(folder, "seeds")
        copy_project(arguments.project, project)
        dbt(project, "seed", *INCIDENT)
        shutil.copytree(project / "warehouse", seeds)
        say("statements of an hour")
        sent = in_a_process(statements, project, seeds)
        for size in arguments.sizes:
            for is_messy in (False, True):
                say(f"{size}, {'messy' if is_messy else 'clean'}")
                cases.append(measure(project, seeds, SIZES[size], is_messy, arguments.rounds))
    text = results(cases, sent, arguments.rounds)
    if arguments.page:
        page = arguments.page.read_text(encoding="utf-8")
        arguments.page.write_text(insert(text, page), encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
