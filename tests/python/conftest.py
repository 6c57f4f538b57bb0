"""Whole runs of the project through dbtRunner, each in a temporary copy of it."""

import contextlib
import csv
import gc
import io
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch
from zlib import crc32

import duckdb
import pyarrow as pa
import pytest
import yaml
from databricks_harness import LEADING_COMMENTS, DatabricksHarness
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt_common.behavior_flags import BehaviorFlagRendered
from dbt_common.events.base_types import EventMsg
from dbt_common.tests import enable_test_caching
from hypothesis import settings
from mapping import PRODUCTS
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]
INCIDENT = ("--vars", "as_of_date: 2025-11-21")
CENSUS_RELATIONS = (
    "product_property_feature_sync",
    "product_property_feature_recent",
    "product_property_feature_backfill",
    "product_property_create",
)
GUARD_TEST = "assert_guard_is_open"
PROOF = "assert_nothing_differs_else_see_feature_mismatches"
FLAGS_AND_SOURCES = {product.flag: product.feature_columns[0] for product in PRODUCTS}
# What a log may not show, as patterns. Every property of the seeds has such a sync key.
PROPERTIES = r"prop_\d{4,}"
EMAIL = r"\w@(?!example\.com)[\w-]+\.[a-z]{2,}"

# The examples are those of all configurations together. `make test` always tries the same ones.
settings.register_profile("repeatable", max_examples=240, derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=5000, deadline=None, print_blob=True)
settings.load_profile("repeatable")
# What dbt parses is many small objects that live long: Python would look through them all the time.
gc.set_threshold(100_000, 50, 100)


class Scheduling(LoadScopeScheduling):
    """Gives each file to one process, and the tests on Databricks, which share tables, to one.

    The guard's tests, which are long and share nothing, come last and one by one, so that all
    processes end together.
    """

    def _split_scope(self, nodeid: str) -> str:
        if "databricks" in nodeid:
            return "databricks"
        return nodeid if "test_guard.py" in nodeid else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """Replace loadfile, as pytest-xdist's own loadgroup finds no group with pytest 9.2."""
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_unconfigure() -> None:
    """Take Hypothesis's callback away: with it DuckDB's binding reports leaks when Python ends."""
    gc.callbacks.clear()


# dbt's options unless a test gives others. Unit tests know nothing of a warehouse's rows, so they
# run once on each engine; the JSON files take longer to write than a command on small tables.
OPTIONS = {"DBT_WRITE_JSON": "false"}
WITHOUT_UNIT_TESTS = {"DBT_EXCLUDE_RESOURCE_TYPES": "unit_test"}
# dbt parses its own macros once, and not again for all other vars.
enable_test_caching()
# dbt looks through the stack for the name of every adapter's behavior flag at every command.
BehaviorFlagRendered._default_source = staticmethod(lambda: "the adapter")


PARSED: list[Path] = []  # the folder of the session


@pytest.fixture(scope="session", autouse=True)
def parsed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what dbt parses where the tests of all processes find it."""
    folder = tmp_path_factory.getbasetemp()
    PARSED.append(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


@contextlib.contextmanager
def parsed_before(project: Path, workdir: Path, arguments: tuple[str, ...]) -> Iterator[None]:
    """Let dbt start from what it parsed with the same settings, vars and target in any copy.

    dbt itself finds what is different in this copy, and parses that again.
    """
    settings = [(project / "dbt_project.yml").read_text(), (workdir / "profiles.yml").read_text()]
    given = [value for name, value in pairwise(arguments) if name in ("--vars", "--target")]
    kept = PARSED[0] / f"parsed_{crc32(repr([settings, given]).encode())}.msgpack"
    latest = workdir / "target" / "partial_parse.msgpack"
    if kept.exists():
        latest.parent.mkdir(exist_ok=True)
        shutil.copy(kept, latest)
    yield
    if latest.exists():
        ours = shutil.copy(latest, kept.with_suffix(f".{os.getpid()}"))
        ours.replace(kept)  # in one step, because another process may be reading it


@pytest.fixture(autouse=True)
def new_connection() -> None:
    """Let dbt-duckdb open a new connection: it reuses one while paths look the same, as ours do."""
    DuckDBConnectionManager.close_all_connections()


@dataclass
class Project:
    """A copy of the project in a folder of its own, with a DuckDB warehouse of its own."""

    path: Path
    messages: list[str] = field(default_factory=list)

    def dbt(self, *arguments: str, unit_tests: bool = False) -> dbtRunnerResult:
        """Run one dbt command in the copy; what it printed is in `messages` afterwards."""
        self.messages.clear()
        DuckDBConnectionManager.close_all_connections()

        def keep(event: EventMsg) -> None:
            if event.info.level != "debug":
                self.messages.append(event.info.msg)

        runner = dbtRunner(callbacks=[keep])
        options = OPTIONS | ({} if unit_tests else WITHOUT_UNIT_TESTS)
        with (
            contextlib.chdir(self.path),
            patch.dict(os.environ, options),
            parsed_before(self.path, self.path, arguments),
        ):
            return runner.invoke([*arguments])

    def query(self, sql: str, **tables: pa.Table) -> list[tuple[Any, ...]]:
        """Run SQL on the warehouse and on Arrow tables that it calls by name, and return the rows.

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
        """What the last dbt command printed, as one text."""
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
        """Run one dbt command; `statements` and `output` are its own afterwards."""
        self.statements.clear()
        printed = io.StringIO()
        options = OPTIONS | ({} if unit_tests else WITHOUT_UNIT_TESTS)
        with (
            contextlib.redirect_stdout(printed),
            patch.dict(os.environ, options),
            parsed_before(self.project, self.workdir, arguments),
        ):
            result = super().dbt(*arguments, project_dir=self.project)
        self.output = printed.getvalue()
        return result

    query = DatabricksHarness.sql

    def sent(self, pattern: str) -> list[str]:
        """Return the statements of the last command that begin with a pattern.

        Without the comment that dbt puts before them, white space folded, case ignored.
        """
        folded = (" ".join(LEADING_COMMENTS.sub("", sql).split()) for sql in self.statements)
        return [sql for sql in folded if re.match(pattern, sql, re.I)]


