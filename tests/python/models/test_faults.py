"""Builds that are killed, meet each other, or find their files full, locked or broken."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from conftest import (
    CENSUS_RELATIONS,
    SOURCE_TABLES,
    Databricks,
    Engine,
    Project,
    copy_of,
    create_table,
)
from databricks.sql.exc import ServerOperationError
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from source_tables import SMALL, Row, feature, load_all, numbered, record

SALESFORCE = SOURCE_TABLES["product_property_c"]
TODAY = datetime(2025, 11, 21, 12)
pytestmark = pytest.mark.slow
VARS = ("--vars", f"{{{SMALL}}}")
MOVED = ("--vars", f"{{{SMALL}, salesforce_catalog: crm}}")
SYNC, RECENT, BACKFILL, CREATE = CENSUS_RELATIONS
Rows = dict[str, set[tuple]]


def records(*numbers: int) -> list[Row]:
    """Make records of today with every product off, numbered."""
    return [numbered(record(created=TODAY), number) for number in numbers]


def features(*numbers: int, iv: bool = False) -> list[Row]:
    """Make feature rows with Fraud Detection on, numbered."""
    return [numbered(feature(iv_enabled=iv), number) for number in numbers]


# Two states of the sources: between them a property comes, one goes, the others change.
WORLDS = {
    "old": (records(1, 2, 3), features(1, 2, 3)),
    "new": (records(2, 3, 4), features(2, 3, 4, iv=True)),
}


def offered(engine: Engine) -> Rows:
    """Return every row of each Census relation; a view that cannot be read has none."""
    rows = {}
    for relation in CENSUS_RELATIONS:
        try:
            rows[relation] = set(engine.query(f"select * from crm.sfdc_dbx.{relation}"))
        except ServerOperationError:
            assert relation != BACKFILL
            rows[relation] = set()
    return rows


@pytest.fixture(scope="module")
def databricks(
    empty_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databricks]:
    """Yield Databricks without any table."""
    with Databricks(empty_project.path, tmp_path_factory.mktemp("faults")) as databricks:
        yield databricks


def clean_run(databricks: Databricks, world: str, arguments: tuple[str, ...] = VARS) -> list[str]:
    """Load a world and run on it; return the statements that were sent."""
    load_all(databricks, *WORLDS[world])
    assert databricks.dbt("run", *arguments).success, databricks.output
    return databricks.sent("")


@pytest.fixture(scope="module")
def wanted(databricks: Databricks) -> dict[str, Rows]:
    """Return what Census is offered in either world."""
    rows = {}
    for world in WORLDS:
        clean_run(databricks, world)
        rows[world] = offered(databricks)
    assert all(rows["old"][relation] != rows["new"][relation] for relation in CENSUS_RELATIONS)
    return rows


def run_with_fault(
    databricks: Databricks, number: int, arguments: tuple[str, ...] = VARS, *, killed: bool = True
) -> bool:
    """Run with a statement that fails, and, when it is killed, with all after it."""
    databricks.fail_at, databricks.stays_down = number, killed
    try:
        return databricks.dbt("run", *arguments).success
    finally:
        databricks.fail_at, databricks.stays_down = None, False


def assert_whole(found: Rows, before: Rows, after: Rows) -> None:
    """No relation holds a mixture, and the two views over one comparison are of one age.

    A relation may be empty: while a table is replaced, or because the guard has no verdict.
    """
    for relation, rows in found.items():
        # Of new properties only the list is as old as the build: their features are read live.
        kept = slice(2) if relation == CREATE else slice(None)
        whole = [{row[kept] for row in world[relation]} for world in (before, after)]
        assert not rows or {row[kept] for row in rows} in whole, relation
    if found[SYNC] and found[RECENT]:
        assert (found[SYNC] == after[SYNC]) == (found[RECENT] == after[RECENT])


@pytest.mark.parametrize("killed", [False, True], ids=["fails", "killed"])
def test_every_statement_that_fails_or_is_the_last(
    databricks: Databricks, wanted: dict[str, Rows], killed: bool
) -> None:
    """With one statement failed dbt goes on with what does not depend on it."""
    worlds = ["old", "new"]
    sent = clean_run(databricks, "old")
    succeeded = []
    for number in range(1, len(sent) + 1):
        before, after = worlds
        load_all(databricks, *WORLDS[after])
        if run_with_fault(databricks, number, killed=killed):
            succeeded.append(number)
            assert offered(databricks) == wanted[after]
        assert_whole(offered(databricks), wanted[before], wanted[after])
        clean_run(databricks, after)
        assert offered(databricks) == wanted[after]
        worlds.reverse()
    # The adapter does without the runtime version, its first question.
    assert succeeded == ([] if killed else [1])


def test_a_move_to_unity_catalog_that_is_killed(
    databricks: Databricks, wanted: dict[str, Rows]
) -> None:
    """While the comparison becomes a view, Census may find its views unreadable, but not wrong."""
    moved_to = "crm.salesforce.product_property_c"
    clean_run(databricks, "old")
    create_table(databricks, moved_to, f"select * from {SALESFORCE}")
    assert databricks.dbt("run", *MOVED).success, databricks.output
    # Between two statements that change something nothing else can be found.
    changes = re.compile("create|drop|alter", re.I)
    numbers = [n for n, sql in enumerate(databricks.sent(""), 1) if changes.match(sql)]
    assert len(numbers) > 12
    for number in numbers:
        clean_run(databricks, "old")
        assert not run_with_fault(databricks, number, MOVED)
        found = offered(databricks)
        assert all(rows in (set(), wanted["old"][name]) for name, rows in found.items())
        assert databricks.dbt("run", *MOVED).success, databricks.output
        assert offered(databricks) == wanted["old"]
    clean_run(databricks, "old")


@pytest.fixture(scope="module")
def built(
    empty_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, dict[Path, bytes]]:
    """Return the old world, built on DuckDB, with the new one in its source tables; its files."""
    project = copy_of(empty_project.path, tmp_path_factory.mktemp("faults") / "project")
    load_all(project, *WORLDS["old"])
    assert run(project), project.output
    load_all(project, *WORLDS["new"])
    return project, {file: file.read_bytes() for file in (project.path / "warehouse").iterdir()}


@pytest.fixture
def duck(built: tuple[Project, dict[Path, bytes]]) -> Iterator[Project]:
    """Yield the project that is built, and put its files back afterwards."""
    project, files = built
    yield project
    for file in (project.path / "warehouse").iterdir():
        file.unlink()
    for file, content in files.items():
        file.write_bytes(content)


def run(project: Project) -> bool:
    """Run dbt in this process, and let go of the files."""
    try:
        return project.dbt("run", *VARS).success
    finally:
        DuckDBConnectionManager.close_all_connections()


def start(project: Project, *prefix: str, limit: int | None = None) -> subprocess.Popen[str]:
    """Start a run in a process of its own, behind a prefix, with a limit to the size of files."""
    return subprocess.Popen(
        [*prefix, Path(sys.executable).parent / "dbt", "run", *VARS],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))),
    )


def backfill(project: Project) -> set[tuple]:
    """Return the keys in the backfill, which on DuckDB is the one table."""
    return set(project.query(f"select reverse_etl_id_c from crm.sfdc_dbx.{BACKFILL}"))


OLD, NEW = ({(row["reverse_etl_id_c"],) for row in rows} for rows, _ in WORLDS.values())


def test_two_builds_at_once(duck: Project) -> None:
    """DuckDB lets one process write. The other ends and says so, or comes late enough."""
    builds = [start(duck) for _ in range(2)]
    printed = [build.communicate()[0] for build in builds]
    failed = [text for build, text in zip(builds, printed, strict=True) if build.returncode]
    assert len(failed) < 2
    assert all("Could not set lock on file" in text for text in failed)
    assert backfill(duck) == NEW
    assert run(duck)


def test_a_warehouse_that_may_not_be_written(duck: Project) -> None:
    # Permissions do not bind root until it gives up the power to ignore them.
    powers = "-dac_override,-dac_read_search"
    bound = ("setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}")
    prefix = bound if os.geteuid() == 0 else ()
    folder = duck.path / "warehouse"
    for path, message in {
        folder: 'Cannot open file "{}/crm.duckdb.wal": Permission denied',
        folder / "crm.duckdb": 'Cannot open file "{}/crm.duckdb": Permission denied',
    }.items():
        mode = path.stat().st_mode
        path.chmod(0o500)
        build = start(duck, *prefix)
        printed = build.communicate()[0]
        path.chmod(mode)
        assert build.returncode
        assert message.format(folder) in printed
        assert backfill(duck) == OLD
    assert run(duck)
    assert backfill(duck) == NEW


def test_a_full_disk(duck: Project) -> None:
    """No file may grow beyond 4 MB, which is enough for all but 200,000 more properties."""
    duck.query(
        f"insert into {SALESFORCE} by name"
        " select salesforce.* replace (md5(cast(number as varchar)) as reverse_etl_id_c)"
        f" from {SALESFORCE} as salesforce, range(200000) as numbers(number)"
        " where salesforce.id = 'record 0'"
    )

    build = start(duck, limit=4 << 20)
    printed = build.communicate()[0]
    assert build.returncode
    assert 'crm.duckdb": File too large' in printed
    assert "Failure in model" in printed
    assert backfill(duck) in (OLD, set())  # emptied if the disk let it be
    assert run(duck)
    assert len(backfill(duck)) == 200_003


def test_a_broken_warehouse(duck: Project) -> None:
    """The file and what is wrong are named; what is whole is left as it is."""
    crm, salesforce = (duck.path / f"warehouse/{name}.duckdb" for name in ("crm", "hive_metastore"))
    checksum = bytearray(crm.read_bytes())
    checksum[12388] ^= 0xFF  # in the first block
    for file, content, message in (
        (
            crm,
            b"product,property\n" * 999,
            f'"{crm}" exists, but it is not a valid DuckDB database',
        ),
        (crm, bytes(checksum[:10000]), f'Could not read enough bytes from file "{crm}"'),
        (crm, bytes(checksum), "Corrupt database file: computed checksum"),
        (salesforce, b"DUCK", f'"{salesforce}" exists, but it is not a valid DuckDB database'),
    ):
        whole = {path: path.read_bytes() for path in crm.parent.iterdir()}
        file.write_bytes(content)
        result = duck.dbt("run", *VARS)
        assert message in str(result.exception)
        assert {path: path.read_bytes() for path in whole} == whole | {file: content}
        file.write_bytes(whole[file])
    assert run(duck)
    assert backfill(duck) == NEW
