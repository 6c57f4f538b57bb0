"""Finding, checking and comparing the source tables, on both engines."""

import re
from pathlib import Path

from engines import CENSUS_RELATIONS, INCIDENT, Databricks, Engine, Project, copy_of, create_table
from source_tables import SEED_TYPES, SOURCE_TABLES
from sqlfluff.core import Linter

SALESFORCE = SOURCE_TABLES["product_property_c"]
FEATURES = SOURCE_TABLES["product_property_w_features"]
PROPERTIES = SOURCE_TABLES["properties"]


def run_operation(engine: Engine, name: str, *arguments: str) -> bool:
    """Run a run-operation, by default with the vars of the incident."""
    return engine.dbt("--quiet", "run-operation", name, *(arguments or INCIDENT)).success


def test_the_salesforce_table_is_found(engine: Engine) -> None:
    copy = "crm.salesforce.product_property_c"
    create_table(engine, copy, "select 1 as id")
    is_run = run_operation(engine, "find_salesforce_table")
    engine.query(f"drop table {copy}")
    assert is_run, engine.output
    assert "  crm: found, 1 rows, when it was loaded is unknown" in engine.output
    assert "  rds: does not exist or may not be read" in engine.output
    assert "To read it from crm: --vars 'salesforce_catalog: crm'" in engine.output
    assert "  hive_metastore: found, 17102 rows, newest _fivetran_synced 2025-11-22 00:20:00" in (
        engine.output
    )
    assert "The var salesforce_catalog is hive_metastore: correct." in engine.output
    assert ("  locked: may not be read" in engine.output) == isinstance(engine, Databricks)
    assert "No catalog has it" not in engine.output


def test_every_fault_of_the_sources_stops_a_build_before_anything_is_written(
    engine: Engine,
) -> None:
    """Catalog, table and column: each fault names its var and what to do."""
    create_table(engine, "crm.faulty.properties", "select 1 as id, true as updated_at")
    create_table(engine, "crm.faulty.others", "select 'Maple Court' as name, false as gone")
    variables = (
        "{rds_catalog: crm, rds_schema: faulty, rds_deleted_column: gone, features_schema: none,"
        " salesforce_catalog: locked}"
    )
    assert not engine.dbt("build", "--vars", variables).success
    for fault in (
        "updated_at: is boolean, expected date or timestamp",
        "name: missing: add the column to the table",
        "gone: missing: check the var rds_deleted_column, or set it to none",
        "does not exist or may not be read: check the vars features_catalog and features_schema",
        "5 fault(s) in the sources:",
    ):
        assert fault in engine.output
    assert ("or run `dbt seed` first" in engine.output) == isinstance(engine, Project)
    if isinstance(engine, Databricks):
        assert "the catalog locked may not be read: ask for USE CATALOG" in engine.output
        assert not engine.sent("create|alter|drop|comment|grant")
    else:
        assert "there is no catalog locked: check the vars salesforce_catalog" in engine.output
        assert engine.output.count("or run `dbt run-operation find_salesforce_table`") == 1


# Names that the models give to their own columns.
OWN = "recency salesforce_id property_name created_at sync_exception sync_key is_mismatched".split()


def test_other_sources_give_the_same_result(engine: Engine) -> None:
    """Names in another case, ids that are numbers, columns that are missing or not expected."""
    on_databricks = isinstance(engine, Databricks)

    def create(seed: str, columns: list[str]) -> None:
        name = f"crm.other.{seed}"  # Unity Catalog has no upper case
        select = f"select {', '.join(columns)} from {SOURCE_TABLES[seed]}"
        create_table(engine, name if on_databricks else name.upper(), select)

    ours = [f"1 as {column}" for column in OWN]
    optional = {"is_deleted", "_fivetran_synced"}
    kept = [column for column in SEED_TYPES["product_property_c"] if column not in optional]
    create("product_property_c", kept + ours)
    _, *features = SEED_TYPES["product_property_w_features"]
    features += ["cast(property_id as bigint) as property_id", "false as moonlight_enabled"]
    features += ["current_timestamp as moonlight_enabled_at"]
    create("product_property_w_features", features + ours)
    is_gone = "case when id < 101000 then true when id < 102000 then false end as is_gone"
    gone_at = "case when id < 101000 then timestamp '2025-01-01 00:00:00' end as gone_at"
    create("properties", ["*", is_gone, gone_at])
    other = ("--target", "dev") if on_databricks else ()
    variables = (
        "{as_of_date: 2025-11-21, salesforce_catalog: crm, salesforce_schema: other,"
        " features_schema: other, rds_catalog: crm, rds_schema: Other, salesforce_deleted_column:"
        f" none, salesforce_loaded_at_column: none,"
        f" rds_deleted_column: {'is_gone' if on_databricks else 'gone_at'}}}"
    )
    before = sorted(engine.query("select * from crm.sfdc_dbx.product_property_feature_sync"))
    assert engine.dbt("run", *other, "--vars", variables).success, engine.output
    assert "has the flag moonlight_enabled, which no product of the mapping" in engine.output
    assert "enabled_at, which" not in engine.output
    schema = "sfdc_dbx"
    if on_databricks:
        schema = "dbt_dev"
        written = r"create or replace (view|table) `crm`\.`(?!dbt_dev(_staging)?`)"
        assert not engine.sent(written)
    after = sorted(engine.query(f"select * from crm.{schema}.product_property_feature_sync"))
    assert after == before
    assert len(after) == 2815
    ((kept_properties,),) = engine.query(f"select count(*) from {PROPERTIES} where id >= 101000")
    staged = f"select count(*) from crm.{schema}_staging.stg_rds__properties"
    assert engine.query(staged) == [(kept_properties,)]


