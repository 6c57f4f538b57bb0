"""Finding, checking and comparing the source tables, and the analyses, on both engines."""

import re
from pathlib import Path

from conftest import (
    INCIDENT,
    ROOT,
    SOURCE_TABLES,
    Databricks,
    Engine,
    Project,
    copy_of,
    create_table,
)
from sqlfluff.core import Linter

SALESFORCE = SOURCE_TABLES["product_property_c"]
FEATURES = SOURCE_TABLES["product_property_w_features"]
PROPERTIES = SOURCE_TABLES["properties"]


def run_operation(engine: Engine, name: str, variables: str = "{}") -> bool:
    """Run a run-operation with vars as YAML."""
    return engine.dbt("--quiet", "run-operation", name, "--vars", variables).success


def freshness(engine: Engine, *arguments: str) -> dict[str, tuple[str, str]]:
    """Status and newest row, to the second, of each source table that freshness judges."""
    runs = engine.dbt("source", "freshness", *arguments).result
    return {
        run.node.name: (run.status, str(run.max_loaded_at)[:19])
        for run in runs
        if run.node.resource_type == "source"  # the others are hooks
    }


def test_find_salesforce_table(engine: Engine) -> None:
    assert run_operation(engine, "find_salesforce_table")
    assert "  crm: does not exist or may not be read" in engine.output
    assert "  hive_metastore: found, 17102 rows, newest _fivetran_synced 2025-11-22 00:20:00" in (
        engine.output
    )
    assert "The var salesforce_catalog is hive_metastore: correct." in engine.output
    if isinstance(engine, Databricks):
        assert "  locked: may not be read" in engine.output

    variables = "{salesforce_catalog: crm, salesforce_loaded_at_column: none}"
    assert run_operation(engine, "find_salesforce_table", variables)
    assert "salesforce_catalog is crm, and no such table can be read there." in engine.output
    assert "--vars 'salesforce_catalog: hive_metastore'" in engine.output


def test_a_salesforce_table_that_is_nowhere(incident: Project) -> None:
    assert run_operation(incident, "find_salesforce_table", "salesforce_schema: elsewhere")
    assert "No catalog has it, or you may not read it" in incident.output
    assert "Check the var salesforce_schema (now elsewhere), and ask for SELECT." in incident.output


def test_check_sources(engine: Engine) -> None:
    assert run_operation(engine, "check_sources")
    assert engine.output.count("columns are there") == 3

    create_table(engine, "crm.faulty.properties", "select 1 as id, 'a' as name, true as created_at")
    faulty = "rds_catalog: crm, rds_schema: faulty, rds_deleted_column: gone, features_schema: none"
    assert not run_operation(engine, "check_sources", f"{{{faulty}, salesforce_catalog: locked}}")
    assert "created_at: is boolean, expected date or timestamp" in engine.output
    assert "updated_at: missing: add the column to the table" in engine.output
    assert "gone: missing: check the var rds_deleted_column, or set it to none" in engine.output
    assert "does not exist or may not be read: check the vars features_catalog" in engine.output
    if isinstance(engine, Databricks):
        assert "the catalog locked may not be read: ask for USE CATALOG" in engine.output
    else:
        assert "there is no catalog locked: check the vars salesforce_catalog" in engine.output
    assert "5 fault(s) in the sources:" in engine.output


def test_a_product_that_the_mapping_lacks_is_reported_by_every_build(engine: Engine) -> None:
    """A flag that only the features table has would never reach Salesforce, unnoticed."""
    new = "false as moonlight_enabled, cast(null as timestamp) as moonlight_enabled_at"
    place = "crm.new.product_property_w_features"
    create_table(engine, place, f"select *, {new} from {FEATURES}")
    variables = ("--vars", "features_schema: new")
    only_source = ("--select", "stg_rds__properties")
    assert engine.dbt("build", *only_source, *variables).success, engine.output
    assert "has the flag moonlight_enabled, which no product of the mapping" in engine.output
    assert "1. enter it in macros/product_features.sql, 2." in engine.output
    assert "enabled_at, which" not in engine.output
    assert engine.dbt("build", *only_source).success
    assert "which no product of the mapping" not in engine.output


