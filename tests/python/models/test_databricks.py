"""The same project through the unmodified dbt-databricks adapter: same rows, no surprises."""

import re

import pytest
from databricks.sql.exc import ServerOperationError
from databricks_harness import TOKEN
from engines import (
    CENSUS_RELATIONS,
    EMAIL,
    INCIDENT,
    PROOF,
    PROPERTIES,
    Databricks,
    Project,
    failures,
    written,
)
from source_tables import FLAGS_AND_SOURCES, SOURCE_TABLES, load_seed

SALESFORCE = SOURCE_TABLES["product_property_c"]
MOVED = ("--vars", "{as_of_date: 2025-11-21, salesforce_catalog: crm}")
# DuckDB's names of the types, in Spark's words.
TYPES = {"VARCHAR": "string", "INTEGER": "int"}
ALWAYS_TABLES = {
    "sfdc_dbx_staging.int_ids_in_another_format",
    "sfdc_dbx_staging.int_properties_not_in_salesforce",
    "sfdc_dbx_staging.feature_sync_proof",
    "sfdc_dbx.feature_accuracy_history",
    "sfdc_dbx.feature_mismatch_log",
    "sfdc_dbx.feature_sync_guard",
    "sfdc_dbx.feature_sync_summary",
    "sfdc_dbx.product_property_feature_backfill",
}
# Their rows depend on the runs, which are other ones on each engine.
OF_EACH_RUN = {
    "sfdc_dbx.feature_accuracy_history",
    "sfdc_dbx.feature_mismatch_log",
    "sfdc_dbx.feature_mismatch_episodes",
    "sfdc_dbx_staging.feature_sync_proof",
}
NAME = r"`(\w+)`\.`(\w+)`\.`(\w+)`"


def relations(databricks: Databricks) -> dict[str, str]:
    """Kind (view or table) of every relation of the project, by schema.name."""
    rows = databricks.query(
        "select table_schema, table_name, table_type from crm.information_schema.tables"
        " where table_schema in ('sfdc_dbx', 'sfdc_dbx_staging')"
    )
    return {
        f"{schema}.{name}": "view" if kind == "VIEW" else "table"
        for schema, name, kind in rows
        if name not in SOURCE_TABLES
    }


def tables(databricks: Databricks) -> set[str]:
    """Names of the project's relations that are tables."""
    return {name for name, kind in relations(databricks).items() if kind == "table"}


def read_by_views(databricks: Databricks) -> dict[str, set[str]]:
    """Map each persistent view that the last command created to the relations it reads."""
    views = {}
    for sql in databricks.sent("create or replace view"):
        view, *read = (".".join(parts).lower() for parts in re.findall(NAME, sql))
        views[view] = set(read)
    return views


def catalogs_under(views: dict[str, set[str]], name: str) -> set[str]:
    """Catalogs of the tables that a relation reads, through all views in between."""
    if name not in views:
        return {name.split(".")[0]}
    return set().union(*(catalogs_under(views, other) for other in views[name]))


def assert_same_rows(databricks: Databricks, incident: Project) -> None:
    """Compare every relation of the project with DuckDB's: names, types and rows."""
    for name in relations(databricks):
        described = incident.query(f"describe crm.{name}")
        types = {column: TYPES.get(kind, kind.lower()) for column, kind, *_ in described}
        columns = databricks.query(f"describe table crm.{name}")
        # The digits of a constant are counted differently: 0.9 has one or two.
        kinds = {column: re.sub(r"\(.*", "", kind) for column, kind, *_ in columns}
        assert kinds == {column: re.sub(r"\(.*", "", kind) for column, kind in types.items()}, name
        # Spark's timestamps have a time zone, UTC, and DuckDB's have none. The builds began at
        # different times.
        of_build = ("built_at", "first_seen_at")
        same = {column: kind for column, kind in types.items() if column not in of_build}
        ours = ", ".join(same)
        theirs = ", ".join(f"cast({column} as {kind}) as {column}" for column, kind in same.items())
        if name in OF_EACH_RUN:
            continue
        differing = incident.query(
            f"(select {ours} from crm.{name} except all select {theirs} from spark_rows) union all"
            f" (select {theirs} from spark_rows except all select {ours} from crm.{name})",
            spark_rows=databricks.arrow(f"select * from crm.{name}"),
        )
        assert not differing, name


def test_same_rows_while_salesforce_is_in_hive_metastore(
    databricks: Databricks, incident: Project
) -> None:
    assert tables(databricks) == {
        *ALWAYS_TABLES,
        "sfdc_dbx_staging.int_product_properties_compared",
        "sfdc_dbx_staging.int_salesforce_totals",
    }
    assert len(relations(databricks)) == 25
    assert_same_rows(databricks, incident)


def test_the_unit_tests_pass(databricks: Databricks) -> None:
    unit = ("test", "--select", "test_type:unit", *INCIDENT)
    assert databricks.dbt(*unit, unit_tests=True).success, databricks.output


