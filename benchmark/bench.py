"""Measure the project beside what it could be compared with: `make bench`.

    python benchmark/bench.py [--sizes incident 1M 10M] [--rounds 5] [--output docs/benchmark.md]

Builds the project, as it is, on generated source tables, and then runs the contestants in turn,
round by round, so that a machine that slows down slows all of them down. Each query runs in a new
process with DuckDB's own number of threads, and its result becomes a temporary table: that is read
in full by all threads, and costs the same for the same rows whoever made them. The report goes to
the output; a quick look is `--sizes incident --rounds 2 --output /dev/null`.
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
from tempfile import TemporaryDirectory

import yaml
from bench_report import BUILDS, Case, Results, Sample, Size, page
from measure import connect
from sources import DAY, FEATURES, PRODUCTS, ROOT, SALESFORCE

SIZES = (
    Size("incident", 17_102, 22_784),
    Size("1M", 1_000_000, 1_300_000),
    Size("10M", 10_000_000, 13_000_000),
)
SHARES = (0.1646, 0.01)  # the incident's 2,815 of 17,102, and a day like any other
PARTS = "analyses dbt_packages dbt_project.yml macros models packages.yml seeds selectors.yml tests"
TOOLS = ("pandas", "polars", "datacompy", "reladiff", "sqlmesh")
PEERS_PYTHON = ROOT / "benchmark" / ".venv" / "bin" / "python"
DBT = Path(sys.executable).with_name("dbt")
STARTED = time.monotonic()


def say(text: str) -> None:
    """Print a line with the minutes since the start."""
    print(f"{(time.monotonic() - STARTED) / 60:5.1f} min  {text}", flush=True)


def run(*command: str | Path, query: str = "", folder: Path = ROOT) -> str:
    """Return what a command prints; RuntimeError with the end of its errors when it fails."""
    environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    done = subprocess.run(
        command, input=query, cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or done.stdout.strip())[-2000:])
    return done.stdout


def measured(*command: str | Path, query: str = "") -> Sample:
    """Run a Python script that prints a sample as the last line."""
    return Sample(**json.loads(run(*command, query=query).splitlines()[-1]))


# --- Queries ----------------------------------------------------------------------------------


def naive_query() -> str:
    """Return the query that one would write first: one join and `!=`."""
    columns = ["records.snappt_property_id_c", "records.reverse_etl_id_c"]
    for product, flag, dates, _ in PRODUCTS:
        columns += [
            f"coalesce(features.{product}_enabled, false) as {flag}",
            f"features.{product}_enabled_at as {dates}_start_date_c",
            f"features.{product}_updated_at as {dates}_updated_date_c",
        ]
    differs = " or ".join(
        f"records.{flag} != coalesce(features.{product}_enabled, false)"
        for product, flag, _, _ in PRODUCTS
    )
    return (
        f"select {', '.join(columns)} from {SALESFORCE} as records left join {FEATURES} as features"
        f" on records.snappt_property_id_c = features.property_id where {differs}"
    )


def floor_queries() -> dict[str, str]:
    """Return what no comparison can do without: reading the columns, and joining the keys."""
    keys, flags = "snappt_property_id_c reverse_etl_id_c".split(), [p[1] for p in PRODUCTS]
    truth = [
        f"{p[0]}_{column}" for p in PRODUCTS for column in ("enabled", "enabled_at", "updated_at")
    ]
    read = " + ".join(f"count({column})" for column in keys + flags)
    read_truth = " + ".join(f"count({column})" for column in ["property_id", *truth])
    return {
        "scan": f"select {read} + (select {read_truth} from {FEATURES}) from {SALESFORCE}",
        "join": f"select count(*) from {SALESFORCE} inner join {FEATURES}"
        " on snappt_property_id_c = property_id",
    }


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
        queries |= floor_queries()
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


def check_clean(case: Case, expected: int, results: Results) -> None:
    """Raise RuntimeError unless both queries find exactly the mismatches that were generated."""
    found = {n: results.queries[case][n][0].value for n in ("naive", "sync", "sync count")}
    if not case.is_messy and set(found.values()) != {expected}:
        raise RuntimeError(f"{case}: {expected} properties are mismatched, found {found}")


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


def build(project: Path, *arguments: str) -> Sample:
    """Run `dbt build` as a person would, and take the time."""
    start = time.perf_counter()
    run(DBT, "build", *arguments, folder=project)
    return Sample(time.perf_counter() - start)


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


# --- Other tools ------------------------------------------------------------------------------


def measure_tools(clean: Path, rounds: int, results: Results) -> None:
    """Let each tool, the naive query and the sync view find the keys of the clean tables."""
    ids = "select snappt_property_id_c from"
    queries = {
        "sync": f"{ids} crm.sfdc_dbx.product_property_feature_sync",
        "naive": f"{ids} ({naive_query()})",
    }
    scripts, keys = ROOT / "benchmark", clean / "keys.txt"
    for number in range(rounds):
        for name, query in queries.items():
            sample = measured(sys.executable, scripts / "measure.py", clean, query=query)
            results.tools.setdefault(name, []).append(sample)
        for tool in TOOLS:
            sample = measured(PEERS_PYTHON, scripts / "peers.py", tool, clean, keys)
            results.tools.setdefault(tool, []).append(sample)
        say(f"  round {number + 1} of {rounds}")


def compare_keys(messy: Path, results: Results) -> None:
    """Count the ids of the messy tables that each tool reports in error, or does not report."""
    keys = messy / "keys.txt"
    naive = f"copy (select snappt_property_id_c from ({naive_query()})) to '{keys}' (header false)"
    connect(messy).execute(naive)
    results.errors["naive"] = wrong_and_missing(messy, keys)
    for tool in TOOLS:
        try:
            measured(PEERS_PYTHON, ROOT / "benchmark" / "peers.py", tool, messy, keys)
        except RuntimeError as error:
            results.errors[tool] = str(error).splitlines()[-1]
        else:
            results.errors[tool] = wrong_and_missing(messy, keys)


def wrong_and_missing(warehouse: Path, keys: Path) -> tuple[int, int]:
    """Count ids that are reported in error or twice, and ids of the sync view that are missing."""
    reported = keys.read_text(encoding="utf-8").splitlines()
    sync = "select snappt_property_id_c from crm.sfdc_dbx.product_property_feature_sync"
    offered = {row[0] for row in connect(warehouse).execute(sync).fetchall()}
    return len(reported) - len(offered & {*reported}), len(offered - {*reported})


def measure_databricks(project: Path, warehouse: Path, rounds: int, results: Results) -> None:
    """Run the sync view and the naive query on the harness of the tests."""
    script = ROOT / "benchmark" / "on_databricks.py"
    printed = run(sys.executable, script, warehouse, project, str(rounds), query=naive_query())
    taken = json.loads(printed.splitlines()[-1])
    results.databricks = {name: [Sample(s) for s in seconds] for name, seconds in taken.items()}


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
            clean, messy = warehouses.values()
            measure_queries(warehouses, rounds, results)
            for case in warehouses:
                check_clean(case, case.sources.mismatched, results)
            if share != SHARES[0]:
                continue
            if size.name == "incident":
                say("dbt build beside a project that does nothing")
                measure_builds(project, clean, rounds, results)
            if size.name == "1M":
                say("other tools")
                measure_tools(clean, rounds, results)
                compare_keys(messy, results)
                say("Databricks adapter on Sail")
                measure_databricks(project, clean, rounds, results)


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [size.name for size in SIZES]
    parser.add_argument("--sizes", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmark.md")
    arguments = parser.parse_args()
    results = Results(rounds=arguments.rounds)
    with TemporaryDirectory(prefix="benchmark-") as folder:
        project = Path(folder, "project")
        copy_project(project)
        for size in SIZES:
            if size.name in arguments.sizes:
                measure_size(size, project, arguments.rounds, results)
                arguments.output.write_text(page(results), encoding="utf-8")
                say(f"written to {arguments.output}")
    print(page(results))


if __name__ == "__main__":
    main()