HELPERS = (
    *("recency", "property_id", "is_deleted", "salesforce_id", "property_name", "created_at"),
    *("sync_exception", "sync_key", "is_mismatched", "has_feature_row", "row_count", "updated_at"),
)


def test_source_columns_with_the_names_of_our_own_change_nothing(loop: Project) -> None:
    """Whatever else the three tables hold, no relation changes."""
    relations = [
        name
        for (name,) in loop.query(
            "select table_schema || '.' || table_name from information_schema.tables where"
            " table_catalog = 'crm' and table_name not in ('product_property_w_features',"
            " 'feature_accuracy_history', 'feature_time_to_zero') order by all"
        )
    ]

    def contents() -> dict[str, list[tuple]]:
        columns = "columns(lambda c: c <> 'built_at')"
        return {n: loop.query(f"select {columns} from crm.{n} order by all") for n in relations}

    before = contents()
    for table in SOURCE_TABLES.values():
        present = {name for name, *_ in loop.query(f"describe {table}")}
        for column in {*HELPERS} - present:
            loop.query(f"alter table {table} add column {column} integer default 1")
    assert loop.dbt("run", *INCIDENT).success, loop.output
    assert contents() == before


def test_properties_that_the_application_has_deleted_do_not_count(engine: Engine) -> None:
    """The marker is a boolean, or the time of the deletion; without a value a property lives on."""
    create_table(
        engine,
        "crm.leaving.properties",
        "select *, case when id < 101000 then true when id < 102000 then false end as is_gone,"
        " case when id < 101000 then timestamp '2025-01-01 00:00:00' end as gone_at"
        f" from {PROPERTIES}",
    )
    ((deleted, kept),) = engine.query(
        f"select count(case when id < 101000 then 1 end), count(case when id >= 101000 then 1 end)"
        f" from {PROPERTIES}"
    )
    assert deleted > 0
    staged = "select count(*) from crm.sfdc_dbx_staging.stg_rds__properties"
    model = ("run", "--select", "stg_rds__properties")
    for marker, expected in {"is_gone": kept, "gone_at": kept, "none": kept + deleted}.items():
        place = f"{{rds_catalog: crm, rds_schema: leaving, rds_deleted_column: {marker}}}"
        assert engine.dbt(*model, "--vars", place).success, engine.output
        assert engine.query(staged) == [(expected,)]
    assert engine.dbt(*model).success


def test_a_replica_without_the_optional_columns(engine: Engine) -> None:
    optional = "is_deleted", "last_modified_date", "_fivetran_synced"
    columns = engine.query(
        f"describe {'table ' if isinstance(engine, Databricks) else ''}{SALESFORCE}"
    )
    kept = ", ".join(name for name, *_ in columns if name not in optional)
    create_table(
        engine,
        "crm.lacking.product_property_c",
        f"select {kept} from {SALESFORCE} where reverse_etl_id_c < 'prop_2'",
    )
    place = "salesforce_catalog: crm, salesforce_schema: lacking, as_of_date: 2025-11-21"
    if isinstance(engine, Project):
        assert run_operation(engine, "find_salesforce_table", f"{{{place}}}")
        assert "rows, when it was loaded is unknown" in engine.output
    assert not run_operation(engine, "check_sources", f"{{{place}}}")
    for column in optional:
        assert f"{column}: missing" in engine.output.replace("`", "").replace('"', "")

    without = ", ".join(
        f"salesforce_{column}_column: none" for column in ("deleted", "last_modified", "loaded_at")
    )
    variables = f"{{{place}, {without}, production_schema: other}}"
    assert run_operation(engine, "check_sources", variables)
    target = ("--target", "dev") if isinstance(engine, Databricks) else ()
    assert engine.dbt("run", *target, "--vars", variables).success, engine.output
    schema = "dbt_dev_staging" if isinstance(engine, Databricks) else "sfdc_dbx_staging"
    if isinstance(engine, Databricks):
        written = engine.sent(r"create or replace (view|table) `crm`\.`(?!dbt_dev(_staging)?`)")
        assert not written
    compared = f"crm.{schema}.int_product_properties_compared"
    counts = engine.query(f"select count(*), count(last_modified_at) from {compared}")
    expected = engine.query("select count(*), 0 from crm.lacking.product_property_c")
    assert [tuple(row) for row in counts] == [tuple(row) for row in expected]
    assert list(freshness(engine, *target, "--vars", variables)) == ["product_property_w_features"]


