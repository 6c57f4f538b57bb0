"""The same project through the unmodified dbt-databricks adapter: same rows, no surprises."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import CENSUS_RELATIONS, INCIDENT, POST_SYNC_TEST, ROOT, Project, failures
from databricks_harness import DatabricksHarness
from dbt.cli.main import dbtRunnerResult

SOURCES = {
    "product_property_c": "hive_metastore.salesforce.product_property_c",
    "product_property_w_features": "crm.sfdc_dbx.product_property_w_features",
    "properties": "rds.pg_rds_public.properties",
}
TARGETS = {
    "prod": ("crm", "sfdc_dbx"),
    "dev": ("crm", "dbt_dev"),
    "careless": ("crm", "SFDC_DBX"),
}
MOVED = ("--vars", "{as_of_date: 2025-11-21, salesforce_catalog: crm}")
# The same type under its name in either engine.
TYPES = {"varchar": "string", "integer": "int", "timestamp with time zone": "timestamp"}
NAME = r"`?(\w+)`?\.`?(\w+)`?\.`?(\w+)`?"


class Databricks(DatabricksHarness):
    """The harness, bound to one project folder."""

    project: Path

    def run(self, *arguments: str) -> dbtRunnerResult:
        """Run one dbt command; `statements` then holds what this command sent."""
        self.statements.clear()
        return self.dbt(*arguments, project_dir=self.project)

    def relations(self) -> dict[str, str]:
        """Kind (view or table) of every relation that the project has made, by schema.name."""
        rows = self.sql(
            "select table_schema, table_name, table_type from crm.information_schema.tables"
        )
        return {
            f"{schema}.{name}": "view" if kind == "VIEW" else "table"
            for schema, name, kind in rows
            if schema.startswith("sfdc_dbx") and name not in SOURCES
        }

    def sent(self, pattern: str) -> list[str]:
        """Return the statements of the last command in which a pattern occurs, case ignored."""
        return [sql for sql in self.statements if re.search(pattern, sql, re.I | re.S)]


@pytest.fixture(scope="module")
def databricks(
    empty_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databricks]:
    """Yield Databricks with the incident loaded and built, the Salesforce table not yet moved."""
    seeds = yaml.safe_load((ROOT / "seeds" / "_seeds.yml").read_text())["seeds"]
    with Databricks(tmp_path_factory.mktemp("databricks"), targets=TARGETS) as harness:
        harness.project = empty_project.path
        for seed in seeds:
            types = {
                column: kind.replace("varchar", "string")
                for column, kind in seed["config"]["column_types"].items()
            }
            file = ROOT / "seeds" / f"{seed['name']}.csv"
            harness.load_csv(SOURCES[seed["name"]], file, types)
        result = harness.run("build", *INCIDENT)
        assert result.success, failures(result)
        yield harness


def catalogs_under(views: dict[str, str], name: str) -> set[str]:
    """Catalogs of the tables that a relation reads, through all views in between."""
    if name not in views:
        return {name.split(".")[0]}
    read = {".".join(parts).lower() for parts in re.findall(NAME, views[name])}
    return set().union(*(catalogs_under(views, other) for other in read - {name}))


def created_views(databricks: Databricks) -> dict[str, str]:
    """Text of each persistent view that the last command created, by its full name."""
    views = {}
    for sql in databricks.sent(r"\bcreate or replace view\b"):
        head, body = re.split(r"\bas\s+(?=--|with\b|select\b)", sql, maxsplit=1, flags=re.I)
        views[".".join(re.search(NAME, head).groups()).lower()] = body
    return views


def assert_same_rows(databricks: Databricks, incident: Project) -> None:
    """Compare every relation of the project with DuckDB's, names, types and rows."""
    for name in databricks.relations():
        duckdb_types = {
            column: TYPES.get(kind.lower(), kind.lower())
            for column, kind, *_ in incident.query(f"describe crm.{name}")
        }
        spark_types = {column: kind for column, kind, _ in databricks.sql(f"describe crm.{name}")}
        assert spark_types == duckdb_types, name
        columns = ", ".join(
            f"cast({column} at time zone 'UTC' as timestamp) as {column}" if False else column
            for column in duckdb_types
        )
        theirs = databricks.sql(f"select {columns} from crm.{name}")
        ours = incident.query(f"select {columns} from crm.{name}")
        assert sorted(map(repr, map(plain, theirs))) == sorted(map(repr, ours)), name


def plain(row: tuple) -> tuple:
    """Take the time zone, which is UTC, off a row's timestamps, as DuckDB's have none."""
    return tuple(v.replace(tzinfo=None) if hasattr(v, "tzinfo") else v for v in row)


def test_same_relations_and_rows_while_salesforce_is_in_hive_metastore(
    databricks: Databricks, incident: Project
) -> None:
    tables = {name for name, kind in databricks.relations().items() if kind == "table"}
    assert tables == {
        "sfdc_dbx.product_property_feature_backfill",
        "sfdc_dbx_staging.int_product_property_features",
    }
    views = created_views(databricks)
    assert len(views) == len(databricks.relations()) - len(tables)
    for view in views:
        assert len(catalogs_under(views, view)) == 1, view
    assert_same_rows(databricks, incident)
