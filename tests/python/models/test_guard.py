"""A warehouse that looks wrong reaches nobody: the guard, on both engines."""

import re

from engines import (
    CENSUS_RELATIONS,
    GUARD_TEST,
    INCIDENT,
    PROOF,
    Engine,
    Project,
    create_table,
    failures,
    offered,
)
from source_tables import FLAGS_AND_SOURCES, SEED_TYPES, SOURCE_TABLES

SALESFORCE = SOURCE_TABLES["product_property_c"]
FEATURES = SOURCE_TABLES["product_property_w_features"]
GUARD = "crm.sfdc_dbx.feature_sync_guard"
LOG = "crm.sfdc_dbx.feature_mismatch_log"
NOTHING = dict.fromkeys(CENSUS_RELATIONS, 0)
SYNC, RECENT, BACKFILL, CREATE = CENSUS_RELATIONS
# On DuckDB the views are built already, and read what a table is built from.
TABLES = ("--select", "config.materialized:table", GUARD_TEST, "--indirect-selection", "empty")


def kept(table: str) -> str:
    """Name the copy of a source table."""
    return f"crm.kept.{table.rpartition('.')[2]}"


def select(table: str, **expressions: str) -> str:
    """Select the kept rows of a source table with other expressions for some columns."""
    columns = SEED_TYPES[table.rpartition(".")[2]]
    listed = ", ".join(f"{expressions.get(column, column)} as {column}" for column in columns)
    return f"select {listed} from {kept(table)}"


EMPTIED = f"{select(SALESFORCE)} where false"
EVERY_SECOND_KEY = "case when right(reverse_etl_id_c, 1) < '5' then reverse_etl_id_c end"
EMPTY_FLAGS = {"verification_of_rent_enabled_c": "cast(null as boolean)"}
# Both source tables as they are damaged, and the counts and limits that the next verdict names.
DAMAGES = [
    (
        select(SALESFORCE, reverse_etl_id_c=EVERY_SECOND_KEY),
        select(FEATURES, property_id="concat('x', property_id)"),
        """
0 of 8,574 comparable Salesforce records have a feature row, a smaller share than guard_min_match_
8,528 of 17,102 Salesforce records cannot be synced, a larger share than guard_max_exception_share
179 of 314 flags of IDV Only Mode that are on in Salesforce would be switched off, a larger share
guard_max_product_switch_off_share (0.2)
""",
    ),
    (
        f"{select(SALESFORCE, **EMPTY_FLAGS)} order by id limit 1000",
        select(FEATURES, **dict.fromkeys(FLAGS_AND_SOURCES.values(), "false")),
        """
1,000 of 1,000 comparable Salesforce records differ and would be updated, a larger share than guard
guard_max_update_share (0.25)
16,452 of 17,452 properties of the application would be created in Salesforce, a larger share than
guard_max_create_share (0.1)
1,756 of 1,756 flags that are on in Salesforce would be switched off, a larger share than guard_max
guard_max_switch_off_share (0.05)
After a wrong mass sync the damage is in Salesforce instead
""",
    ),
]


def said(engine: Engine) -> str:
    """Return what the last command printed, as one line."""
    return " ".join(engine.output.split())


def test_each_damage_trips_its_limit(loop: Project) -> None:
    """The live views are empty at once; the next build fails and empties the others."""
    for table in (FEATURES, SALESFORCE):
        create_table(loop, kept(table), f"from {table}")
    for salesforce, features, findings in DAMAGES:
        loop.query(f"update {GUARD} set is_tripped = false")
        create_table(loop, SALESFORCE, salesforce)
        create_table(loop, FEATURES, features)
        live = offered(loop)
        assert (live[SYNC], live[RECENT]) == (0, 0)
        assert failures(loop.dbt("build", *TABLES, *INCIDENT)) == {GUARD_TEST: 1}
        assert not [one for one in findings.strip().splitlines() if one not in said(loop)]
        assert offered(loop) == NOTHING


def test_an_old_build_or_none_offers_nothing(loop: Project) -> None:
    loop.query(f"update {GUARD} set built_at = built_at - interval 27 hour")
    assert offered(loop) == NOTHING | {BACKFILL: 1296}  # a table is as it was built
    loop.query(f"delete from {GUARD}")
    assert offered(loop) == NOTHING | {BACKFILL: 1296}
    tested = failures(loop.dbt("test", "--select", GUARD_TEST, PROOF, *INCIDENT))
    assert tested == {GUARD_TEST: 1, PROOF: 2816}
    assert said(loop).count("The guard has no verdict and nothing is offered") == 2


def test_an_emptied_replica_until_it_is_repaired(engine: Engine) -> None:
    """No test is skipped, the proof fails, and the first load of Salesforce can be approved."""
    events = f"select count(*) from {LOG}"
    before = engine.query(events)
    create_table(engine, kept(SALESFORCE), f"select * from {SALESFORCE}")
    create_table(engine, SALESFORCE, EMPTIED)
    result = engine.dbt("build", *INCIDENT)
    assert failures(result) == {GUARD_TEST: 1}
    assert not [run for run in result.result if run.status == "skipped"]
    assert "17,452 of 17,452 properties of the application would be created" in said(engine)
    assert offered(engine) == NOTHING
    assert engine.query(events) == before  # an empty replica would close every difference
    approved = re.search(r"approve these numbers: dbt (build) (--vars) '(.*?)'", said(engine))
    assert approved[3] == "{as_of_date: 2025-11-21, approved_creations: 17452}"
    tripped = failures(engine.dbt("test", "--select", GUARD_TEST, PROOF, *INCIDENT))
    assert said(engine).count("The guard is tripped and nothing is offered") == 2
    create_table(engine, SALESFORCE, select(SALESFORCE))
    assert tripped == {GUARD_TEST: 1, PROOF: 1}
    if isinstance(engine, Project):
        create_table(engine, SALESFORCE, EMPTIED)
        assert engine.dbt(*approved.groups(), *TABLES).success, engine.output
        assert offered(engine) == NOTHING | {CREATE: 17452}
        return
    assert engine.dbt("run", *INCIDENT).success, engine.output
    assert list(offered(engine).values()) == [2815, 1716, 1296, 350]


def test_a_build_without_rows_is_no_proof(loop: Project) -> None:
    """`dbt run --empty` leaves views that are empty by construction, and nothing to compare."""
    assert loop.dbt("run", "--empty", *INCIDENT).success, loop.output
    assert offered(loop) == NOTHING
    result = failures(loop.dbt("test", "--select", GUARD_TEST, PROOF, *INCIDENT))
    assert result == {GUARD_TEST: 1, PROOF: 1}


def test_the_next_build_offers_another_wave(loop: Project) -> None:
    """In a fixed order, records that Salesforce keeps rejecting would take every place."""
    wave = ("--vars", "{as_of_date: 2025-11-21, sync_max_rows: 4}")
    keys = f"select reverse_etl_id_c from crm.sfdc_dbx.{SYNC}"
    mismatched = {*loop.query(keys)}
    waves = []
    for _ in range(2):
        assert loop.dbt("run", "--select", "feature_sync_guard", SYNC, *wave).success, loop.output
        assert "2,815 of 17,102 Salesforce records differ and can be synced; 4 are" in said(loop)
        assert "sync_max_rows applies to this build only" in said(loop)
        assert "Next: let Census sync product_property_feature_sync" in said(loop)
        assert "records cannot be synced" not in said(loop)
        waves.append({*loop.query(keys)})
        assert len(waves[-1]) == 4
        assert waves[-1] < mismatched
    assert waves[0] != waves[1]