def test_freshness_warns_and_an_error_is_opt_in(engine: Engine) -> None:
    """The seeds are from 2025: fresh if a century is, stale if a year is not."""
    newest = {
        "product_property_c": "2025-11-22 00:20:00",
        "product_property_w_features": "2025-11-21 21:38:05",
    }
    assert freshness(engine) == {name: ("warn", at) for name, at in newest.items()}
    assert "hours old, more than salesforce_warn_after_hours (24). On quiet days" in engine.output
    century = f"salesforce_warn_after_hours: {10**6}, features_error_after_hours: 1"
    assert freshness(engine, "--vars", f"{{{century}}}") == {
        "product_property_c": ("pass", newest["product_property_c"]),
        "product_property_w_features": ("error", newest["product_property_w_features"]),
    }


def test_freshness_can_be_judged_by_the_connector(engine: Engine) -> None:
    """On a quiet day the newest row is old although the connector is healthy."""
    log = "crm.fivetran_log.connector"
    create_table(engine, log, "select current_timestamp as synced_at")
    connector = f"salesforce_freshness_table: {log}, salesforce_freshness_column: synced_at"
    found = freshness(engine, "--vars", f"{{{connector}}}")
    assert found["product_property_c"][0] == "pass"
    assert not engine.dbt("parse", "--vars", f"salesforce_freshness_table: {log}").success
    assert "go together: set both or none" in str(engine.output) or isinstance(engine, Project)


def test_compare_salesforce_catalogs(engine: Engine) -> None:
    copy = "crm.salesforce.product_property_c"

    def compare() -> dict[str, int]:
        shown = engine.dbt("show", "--select", "compare_salesforce_catalogs", *INCIDENT)
        assert shown.success, (shown.exception, engine.output)
        table = shown.result.results[0].agate_table
        return {k: int(v) for k, v in table.rows[0].dict().items() if v}

    create_table(engine, copy, f"select * from {SALESFORCE}")
    assert compare() == {"rows_in_current": 17102, "rows_in_copy": 17102}

    ids = sorted(row[0] for row in engine.query(f"select id from {copy}"))
    engine.query(f"delete from {copy} where id = '{ids[0]}'")
    engine.query(f"update {copy} set name = null, is_deleted = true where id = '{ids[1]}'")
    engine.query(f"update {copy} set name = 'other' where id = '{ids[2]}'")
    engine.query(f"update {copy} set id = 'new' where id = '{ids[3]}'")
    assert compare() == {
        "rows_in_current": 17102,
        "rows_in_copy": 17101,
        "only_in_current": 2,
        "only_in_copy": 1,
        "rows_that_differ": 2,
        "name_differs": 2,
        "is_deleted_differs": 1,
    }
    engine.query(f"drop table {copy}")
    itself = ("--vars", "compare_with_catalog: hive_metastore")
    result = engine.dbt("show", "--select", "compare_salesforce_catalogs", *itself)
    assert "the table would be compared with itself" in engine.output + str(result.exception)
    hyphen = ("--vars", "compare_with_catalog: my-catalog")
    assert engine.dbt("compile", "--select", "compare_salesforce_catalogs", *hyphen).success