def test_compare_salesforce_catalogs(engine: Engine) -> None:
    copy = "crm.salesforce.product_property_c"
    create_table(engine, copy, f"select * from {SALESFORCE}")
    ids = sorted(row[0] for row in engine.query(f"select id from {copy}"))
    engine.query(f"delete from {copy} where id = '{ids[0]}'")
    engine.query(f"update {copy} set name = null, is_deleted = true where id = '{ids[1]}'")
    engine.query(f"update {copy} set name = 'other' where id = '{ids[2]}'")
    engine.query(f"update {copy} set id = 'new' where id = '{ids[3]}'")
    shown = engine.dbt("show", "--select", "compare_salesforce_catalogs", *INCIDENT)
    engine.query(f"drop table {copy}")
    assert shown.success, (shown.exception, engine.output)
    table = shown.result.results[0].agate_table
    assert {name: int(count) for name, count in table.rows[0].dict().items() if count} == {
        "rows_in_current": 17102,
        "rows_in_copy": 17101,
        "only_in_current": 2,
        "only_in_copy": 1,
        "rows_that_differ": 2,
        "name_differs": 2,
        "is_deleted_differs": 1,
    }


def test_grants_are_printed_in_the_order_in_which_they_can_run(loop: Project) -> None:
    """For dbt before the first build, for Census after it, in SQL of Databricks' grammar."""

    def printed(principals: str, *variables: str) -> list[str]:
        run = ("--quiet", "run-operation", "print_grants", "--args", principals)
        assert loop.dbt(*run, *(variables or INCIDENT)).success, loop.output
        return loop.messages[-1].splitlines()

    assert run_operation(loop, "check_sources")
    assert len(re.findall(r": all \d+ columns are there", loop.output)) == 3
    both = printed("{dbt_principal: 0a1b2c3d, census_principal: census}")
    of_census = next(n for n, line in enumerate(both) if line.startswith("-- Census"))
    before, census = both[:of_census], both[of_census:]
    wrong = ("--args", "{dbt_principal: 'a`b'}", *INCIDENT)
    assert not loop.dbt("run-operation", "print_grants", *wrong).success
    assert "expected a user, group or service principal" in loop.output
    assert not loop.dbt("run-operation", "print_grants", *INCIDENT).success
    assert (
        "Give dbt_principal before the first build, census_principal after it, or both."
        in loop.output
    )
    moved = printed("{dbt_principal: 0a1b2c3d}", "--vars", "salesforce_catalog: crm")
    assert [line for line in before if line not in moved] == [
        "GRANT USAGE ON SCHEMA `hive_metastore`.`salesforce` TO `0a1b2c3d`;",
        "GRANT SELECT ON TABLE `hive_metastore`.`salesforce`.`product_property_c` TO `0a1b2c3d`;",
    ]
    assert [line for line in moved if line not in before] == [
        "GRANT USE SCHEMA ON SCHEMA `crm`.`salesforce` TO `0a1b2c3d`;",
        "GRANT SELECT ON TABLE `crm`.`salesforce`.`product_property_c` TO `0a1b2c3d`;",
    ]
    assert len(set(before)) == len(before)
    for schema in ("sfdc_dbx", "sfdc_dbx_staging"):
        assert f"GRANT CREATE TABLE ON SCHEMA `crm`.`{schema}` TO `0a1b2c3d`;" in before
    for relation in CENSUS_RELATIONS:  # they exist after the first build
        assert f"GRANT SELECT ON TABLE `crm`.`sfdc_dbx`.`{relation}` TO `census`;" in census
        assert relation not in "\n".join(before)
    for lines in (before, moved, census):
        parsed = Linter(dialect="databricks").parse_string("\n".join(lines))
        assert not parsed.violations
        assert "unparsable" not in str(parsed.tree.to_tuple(show_raw=True))


def test_a_build_before_the_seeds_says_so(empty_project: Project, tmp_path: Path) -> None:
    project = copy_of(empty_project.path, tmp_path / "project")
    assert not project.dbt("build").success
    assert project.output.count("or run `dbt seed` first") == 3
    assert project.output.count("or run `dbt run-operation find_salesforce_table`") == 1
