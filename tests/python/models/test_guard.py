"""What looks wrong in the sources reaches nobody: the guard, on both engines."""

import csv
import re

import pytest
from conftest import (
    CENSUS_RELATIONS,
    FLAGS_AND_SOURCES,
    GUARD_TEST,
    INCIDENT,
    PROOF,
    ROOT,
    SEED_TYPES,
    SOURCE_TABLES,
    Engine,
    Project,
    create_table,
    failures,
    offered,
    simulate_sync,
)

SALESFORCE = SOURCE_TABLES["product_property_c"]
FEATURES = SOURCE_TABLES["product_property_w_features"]
SYNC = "crm.sfdc_dbx.product_property_feature_sync"
CENSUS_AND_GUARD = (
    *("--select", "+path:models/marts/census", GUARD_TEST, "--indirect-selection", "empty"),
    *("--exclude", "resource_type:seed"),
)


def select(table: str, **expressions: str) -> str:
    """Select the kept rows of a source table with other expressions for some columns."""
    columns = SEED_TYPES[table.rpartition(".")[2]]
    listed = ", ".join(f"{expressions.get(column, column)} as {column}" for column in columns)
    return f"select {listed} from {kept(table)}"


def kept(table: str) -> str:
    """Name the copy of a source table."""
    return f"crm.kept.{table.rpartition('.')[2]}"


with (ROOT / "seeds" / "product_property_c.csv").open(encoding="utf-8", newline="") as seed:
    RECORDS = [*csv.DictReader(seed)]
FLAGS_ON = f"{sum(record[flag] == 'true' for record in RECORDS for flag in FLAGS_AND_SOURCES):,}"


def only_ten(column: str) -> str:
    """Return an expression of a Salesforce column that keeps ten of its values."""
    tenth = sorted(record[column] for record in RECORDS)[9]
    return f"case when {column} <= '{tenth}' then {column} end"


ALL_OFF = select(FEATURES, **dict.fromkeys(FLAGS_AND_SOURCES.values(), "false"))
BUT_FOR_TEN = (
    "case when {0} in (select {0} from " + kept(SALESFORCE) + " order by 1 limit 10) then {0} end"
)
# How a source is damaged, and what the verdict says about it.
LOSSES = {
    "features emptied": (
        FEATURES,
        select(FEATURES) + " where false",
        "0 feature rows have a property id, fewer than guard_min_feature_rows (20,000)",
    ),
    "features cut off in the middle": (
        FEATURES,
        select(FEATURES) + " order by property_id limit 11392",
        "11,392 feature rows have a property id, fewer than guard_min_feature_rows (20,000)",
    ),
    "every flag false": (
        FEATURES,
        ALL_OFF,
        f"{FLAGS_ON} of {FLAGS_ON} flags that are on in Salesforce would be switched off, a larger "
        "share than guard_max_disable_share (0.05)",
    ),
    "ids in another format": (
        FEATURES,
        select(FEATURES, property_id="concat('000', property_id)"),
        "0 of 17,102 Salesforce records have a feature row, a smaller share than "
        "guard_min_match_share (0.9)",
    ),
    "replica cut to 100 records": (
        SALESFORCE,
        select(SALESFORCE) + " order by id limit 100",
        "17,352 of 17,452 properties would be created in Salesforce, a larger share than "
        "guard_max_create_share (0.1)",
    ),
    "sync keys of all but ten lost": (
        SALESFORCE,
        select(SALESFORCE, reverse_etl_id_c=only_ten("reverse_etl_id_c")),
        "17,092 of 17,102 Salesforce records cannot be synced, a larger share than "
        "guard_max_exception_share (0.01)",
    ),
    "property ids of all but ten lost": (
        SALESFORCE,
        select(SALESFORCE, snappt_property_id_c=only_ten("snappt_property_id_c")),
        "17,092 of 17,102 Salesforce records cannot be synced",
    ),
    "replica emptied": (
        SALESFORCE,
        select(SALESFORCE) + " where false",
        "0 of 0 Salesforce records have a feature row",
    ),
}


def test_a_damaged_source_does_not_reach_census(engine: Engine, subtests: pytest.Subtests) -> None:
    """Neither through a build nor, where the views are live, before the next one."""
    for table in (FEATURES, SALESFORCE):
        create_table(engine, kept(table), f"select * from {table}")
    nothing = dict.fromkeys(CENSUS_RELATIONS, 0)
    for loss, (table, damaged, finding) in LOSSES.items():
        with subtests.test(loss):
            create_table(engine, table, damaged)
            if isinstance(engine, Project) and loss != "replica cut to 100 records":
                live = offered(engine) | {"product_property_feature_backfill": 0}
                assert not any(live.values())
            result = engine.dbt("build", *CENSUS_AND_GUARD, *INCIDENT)
            assert failures(result) == {GUARD_TEST: 1}
            assert finding in " ".join(engine.output.split())
            assert offered(engine) == nothing
            proof = engine.dbt("test", "--select", PROOF, *INCIDENT)
            assert failures(proof)[PROOF] >= 1
        create_table(engine, table, select(table))
    assert failures(engine.dbt("test", "--select", GUARD_TEST, *INCIDENT)) == {GUARD_TEST: 1}
    assert engine.dbt("run", *INCIDENT).success, engine.output
    assert list(offered(engine).values()) == [2815, 1716, 1296, 350]