def test_the_summary_is_shown_for_the_day_that_it_is_about(engine: Engine) -> None:
    """A day that was not built is refused."""
    assert run_operation(engine, "show_feature_sync_summary", "as_of_date: 2025-11-21")
    assert re.search(
        r"^As of 2025-11-21, built \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", engine.output, re.M
    )
    assert re.search(
        r"^\| all +\| All products +\| +17102 \|.* 2815 \| +0 \|$", engine.output, re.M
    )
    assert not run_operation(engine, "show_feature_sync_summary", "as_of_date: 2025-11-20")
    assert "The marts are about 2025-11-21, not 2025-11-20. Run dbt build" in engine.output


def test_grants_are_printed_for_both_states_of_the_migration(incident: Project) -> None:
    """As the documentation shows them, and in SQL that Databricks' grammar takes."""
    page = (ROOT / "docs" / "operations.md").read_text()
    documented = re.search(r"```sql\n(-- dbt: owns.*?)```", page, re.S)[1]
    arguments = ("--args", "{dbt_principal: 0a1b2c3d, census_principal: census}")
    run = ("--quiet", "run-operation", "print_grants", *arguments)
    assert incident.dbt(*run).success, incident.output
    assert incident.messages[-1].strip() == documented.strip()
    assert incident.dbt(*run, "--vars", "salesforce_catalog: crm").success
    moved, before = incident.messages[-1].splitlines(), documented.splitlines()
    assert [line for line in before if line not in moved] == [
        "GRANT USAGE ON SCHEMA `hive_metastore`.`salesforce` TO `0a1b2c3d`;",
        "GRANT SELECT ON TABLE `hive_metastore`.`salesforce`.`product_property_c` TO `0a1b2c3d`;",
    ]
    assert [line for line in moved if line not in before] == [
        "GRANT USE SCHEMA ON SCHEMA `crm`.`salesforce` TO `0a1b2c3d`;",
        "GRANT SELECT ON TABLE `crm`.`salesforce`.`product_property_c` TO `0a1b2c3d`;",
    ]
    for sql in (documented, incident.messages[-1]):
        parsed = Linter(dialect="databricks").parse_string(sql)
        assert not parsed.violations
        assert "unparsable" not in str(parsed.tree.to_tuple(show_raw=True))
    assert not incident.dbt(*run[:3], "--args", "{dbt_principal: 'a`b'}").success
    assert "expected a user, group or service principal" in incident.output


def test_the_standing_questions_are_answered(engine: Engine) -> None:
    assert engine.dbt("compile", "--select", "path:analyses", *INCIDENT).success, engine.output
    folder = engine.workdir if isinstance(engine, Databricks) else engine.path
    compiled = folder / "target" / "compiled" / "product_property_sync" / "analyses"

    def answer(analysis: str) -> dict[str, tuple]:
        rows = engine.query((compiled / f"{analysis}.sql").read_text())
        return {row[0]: tuple(row[1:]) for row in rows}

    assert len(answer("which_properties_differ")) == 2815


def test_a_wrong_source_stops_a_build_before_anything_is_written(engine: Engine) -> None:
    """Catalog, table and column: each fault names its var and what to do."""
    faults = {
        "salesforce_catalog: nowhere": "there is no catalog nowhere: check the vars "
        "salesforce_catalog and salesforce_schema, or run `dbt run-operation find_salesforce_table",
        "salesforce_catalog: crm": "may not be read: check the vars salesforce_catalog",
        "features_schema: elsewhere": "does not exist or may not be read: check the vars features_",
        "salesforce_loaded_at_column: loaded_at": "loaded_at: missing: check the var "
        "salesforce_loaded_at_column, or set it to none",
    }
    for variables, message in faults.items():
        assert not engine.dbt("build", "--vars", variables).success
        assert message in engine.output
        assert "1 fault(s) in the sources:" in engine.output
        if isinstance(engine, Databricks):
            assert not engine.sent("create|alter|drop|comment|grant")
    assert not engine.dbt("test", "--vars", variables).success
    assert message in engine.output


def test_a_build_before_the_seeds_says_so(empty_project: Project, tmp_path: Path) -> None:
    project = copy_of(empty_project.path, tmp_path / "project")
    assert not project.dbt("build").success
    assert project.output.count("or run `dbt seed` first") == 3
