"""Measure the project beside what it could be compared with: `make bench`.

    python benchmark/bench.py [--sizes incident 1M 10M] [--rounds 3] [--output docs/benchmark.md]

Builds the project on generated source tables, and then runs the contestants in turn, round by
round, so that a machine that slows down slows all of them down. Each query runs in a new process
with DuckDB's own number of threads, and its result becomes a temporary table: that is read in full
by all threads, and costs the same for the same rows. Last comes the hourly job. The report goes
into the page; for a quick look: `--sizes incident --rounds 2 --output /dev/stdout`.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

import yaml
from bench_report import BUILDS, Case, Results, Sample, Size, page
from mapping import PRODUCTS, ROOT
from sources import DAY, FEATURES, SALESFORCE

SIZES = (
    Size("incident", 17_102),
    Size("1M", 1_000_000),
    Size("10M", 10_000_000),
)
SHARES = (0.1646, 0.01)  # the incident's 2,815 of 17,102, and a day like any other
PARTS = "analyses dbt_packages dbt_project.yml macros models packages.yml seeds selectors.yml tests"
PAGE = ROOT / "docs" / "benchmark.md"
DBT = Path(sys.executable).with_name("dbt")
STARTED = time.monotonic()


def say(text: str) -> None:
    """Print a line with the minutes since the start."""
    print(f"{(time.monotonic() - STARTED) / 60:5.1f} min  {text}", flush=True)


def run(*command: str | Path, query: str = "", folder: Path = ROOT, code: int = 0) -> str:
    """Return what a command prints; RuntimeError with its last errors at any other exit code."""
    environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    done = subprocess.run(
        command, input=query, cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode != code:
        raise RuntimeError((done.stderr.strip() or done.stdout.strip())[-2000:])
    return done.stdout


def measured(*command: str | Path, query: str = "") -> Sample:
    """Run a Python script that prints a sample as the last line."""
    return Sample(**json.loads(run(*command, query=query).splitlines()[-1]))


# --- Queries ----------------------------------------------------------------------------------


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


def contestants(is_all: bool) -> dict[str, str]:
    """Return the queries by name: only the sync view and the naive one, or all."""
    relations = {
        "naive": naive_query(),
        "sync": "select * from crm.sfdc_dbx.product_property_feature_sync",
    }
    if is_all:
        for name in ("recent", "backfill"):
            relations[name] = f"select * from crm.sfdc_dbx.product_property_feature_{name}"
    queries = {
        name: f"create temp table result as {query}" for name, query in relations.items()
    } | {f"{name} count": f"select count(*) from ({query})" for name, query in relations.items()}
    if is_all:
        dates = "select * from crm.with_dates.product_property_feature_sync"
        queries["dates"] = f"create temp table result as {dates}"
    return queries


def measure_queries(cases: Mapping[Case, Path], rounds: int, results: Results) -> None:
    """Run all contestants on all cases in turn, as often as there are rounds."""
    for number in range(rounds):
        for case, warehouse in cases.items():
            for name, query in contestants(case[1:] == (SHARES[0], False)).items():
                script = ROOT / "benchmark" / "measure.py"
                sample = measured(sys.executable, script, warehouse, query=query)
                results.queries.setdefault(case, {}).setdefault(name, []).append(sample)
        say(f"  round {number + 1} of {rounds}")


def check_clean(case: Case, results: Results) -> None:
    """Raise RuntimeError unless both queries find the same number of mismatches in clean tables."""
    found = {n: results.queries[case][n][0].value for n in ("naive", "sync", "sync count")}
    if not case.is_messy and len({*found.values()}) > 1:
        raise RuntimeError(f"{case}: the queries do not agree: {found}")


# --- The project ------------------------------------------------------------------------------


def copy_project(folder: Path) -> None:
    """Copy what dbt reads, and give the profile a schema for the views that compare dates."""
    folder.mkdir()
    for name in PARTS.split():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("python"))
        else:
            shutil.copy(ROOT / name, folder)
    profiles = yaml.safe_load((ROOT / "profiles.yml.example").read_text(encoding="utf-8"))
    outputs = profiles["product_property_sync"]["outputs"]
    outputs["with_dates"] = copy.deepcopy(outputs["duckdb"]) | {"schema": "with_dates"}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")


def use_warehouse(project: Path, warehouse: Path) -> None:
    """Let a project find a warehouse where its profile says."""
    (project / "warehouse").unlink(missing_ok=True)
    (project / "warehouse").symlink_to(warehouse)


def build_views(project: Path, warehouse: Path) -> None:
    """Build the models, and the sync view once more with `compare_feature_dates`."""
    use_warehouse(project, warehouse)
    run(DBT, "run", "--vars", f"as_of_date: {DAY}", folder=project)
    sync = ("--select", "+product_property_feature_sync", "--target", "with_dates")
    dates = f"{{as_of_date: {DAY}, compare_feature_dates: true}}"
    run(DBT, "run", *sync, "--vars", dates, "--target-path", "target/dates", folder=project)


def count_nodes(project: Path) -> Counter[str]:
    """Count the nodes of the last build by kind."""
    target = project / "target"
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    kinds: Counter[str] = Counter()
    for name in (result["unique_id"] for result in results):
        kind = name.split(".")[0]
        if kind == "seed":  # a build keeps them as they are
            continue
        node = manifest["nodes"].get(name, {})
        if kind == "model":
            kind = node["config"]["materialized"]
        elif kind == "test":
            kind = "generic test" if node.get("test_metadata") else "singular test"
        kinds[kind] += 1
    return kinds


def write_no_op(project: Path, folder: Path) -> None:
    """Write a project with as many nodes of each kind as a built one, that all do nothing."""
    kinds = count_nodes(project)
    materialized = ("view", "table", "incremental")
    models = [f"{kind}_{n}" for kind in materialized for n in range(kinds[kind])]
    files = {
        f"models/{name}.sql": f"{{{{ config(materialized='{name.split('_')[0]}') }}}}\n"
        + ("select 1 as id" if name == "view_0" else "select id from {{ ref('view_0') }}")
        for name in models
    }
    for number in range(kinds["singular test"]):
        files[f"tests/test_{number}.sql"] = "select 1 as id where false"
    row = [{"id": 1}]
    properties = {
        "models": [
            {
                "name": "view_0",
                "columns": [
                    {
                        "name": "id",
                        "data_tests": [
                            {"not_null": {"name": f"not_null_{n}"}}
                            for n in range(kinds["generic test"])
                        ],
                    }
                ],
            }
        ],
        "unit_tests": [
            {
                "name": f"unit_test_{n}",
                "model": "view_1",
                "given": [{"input": "ref('view_0')", "rows": row}],
                "expect": {"rows": row},
            }
            for n in range(kinds["unit_test"])
        ],
        "exposures": [
            {"name": f"exposure_{n}", "type": "application", "owner": {"name": "nobody"}}
            for n in range(kinds["exposure"])
        ],
    }
    files["models/properties.yml"] = yaml.safe_dump(properties)
    settings = yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))
    kept = ("name", "version", "config-version", "profile", "flags")
    hooks = {"on-run-start": ["select 1"] * kinds["operation"]}
    files["dbt_project.yml"] = yaml.safe_dump({key: settings[key] for key in kept} | hooks)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for name in ("packages.yml", "profiles.yml"):
        shutil.copy(project / name, folder)
    shutil.copytree(project / "dbt_packages", folder / "dbt_packages")


def timed(*command: str | Path, folder: Path, code: int = 0) -> Sample:
    """Run a command as a person would; return the seconds and the CPU seconds that it took."""
    start, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
    run(*command, folder=folder, code=code)
    after = getrusage(RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(time.perf_counter() - start, cpu=cpu)


def build(project: Path, *arguments: str) -> Sample:
    """Run `dbt build`."""
    return timed(DBT, "build", *arguments, folder=project)


def measure_builds(project: Path, warehouse: Path, rounds: int, results: Results) -> None:
    """Build the project and the one that does nothing in turn, in each way."""
    use_warehouse(project, warehouse)
    variables = ("--vars", f"as_of_date: {DAY}")
    build(project, *variables)
    no_op = project.with_name("no_op")
    write_no_op(project, no_op)
    (no_op / "warehouse").mkdir()
    build(no_op)
    if count_nodes(no_op) != count_nodes(project):
        raise RuntimeError(f"{count_nodes(no_op)} in place of {count_nodes(project)}")
    for number in range(rounds):
        for name, folder, arguments in (("project", project, variables), ("no-op", no_op, ())):
            for way, (_, options) in BUILDS.items():
                sample = build(folder, *options, *arguments)
                results.builds.setdefault(f"{name} {way}", []).append(sample)
        say(f"  round {number + 1} of {rounds}")


# --- The job and the harness --------------------------------------------------------------------


def measure_job(project: Path, warehouse: Path, case: Case, results: Results) -> None:
    """Run dbt's part of the hourly job: the build and the proof.

    Nothing is synced in between, so the proof fails; it compares everything either way.
    """
    use_warehouse(project, warehouse)
    variables = ("--vars", f"as_of_date: {DAY}")
    for name, code, *command in (
        ("build", 0, "build", "--exclude-resource-type", "unit_test"),
        ("verify", 1, "test", "--selector", "after_sync"),
    ):
        sample = timed(DBT, *command, *variables, folder=project, code=code)
        results.job.setdefault(case, {}).setdefault(name, []).append(sample)


def measure_databricks(project: Path, warehouse: Path, rounds: int, results: Results) -> None:
    """Run the sync view and the naive query on the harness of the tests."""
    script = ROOT / "benchmark" / "on_databricks.py"
    printed = run(sys.executable, script, warehouse, project, str(rounds), query=naive_query())
    taken = json.loads(printed.splitlines()[-1])
    results.databricks = {name: [Sample(s) for s in taken[name]] for name in ("naive", "sync")}
    results.statements = taken["statements"]


# --- All of it --------------------------------------------------------------------------------


def write_warehouses(folder: Path, size: Size, share: float, project: Path) -> dict[Case, Path]:
    """Generate the clean and the messy tables of a size, and build the project on both."""
    warehouses = {}
    for is_messy in (False, True):
        case = Case(size, share, is_messy)
        warehouses[case] = folder / ("messy" if is_messy else "clean")
        say(f"{case}: generating and building")
        case.sources.write(warehouses[case])
        build_views(project, warehouses[case])
    return warehouses


def measure_size(size: Size, project: Path, rounds: int, results: Results) -> None:
    """Measure all that is measured at a size."""
    for share in SHARES:
        with TemporaryDirectory(dir=project.parent) as folder:
            warehouses = write_warehouses(Path(folder), size, share, project)
            clean = next(iter(warehouses.values()))
            measure_queries(warehouses, rounds, results)
            for case in warehouses:
                check_clean(case, results)
            if share != SHARES[0]:
                continue
            if size.name == "incident":
                say("dbt build beside a project that does nothing")
                measure_builds(project, clean, rounds, results)
            if size.name == "1M":
                say("Databricks adapter on Sail")
                measure_databricks(project, clean, rounds, results)
            say("the hourly job")
            for case, warehouse in warehouses.items():
                measure_job(project, warehouse, case, results)


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [size.name for size in SIZES]
    parser.add_argument("--sizes", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    results = Results(rounds=arguments.rounds)
    with TemporaryDirectory(prefix="benchmark-") as folder:
        project = Path(folder, "project")
        copy_project(project)
        for size in SIZES:
            if size.name in arguments.sizes:
                measure_size(size, project, arguments.rounds, results)
                before = PAGE.read_text(encoding="utf-8")
                arguments.output.write_text(page(results, before), encoding="utf-8")
                say(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