def test_every_run_renews_relations_descriptions_and_grants_in_place(
    databricks: Databricks, incident: Project
) -> None:
    """Without a warning, and without a time in which a relation does not exist."""
    granted = ("--vars", "{as_of_date: 2025-11-21, census_principal: census-reader}")
    assert databricks.dbt("--warn-error", "run", *granted).success, databricks.output
    assert not databricks.sent("drop|alter .* rename")
    views = read_by_views(databricks)
    assert len(views) == len(relations(databricks)) - len(tables(databricks))
    # Unity Catalog and hive_metastore together are refused.
    read = {view: catalogs_under(views, view) for view in views}
    assert not [view for view, c in read.items() if "hive_metastore" in c and len(c) > 1]
    for relation in CENSUS_RELATIONS:
        (created,) = databricks.sent(rf"create or replace (view|table) \S+`{relation}`")
        columns = databricks.query(f"describe table crm.sfdc_dbx.{relation}")
        assert len(re.findall(r"\bcomment '", created, re.I)) == len(columns) + 1
    assert not databricks.sent("comment on column|alter table .*comment")

    for relation in relations(databricks):
        name = ".".join(f"`{part}`" for part in ("crm", *relation.split(".")))
        readers = {row[:2] for row in databricks.query(f"show grants on {name}")}
        is_for_census = relation.split(".")[1] in CENSUS_RELATIONS
        assert readers == ({("census-reader", "SELECT")} if is_for_census else set())

    history = "crm.sfdc_dbx.feature_accuracy_history"
    counts = f"select product, properties, mismatched from {history} order by product"
    runs = databricks.query(f"select count(distinct run_id) from {history}")[0][0]
    in_each_run = incident.query(counts)
    assert runs > 1
    assert [tuple(row) for row in databricks.query(counts)] == [
        row for row in in_each_run for _ in range(runs)
    ]


def test_docs_are_generated(databricks: Databricks) -> None:
    result = databricks.dbt("docs", "generate", *INCIDENT)
    assert result.success, databricks.output
    assert len(result.result.nodes) == len(relations(databricks))


def test_nothing_writes_to_a_source_table(databricks: Databricks) -> None:
    """The seeds have the names of the source tables, and the simulated sync updates one."""
    assert databricks.dbt("seed", *INCIDENT).success
    assert "Nothing to do" in databricks.output
    assert not databricks.sent("create|insert|delete|drop|truncate|merge|copy|alter")
    sync = ("simulate_census_sync", "--args", f"relation: {CENSUS_RELATIONS[0]}")
    assert not databricks.dbt("run-operation", *sync, *INCIDENT).success
    assert "simulate_census_sync runs on DuckDB only" in databricks.output
    assert not databricks.sent("update|merge|create")


def test_a_careless_target_is_refused_before_anything_is_sent(databricks: Databricks) -> None:
    result = databricks.dbt("build", "--target", "careless")
    assert "Target 'careless' may not write to the production schema" in str(result.exception)
    assert not databricks.statements


def test_the_loop_from_incident_to_proof(databricks: Databricks) -> None:
    assert failures(databricks.dbt("test", *INCIDENT)) == {PROOF: 2815}
    assert "Got 2815 results" in (databricks.workdir / "logs" / "dbt.log").read_text()
    assert not written(databricks.workdir, re.escape(TOKEN), PROPERTIES, EMAIL)
    flags = ", ".join(f"replica.{flag} = sync.{flag}" for flag in FLAGS_AND_SOURCES)
    databricks.query(
        f"merge into {SALESFORCE} as replica"
        " using (select * from crm.sfdc_dbx.product_property_feature_sync) as sync"
        " on replica.reverse_etl_id_c = sync.reverse_etl_id_c"
        f" when matched then update set {flags}"
    )
    after = databricks.dbt("test", "--selector", "after_sync", *INCIDENT)
    load_seed(databricks, "product_property_c")
    assert after.success, databricks.output


def test_same_rows_after_salesforce_has_moved_to_unity_catalog(
    databricks: Databricks, incident: Project
) -> None:
    moved_to = "crm.salesforce.product_property_c"
    load_seed(databricks, "product_property_c", moved_to)
    databricks.query(f"drop table {SALESFORCE}")
    result = databricks.dbt("build", *MOVED)
    assert result.success, databricks.output
    assert tables(databricks) == {
        *ALWAYS_TABLES,
        "sfdc_dbx_staging.int_product_properties_at_build",
    }
    assert not databricks.sent("drop .*product_property_(feature_(sync|recent|backfill)|create)`$")
    assert_same_rows(databricks, incident)
    proof = databricks.dbt("test", "--select", PROOF, *MOVED)
    assert failures(proof) == {PROOF: 2815}
    load_seed(databricks, "product_property_c")
    databricks.query(f"drop table {moved_to}")

    assert databricks.dbt("run", *INCIDENT).success, databricks.output
    assert len(tables(databricks)) == 10


def test_the_harness_never_makes_up_an_answer(databricks: Databricks) -> None:
    for unknown in ("select * from system.query.history", "show views in crm.sfdc_dbx"):
        with pytest.raises(ServerOperationError, match=re.escape(unknown)):
            databricks.query(unknown)
