"""A run on Databricks that fails or is killed at any statement: Census never reads a mixture."""

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from databricks.sql.exc import ServerOperationError
from engines import CENSUS_RELATIONS, Databricks, Project, create_table
from oracle import Configuration
from source_tables import SOURCE_TABLES, Row, feature, load_all, numbered, record

SALESFORCE = SOURCE_TABLES["product_property_c"]
TODAY = datetime(2025, 11, 21, 12)
pytestmark = pytest.mark.slow
# The guard trips if nothing can be compared, and else never.
LIMITS = Configuration(guard_min_match_share=Decimal("0.01")).as_vars()
VARS = ("--vars", LIMITS)
MOVED = ("--vars", LIMITS.replace("{", "{salesforce_catalog: crm, "))
SYNC, RECENT, BACKFILL, _ = CENSUS_RELATIONS
Rows = dict[str, set[tuple]]


def records(*numbers: int) -> list[Row]:
    """Make records of today with every product off, numbered."""
    return [numbered({"id": "{0}"} | record(created=TODAY), number) for number in numbers]


def features(*numbers: int, iv: bool = False) -> list[Row]:
    """Make feature rows with Fraud Detection on, numbered."""
    return [numbered(feature(iv_enabled=iv), number) for number in numbers]


# Two states of the sources: between them a property comes, one goes, the others change.
WORLDS = {
    "old": (records(1, 2, 3), features(1, 2, 3)),
    "new": (records(2, 3, 4), features(2, 3, 4, iv=True)),
}


def offered(databricks: Databricks) -> Rows:
    """Return every row of each Census relation; a view that cannot be read has none."""
    rows = {}
    for relation in CENSUS_RELATIONS:
        try:
            rows[relation] = set(databricks.query(f"select * from crm.sfdc_dbx.{relation}"))
        except ServerOperationError:
            assert relation != BACKFILL
            rows[relation] = set()
    return rows


@pytest.fixture
def databricks(empty_project: Project, tmp_path: Path) -> Iterator[Databricks]:
    """Yield Databricks without any table, to each test its own: every run makes it slower."""
    with Databricks(empty_project.path, tmp_path) as databricks:
        yield databricks


def clean_run(databricks: Databricks, world: str, arguments: tuple[str, ...] = VARS) -> list[str]:
    """Load a world and run on it; return the statements that were sent."""
    load_all(databricks, *WORLDS[world])
    assert databricks.dbt("run", *arguments).success, databricks.output
    return databricks.sent("")


@pytest.fixture
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
        assert rows in (set(), before[relation], after[relation]), relation
    if found[SYNC] and found[RECENT]:
        assert (found[SYNC] == after[SYNC]) == (found[RECENT] == after[RECENT])


def changes(sent: list[str]) -> list[int]:
    """Return the numbers of the statements that change something, from 1."""
    return [n for n, sql in enumerate(sent, 1) if re.match("create|drop|alter|insert", sql, re.I)]


@pytest.mark.parametrize("killed", [False, True], ids=["fails", "killed"])
def test_every_change_that_fails_or_is_the_last(
    databricks: Databricks, wanted: dict[str, Rows], killed: bool
) -> None:
    """Between two changes a killed run always leaves the same.

    With one statement failed dbt goes on with what does not depend on it, so the statement after
    each change fails too: its node is written then, but counts as failed.
    """
    worlds = ["old", "new"]
    numbers = changes(clean_run(databricks, "old"))
    assert len(numbers) > 30
    succeeded = []
    for number in sorted({1, *numbers, *(n + 1 for n in numbers if not killed)}):
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
    numbers = changes(databricks.sent(""))
    assert len(numbers) > 12
    for number in numbers:
        clean_run(databricks, "old")
        assert not run_with_fault(databricks, number, MOVED)
        found = offered(databricks)
        assert all(rows in (set(), wanted["old"][name]) for name, rows in found.items())
        assert databricks.dbt("run", *MOVED).success, databricks.output
        assert offered(databricks) == wanted["old"]
    clean_run(databricks, "old")
