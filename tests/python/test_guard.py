"""Truth that has been lost reaches nobody: the guard, on both engines."""

import pytest
from conftest import (
    CENSUS_RELATIONS,
    FLAGS_AND_SOURCES,
    GUARD_TEST,
    INCIDENT,
    POST_SYNC_TEST,
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
GOOD = "crm.kept.features"
COLUMNS = [
    "property_id",
    *(
        f"{source.removesuffix('_enabled')}_{suffix}"
        for source in FLAGS_AND_SOURCES.values()
        for suffix in ("enabled", "enabled_at", "updated_at")
    ),
]


def select_features(**expressions: str) -> str:
    """Select the good features with other expressions for some columns."""
    columns = (f"{expressions.get(column, column)} as {column}" for column in COLUMNS)
    return f"select {', '.join(columns)} from {GOOD}"


ALL_OFF = select_features(**dict.fromkeys(FLAGS_AND_SOURCES.values(), "false"))
# How the features table is lost, and what the verdict says about it.
LOSSES = {
    "emptied": (
        select_features() + " where false",
        "0 feature rows have a property id, fewer than",
    ),
    "cut off in the middle": (
        select_features() + " order by property_id limit 11392",
        "11392 feature rows have a property id, fewer than guard_min_feature_rows (20000)",
    ),
    "every flag false": (
        ALL_OFF,
        "30467 of the 30467 flags that are on in Salesforce would be switched off, more than",
    ),
    "ids in another format": (
        select_features(property_id="concat('000', property_id)"),
        "17102 of the 17102 properties in Salesforce have no feature row, more than"
        " guard_min_match_share (0.9) allows",
    ),
}


def test_truth_that_is_lost_does_not_reach_census(
    engine: Engine, subtests: pytest.Subtests
) -> None:
    create_table(engine, GOOD, f"select * from {FEATURES}")
    only_guard = ("--select", "resource_type:model", GUARD_TEST, "--indirect-selection", "empty")
    nothing = dict.fromkeys(CENSUS_RELATIONS, 0)
    for loss, (select, finding) in LOSSES.items():
        with subtests.test(loss):
            create_table(engine, FEATURES, select)
            if isinstance(engine, Project):  # where the views are live
                live = offered(engine) | {"product_property_feature_backfill": 0}
                assert not any(live.values())
            # With every data test once, because they take long.
            every_test = isinstance(engine, Project) and loss == "emptied"
            result = engine.dbt("build", *(() if every_test else only_guard), *INCIDENT)
            assert failures(result) == {GUARD_TEST: None}
            assert f"Compilation Error in test {GUARD_TEST}" in engine.output
            assert finding in " ".join(engine.output.split())
            assert offered(engine) == nothing
    assert failures(engine.dbt("test", "--select", GUARD_TEST, *INCIDENT)) == {GUARD_TEST: None}
    create_table(engine, FEATURES, select_features())
    assert engine.dbt("run", *INCIDENT).success, engine.output
    assert list(offered(engine).values()) == [2815, 1716, 1296, 350]


def test_an_intended_mass_switch_off_passes_for_one_run(loop: Project) -> None:
    loop.query("create schema crm.kept")
    loop.query(f"create table {GOOD} as from {FEATURES}")
    create_table(loop, FEATURES, ALL_OFF)
    intended = ("--vars", "{as_of_date: 2025-11-21, allow_mass_switch_off: true}")
    assert loop.dbt("run", *intended).success, loop.output
    assert loop.dbt("test", "--select", GUARD_TEST, *intended).success, loop.output
    to_switch_off = loop.count("crm.sfdc_dbx.product_property_feature_sync")
    assert to_switch_off > 15000
    assert simulate_sync(loop, "{relation: product_property_feature_sync}", *intended)
    assert f"{to_switch_off} updated" in loop.output
    assert loop.dbt("test", *INCIDENT).success, loop.output
    assert loop.dbt("run", *INCIDENT).success, loop.output
    assert loop.dbt("test", "--select", GUARD_TEST, *INCIDENT).success, loop.output


def test_a_mass_switch_off_is_never_allowed_for_good(loop: Project) -> None:
    settings = loop.path / "dbt_project.yml"
    settings.write_text(
        settings.read_text().replace("allow_mass_switch_off: false", "allow_mass_switch_off: true")
    )
    result = loop.dbt("parse")
    assert "allow_mass_switch_off is for one run" in str(result.exception)


def test_an_empty_replica_is_no_proof(loop: Project) -> None:
    """Nothing differs in a replica without rows, and the test after the sync still fails."""
    loop.query(f"delete from {SALESFORCE}")
    assert failures(loop.dbt("test", *INCIDENT)) == {GUARD_TEST: None}
    assert "0 of the 0 properties in Salesforce have no feature row, more than" in loop.output
    assert loop.dbt("test", "--select", POST_SYNC_TEST, *INCIDENT).success


def test_waves_of_50_drain_the_backlog(loop: Project) -> None:
    """2,815 properties take 57 runs, and every run is the next 50 by sync key."""
    waves = ("--vars", "{as_of_date: 2025-11-21, sync_max_rows: 50}")
    sync = "crm.sfdc_dbx.product_property_feature_sync"
    keys = [key for (key,) in loop.query(f"select reverse_etl_id_c from {sync} order by all")]
    assert loop.dbt("run", *waves).success, loop.output
    loop.query("create schema crm.kept")
    flags = ", ".join(f"{flag} = wave.{flag}" for flag in FLAGS_AND_SOURCES)
    for run in range(57):
        wave = loop.query(f"select reverse_etl_id_c from {sync} order by all")
        assert [key for (key,) in wave] == keys[50 * run : 50 * (run + 1)]
        loop.query(
            f"create or replace table crm.kept.wave as from {sync};"
            f"update {SALESFORCE} as replica set {flags} from crm.kept.wave"
            " where wave.reverse_etl_id_c = replica.reverse_etl_id_c"
        )
    assert len(wave) == 15
    assert loop.dbt("test", *waves).success, loop.output