def test_a_build_without_rows_is_no_proof(engine: Engine) -> None:
    """`dbt run --empty` leaves views that are empty by construction, and nothing to compare."""
    assert engine.dbt("run", "--empty", *INCIDENT).success, engine.output
    empty = offered(engine)
    result = failures(engine.dbt("test", "--select", GUARD_TEST, PROOF, *INCIDENT))
    assert engine.dbt("run", *INCIDENT).success, engine.output
    assert not any(empty.values())
    assert result[GUARD_TEST] == 1
    assert result[PROOF] == 1  # the guard's


def test_every_data_test_runs_while_the_guard_is_tripped(loop: Project) -> None:
    """Nothing is skipped, so nothing can skip the guard; the backfill is emptied."""
    for table in (SALESFORCE, FEATURES):
        rows = loop.query(f"from {table}")
        loop.query(f"create table crm.sfdc_dbx.kept as from {table}; delete from {table}")
        result = loop.dbt("build", *INCIDENT)
        assert failures(result) == {GUARD_TEST: 1}
        assert not [run for run in result.result if run.status == "skipped"]
        assert offered(loop) == dict.fromkeys(CENSUS_RELATIONS, 0)
        loop.query(f"insert into {table} from crm.sfdc_dbx.kept; drop table crm.sfdc_dbx.kept")
        assert loop.count(table) == len(rows)


OVERRIDES = {
    "allow_mass_switch_off": (FEATURES, ALL_OFF),
    "allow_mass_create": (SALESFORCE, select(SALESFORCE) + " where false"),
    "allow_new_field": (
        SALESFORCE,
        select(SALESFORCE, verification_of_rent_enabled_c="null::boolean"),
    ),
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_an_intended_mass_change_passes_for_one_run(loop: Project, override: str) -> None:
    """A mass switch-off, the first load of an empty Salesforce, and a field without a value."""
    table, changed = OVERRIDES[override]
    create_table(loop, kept(table), f"select * from {table}")
    create_table(loop, table, changed)
    assert failures(loop.dbt("build", *CENSUS_AND_GUARD, *INCIDENT)) == {GUARD_TEST: 1}
    hint = f"If this is intended, run dbt build --vars '{{{override}: true}}' once."
    assert hint in " ".join(loop.output.split())

    intended = ("--vars", f"{{as_of_date: 2025-11-21, {override}: true}}")
    assert loop.dbt("build", *CENSUS_AND_GUARD, *intended).success, loop.output
    creates = override == "allow_mass_create"
    relation = CENSUS_RELATIONS[3 if creates else 0]
    changes = loop.count(f"crm.sfdc_dbx.{relation}")
    assert changes > 14000
    assert simulate_sync(loop, f"relation: {relation}", *intended)
    assert f"{changes:,} {'created' if creates else 'updated'}" in loop.output
    assert loop.dbt("build", *CENSUS_AND_GUARD, *INCIDENT).success, loop.output
    assert loop.dbt("test", "--select", PROOF, *INCIDENT).success, loop.output


def test_an_override_is_never_allowed_for_good(macros: Project) -> None:
    settings = macros.path / "dbt_project.yml"
    before = settings.read_text()
    settings.write_text(re.sub(rf"({'|'.join(OVERRIDES)}): false", r"\1: true", before))
    result = macros.dbt("parse")
    settings.write_text(before)
    for override in OVERRIDES:
        assert f"{override} is for one run" in str(result.exception)


def test_waves_drain_what_can_be_drained(loop: Project) -> None:
    """Records that Salesforce keeps rejecting take no place for good, wherever they are.

    Rejected are the first, the last, one in the middle, and all of the first wave.
    """
    keys = sorted(key for (key,) in loop.query(f"select reverse_etl_id_c from {SYNC}"))
    assert simulate_sync(loop, f"relation: {SYNC.rpartition('.')[2]}")
    columns = ", ".join(f"{flag} = not {flag}" for flag in FLAGS_AND_SOURCES)
    wrong = keys[:3] + keys[1000:1002] + keys[-3:]
    rejected = {keys[0], keys[1000], keys[-1]}
    damage = f"update {SALESFORCE} set {columns} where reverse_etl_id_c in "
    loop.query(damage + str(tuple(wrong)))

    wave = ("--vars", "{as_of_date: 2025-11-21, sync_max_rows: 4}")
    built = ("feature_sync_guard", SYNC.rpartition(".")[2])
    left = set(wrong)
    waves = []
    while left != rejected and len(waves) < 30:
        assert loop.dbt("run", "--select", *built, *wave).success, loop.output
        assert "can be synced; 4 are offered to Census." in loop.output
        waves.append({key for (key,) in loop.query(f"select reverse_etl_id_c from {SYNC}")})
        assert len(waves[-1]) == 4
        assert waves[-1] <= left
        rejected |= waves[0]
        arrived = waves[-1] - rejected
        loop.query(damage + str((*arrived, "")))
        left -= arrived
    assert left == rejected, waves
    assert failures(loop.dbt("test", "--select", PROOF, *wave)) == {PROOF: len(rejected)}
