"""The project on each engine: dbt commands in this process, and queries on what they built."""

import contextlib
import csv
import io
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import duckdb
import pyarrow as pa
from databricks_harness import LEADING_COMMENTS, DatabricksHarness
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt_common.events.base_types import EventMsg

ROOT = Path(__file__).parents[3]
INCIDENT = ("--vars", "as_of_date: 2025-11-21")
CENSUS_RELATIONS = (
    "product_property_feature_sync",
    "product_property_feature_recent",
    "product_property_feature_backfill",
    "product_property_create",
)
GUARD_TEST = "assert_guard_is_open"
PROOF = "assert_nothing_differs_else_see_feature_mismatches"
# Patterns that no log may contain. Every property of the seeds has such a sync key.
PROPERTIES = r"prop_\d{4,}"
EMAIL = r"\w@(?!example\.com)[\w-]+\.[a-z]{2,}"


def in_a_thread(function: Callable[..., Any], *args: object, **kwargs: object) -> Any:  # noqa: ANN401
    """Call a function that runs dbt in a thread, because there the stack is short.

    dbt inspects the stack for each of its flags. Below pytest and xdist, whose frames Python cannot
    find in a file, that takes longer than the rest of most commands.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args, **kwargs).result()


def options(unit_tests: bool) -> dict[str, str]:
    """Return dbt's options as environment variables.

    Unit tests know nothing of a warehouse's rows, so they run once on each engine. The JSON files
    take longer to write than a command takes on small tables.
    """
    without = {} if unit_tests else {"DBT_EXCLUDE_RESOURCE_TYPES": "unit_test"}
    return {"DBT_WRITE_JSON": "false", **without}


@dataclass
class Project:
    """A copy of the project in its own folder, with its own DuckDB warehouse."""

    path: Path
    messages: list[str] = field(default_factory=list)

    def dbt(self, *arguments: str, unit_tests: bool = False) -> dbtRunnerResult:
        """Run one dbt command in the copy; `messages` holds what it printed."""
        self.messages.clear()
        # dbt-duckdb reuses an open connection while the paths look the same, as ours do.
        DuckDBConnectionManager.close_all_connections()

        def keep(event: EventMsg) -> None:
            if event.info.level != "debug":
                self.messages.append(event.info.msg)

        with contextlib.chdir(self.path), patch.dict(os.environ, options(unit_tests)):
            return in_a_thread(dbtRunner(callbacks=[keep]).invoke, [*arguments])

    def query(self, sql: str, **tables: pa.Table) -> list[tuple[Any, ...]]:
        """Run SQL on the warehouse, and on Arrow tables by name, and return the rows.

        All three catalogs are attached.
        """
        warehouse = self.path / "warehouse"
        with duckdb.connect(str(warehouse / "crm.duckdb")) as connection:
            connection.execute("set TimeZone = 'UTC'")
            for catalog in ("hive_metastore", "rds"):
                file = warehouse / f"{catalog}.duckdb"
                connection.execute(f"attach if not exists '{file}' as {catalog}")
            for name, table in tables.items():
                connection.register(name, table)
            return connection.execute(sql).fetchall()

    def count(self, relation: str, where: str = "true") -> int:
        """Count the rows of a relation."""
        return self.query(f"select count(*) from {relation} where {where}")[0][0]

    @property
    def output(self) -> str:
        """The output of the last dbt command, as one text."""
        return "\n".join(self.messages)


class Databricks(DatabricksHarness):
    """The project on the Databricks adapter, used as a Project is."""

    def __init__(self, project: Path, workdir: Path) -> None:
        """Take the project's folder and a folder for everything that dbt writes."""
        targets = {
            "prod": ("crm", "sfdc_dbx"),
            "dev": ("crm", "dbt_dev"),
            "careless": ("crm", "SFDC_DBX"),
        }
        super().__init__(workdir, targets=targets)
        self.project = project
        self.output = ""

    def dbt(self, *arguments: str, unit_tests: bool = False) -> dbtRunnerResult:
        """Run one dbt command; `statements` and `output` are those of this command."""
        self.statements.clear()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), patch.dict(os.environ, options(unit_tests)):
            result = in_a_thread(super().dbt, *arguments, project_dir=self.project)
        self.output = printed.getvalue()
        return result

    query = DatabricksHarness.sql

    def sent(self, pattern: str) -> list[str]:
        """Return the statements of the last command that begin with a pattern, ignoring case.

        dbt's leading comment is removed and white space is folded.
        """
        folded = (" ".join(LEADING_COMMENTS.sub("", sql).split()) for sql in self.statements)
        return [sql for sql in folded if re.match(pattern, sql, re.I)]


Engine = Project | Databricks


def copy_of(source: Path, target: Path) -> Project:
    """Copy a project folder without what git, Python and the tools keep beside it."""
    ignored = shutil.ignore_patterns(".git", ".venv", "logs", "__pycache__", ".*_cache", "python")
    shutil.copytree(source, target, ignore=ignored)
    shutil.copy(ROOT / "profiles.yml.example", target / "profiles.yml")
    return Project(target)


def run_program(program: ModuleType, engine: Engine, *arguments: str) -> int:
    """Run one of the scripts for a built project and return its exit code."""
    DuckDBConnectionManager.close_all_connections()
    databricks = isinstance(engine, Databricks)
    given = arguments if "--vars" in arguments else (*arguments, *INCIDENT)
    with engine.connected() if databricks else contextlib.nullcontext():
        place = engine.project if databricks else engine.path
        return in_a_thread(program.main, ["--project-dir", str(place), *given])


def create_table(engine: Engine, name: str, select: str) -> None:
    """Create or replace a table, and its schema, from a query."""
    using = "using delta" if isinstance(engine, Databricks) else ""
    engine.query(f"create schema if not exists {name.rpartition('.')[0]}")
    engine.query(f"create or replace table {name} {using} as {select}")


def simulate_sync(project: Project, arguments: str, *more: str) -> bool:
    """Run the simulated sync with its arguments as YAML."""
    run = ("run-operation", "simulate_census_sync", "--args", arguments)
    return project.dbt(*run, *(more or INCIDENT)).success


def offered(engine: Engine) -> dict[str, int]:
    """Count the rows that each Census relation offers now."""
    return {
        relation: engine.query(f"select count(*) from crm.sfdc_dbx.{relation}")[0][0]
        for relation in CENSUS_RELATIONS
    }


def failures(result: dbtRunnerResult) -> dict[str, int | None]:
    """Return the nodes that did not succeed, with the number of failing rows."""
    bad = ("fail", "error", "warn", "runtime error")
    return {run.node.name: run.failures for run in result.result if run.status in bad}


def written(folder: Path, *patterns: str) -> list[str]:
    """Find patterns, and names of seeded properties, in what dbt wrote to logs and target."""
    with (ROOT / "seeds" / "properties.csv").open(encoding="utf-8", newline="") as file:
        names = {row["name"] for row in csv.DictReader(file)}
    # One in 20 is enough to see any listing.
    some = [re.escape(name) for name in sorted(names) if len(name) > 12][::20]
    # One by one: together they would be many times slower.
    sought = [re.compile(pattern.encode()) for pattern in [*patterns, "|".join(some)]]
    paths = [path for part in ("logs", "target") for path in (folder / part).rglob("*")]
    files = [path for path in paths if path.is_file()]
    assert len(files) > 10
    return [
        f"{path.relative_to(folder)}: {found.decode()}"
        for path in files
        for pattern in sought
        for found in set(pattern.findall(path.read_bytes()))
    ]