Engine = Project | Databricks


def run_program(program: ModuleType, engine: Engine, *arguments: str) -> int:
    """Run one of the scripts for a built project and return its exit code."""
    databricks = isinstance(engine, Databricks)
    place, folder = (engine.project, engine.workdir) if databricks else (engine.path, engine.path)
    given = arguments if "--vars" in arguments else (*arguments, *INCIDENT)
    with (
        engine.connected() if databricks else contextlib.nullcontext(),
        parsed_before(place, folder, given),
    ):
        return program.main(["--project-dir", str(place), *given])


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
    """Names of the nodes that did not succeed, with the number of failing rows."""
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


def copy_of(source: Path, target: Path) -> Project:
    """Copy a project folder without what git, Python and the tools keep beside it."""
    ignored = shutil.ignore_patterns(".git", ".venv", "logs", "__pycache__", ".*_cache", "python")
    shutil.copytree(source, target, ignore=ignored)
    shutil.copy(ROOT / "profiles.yml.example", target / "profiles.yml")
    return Project(target)


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project as a fresh clone has it after set-up: no table exists yet."""
    project = copy_of(ROOT, tmp_path_factory.mktemp("empty") / "project")
    for folder in ("target", "warehouse"):
        shutil.rmtree(project.path / folder, ignore_errors=True)
    (project.path / "warehouse").mkdir()
    return project


@pytest.fixture(scope="session")
def macros(empty_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project without models, which dbt parses in a fraction of the time."""
    project = copy_of(empty_project.path, tmp_path_factory.mktemp("macros") / "project")
    for folder in ("analyses", "models", "seeds", "tests"):
        shutil.rmtree(project.path / folder)
    settings = project.path / "dbt_project.yml"
    settings.write_text(settings.read_text().replace('  - "{{ report_run(results) }}"\n', ""))
    return project


@pytest.fixture(scope="session")
def incident(empty_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the incident, seeded and built. Tests that change it take `loop` instead."""
    project = copy_of(empty_project.path, tmp_path_factory.mktemp("incident") / "project")
    assert project.dbt("seed", *INCIDENT).success, project.output
    assert project.dbt("build", *INCIDENT).success, project.output
    return project


@pytest.fixture
def loop(incident: Project, tmp_path: Path) -> Iterator[Project]:
    """Yield a copy of the built incident that the test may change."""
    yield copy_of(incident.path, tmp_path / "project")


SOURCE_TABLES = {
    "product_property_c": "hive_metastore.salesforce.product_property_c",
    "product_property_w_features": "crm.sfdc_dbx.product_property_w_features",
    "properties": "rds.pg_rds_public.properties",
}
# The DuckDB type of each column of each seed, in the order of the columns.
SEED_TYPES: dict[str, dict[str, str]] = {
    seed["name"]: seed["config"]["column_types"]
    for seed in yaml.safe_load((ROOT / "seeds" / "_seeds.yml").read_text())["seeds"]
}


def load_seed(databricks: Databricks, seed: str, table: str) -> None:
    """Create a table on Databricks from one of the seed files."""
    types = {c: kind.replace("varchar", "string") for c, kind in SEED_TYPES[seed].items()}
    databricks.load_csv(table, ROOT / "seeds" / f"{seed}.csv", types)


@pytest.fixture(scope="session")
def databricks(
    empty_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databricks]:
    """Yield the incident on Databricks, loaded and built, the Salesforce table not yet moved.

    One for all tests, in the order in which they stand: each leaves it as it found it, or says so.
    """
    with Databricks(empty_project.path, tmp_path_factory.mktemp("databricks")) as databricks:
        for seed, table in SOURCE_TABLES.items():
            load_seed(databricks, seed, table)
        result = databricks.dbt("build", *INCIDENT, unit_tests=True)
        assert result.success, databricks.output
        yield databricks


@pytest.fixture(params=["duckdb", "databricks"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return the built incident on either engine."""
    return request.getfixturevalue("loop" if request.param == "duckdb" else "databricks")
