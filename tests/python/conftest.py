"""Fixtures: the project in temporary folders, empty or with the incident built, on each engine."""

import os
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from engines import INCIDENT, ROOT, Databricks, Engine, Project, copy_of
from hypothesis import Phase, settings
from source_tables import SOURCE_TABLES, load_seed

# The examples are those of all configurations together. `make test` always tries the same ones.
settings.register_profile("repeatable", max_examples=240, derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=5000, deadline=None, print_blob=True)
settings.register_profile("mutants", settings.get_profile("repeatable"), phases=[Phase.generate])
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def new_connection() -> None:
    """Let dbt-duckdb open a new connection: it reuses one while paths look the same, as ours do."""
    DuckDBConnectionManager.close_all_connections()


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project as a fresh clone has it after set-up: no table exists yet."""
    project = copy_of(ROOT, tmp_path_factory.mktemp("empty") / "project")
    for folder in ("target", "warehouse"):
        rmtree(project.path / folder, ignore_errors=True)
    (project.path / "warehouse").mkdir()
    return project


@pytest.fixture(scope="session")
def incident(empty_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the incident, seeded and built. Tests that change it take `loop` instead."""
    built = os.environ.get("BUILT_INCIDENT")  # a mutant's own build
    source = Path(built or empty_project.path)
    project = copy_of(source, tmp_path_factory.mktemp("incident") / "project")
    if not built:
        assert project.dbt("seed", *INCIDENT).success, project.output
        assert project.dbt("build", *INCIDENT).success, project.output
    return project


@pytest.fixture
def loop(incident: Project, tmp_path: Path) -> Project:
    """Return a copy of the built incident that the test may change."""
    return copy_of(incident.path, tmp_path / "project")


@pytest.fixture(scope="session")
def databricks(
    empty_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databricks]:
    """Yield the incident on Databricks, loaded and built, the Salesforce table not yet moved.

    All tests of a process share it: each leaves it as it found it.
    """
    with Databricks(empty_project.path, tmp_path_factory.mktemp("databricks")) as databricks:
        for seed in SOURCE_TABLES:
            load_seed(databricks, seed)
        assert databricks.dbt("build", *INCIDENT).success, databricks.output
        yield databricks


@pytest.fixture(params=["duckdb", "databricks"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return the built incident on either engine."""
    return request.getfixturevalue("loop" if request.param == "duckdb" else "databricks")
