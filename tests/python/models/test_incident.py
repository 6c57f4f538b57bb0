"""The figures of the incident, its repair and the proof."""

import re

import pytest
from conftest import (
    FLAGS_AND_SOURCES,
    GUARD_TEST,
    INCIDENT,
    PROOF,
    SOURCE_TABLES,
    Project,
    failures,
    simulate_sync,
)
from oracle import PRODUCTS

SALESFORCE = SOURCE_TABLES["product_property_c"]
FEATURES = SOURCE_TABLES["product_property_w_features"]


def contents(project: Project) -> dict[str, list[tuple]]:
    """Every row of every relation of the project, without the history and the time of the build."""
    relations = project.query(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_catalog = 'crm' and table_name not in ('product_property_w_features',"
        " 'feature_accuracy_history', 'feature_time_to_zero') order by all"
    )
    return {
        name: project.query(
            f"select columns(lambda c: c <> 'built_at') from crm.{name} order by all"
        )
        for (name,) in relations
    }


def mismatches(project: Project) -> int:
    """Count the properties that differ, by the one row of the summary that says so."""
    return project.query(
        "select mismatched from crm.sfdc_dbx.feature_sync_summary"
        " where cohort = 'all' and product = 'All products'"
    )[0][0]


def test_sources_hold_the_incident(incident: Project) -> None:
    assert incident.count(SALESFORCE) == 17102
    assert incident.count(FEATURES) == 22784
    missing = f"cast(id as text) not in (select snappt_property_id_c from {SALESFORCE})"
    assert incident.count("rds.pg_rds_public.properties", missing) == 350


def test_summary_reproduces_the_incident(incident: Project) -> None:
    rows = incident.query(
        "select cohort, product, properties, on_in_salesforce, should_be_on,"
        " missing_in_salesforce, mismatched from crm.sfdc_dbx.feature_sync_summary"
    )
    summary = {(cohort, product): counts for cohort, product, *counts in rows}
    assert summary["as_of_date", "All products"] == [1296, 0, 1226, 1226, 1226]
    assert summary["as_of_date", "Fraud Detection"] == [1296, 0, 1226, 1226, 1226]
    assert summary["as_of_date", "Income Verification"] == [1296, 0, 1176, 1176, 1176]
    assert summary["as_of_date", "ID Verification"] == [1296, 0, 7, 7, 7]
    assert summary["as_of_date", "Connected Payroll"] == [1296, 0, 5, 5, 5]
    assert summary["as_of_date", "Bank Linking"] == [1296, 0, 4, 4, 4]
    assert summary["as_of_date", "IDV Only Mode"] == [1296, 0, 0, 0, 0]
    assert summary["as_of_date", "Verification of Rent"] == [1296, 0, 0, 0, 0]
    assert summary["before", "All products"][-1] == 1589
    assert summary["all", "All products"][0] == 17102
    assert summary["all", "All products"][-1] == 2815
    assert len(summary) == 3 * (len(PRODUCTS) + 1)


def test_the_unit_tests_pass(incident: Project) -> None:
    """In one process; on Databricks they are part of the session's build."""
    unit = ("test", "--select", "test_type:unit", *INCIDENT)
    assert incident.dbt(*unit, unit_tests=True).success, incident.output


def test_mismatches_are_named_by_kind(incident: Project) -> None:
    kinds = incident.query(
        "select mismatch_kind, count(*) from crm.sfdc_dbx.feature_mismatches group by all"
    )
    assert {kind for kind, _ in kinds} == {
        "missing_in_salesforce",
        "left_on_in_salesforce",
        "never_set_in_salesforce",
    }
    assert incident.count("crm.sfdc_dbx.product_property_sync_exceptions") == 0


def test_backfill_has_26_batches_of_50(incident: Project) -> None:
    batches = incident.query(
        "select batch_number, count(*), min(reverse_etl_id_c), max(reverse_etl_id_c)"
        " from crm.sfdc_dbx.product_property_feature_backfill group by all order by all"
    )
    assert [(number, size) for number, size, *_ in batches] == [
        *((number, 50) for number in range(1, 26)),
        (26, 46),
    ]
    keys = [key for *_, first, last in batches for key in (first, last)]
    assert keys == sorted(keys)


WANTED_FROM_THE_NOTES = {
    "product_property_feature_sync": " or ".join(
        f"sf.{flag} != coalesce(feat.{source}, false)" for flag, source in FLAGS_AND_SOURCES.items()
    ),
    "product_property_feature_backfill": "cast(sf.created_date as date) = date '2025-11-21'",
    "product_property_feature_recent": "sf.created_date >= date '2025-11-21' - interval 7 day",
}


@pytest.mark.parametrize("relation", WANTED_FROM_THE_NOTES)
def test_census_relation_equals_the_plain_query(incident: Project, relation: str) -> None:
    """The notes' three queries, without any of our protections, find the same rows."""
    columns = ["sf.snappt_property_id_c", "sf.reverse_etl_id_c"]
    for source in FLAGS_AND_SOURCES.values():
        prefix = source.removesuffix("_enabled")
        columns += [
            f"coalesce(feat.{source}, false)",
            f"cast(feat.{prefix}_enabled_at as date)",
            f"cast(feat.{prefix}_updated_at as date)",
        ]
    plain = incident.query(
        f"select {', '.join(columns)} from {SALESFORCE} sf"
        f" left join {FEATURES} feat on sf.snappt_property_id_c = feat.property_id"
        f" where {WANTED_FROM_THE_NOTES[relation]} order by all"
    )
    selected = "* exclude (batch_number)" if relation.endswith("backfill") else "*"
    ours = incident.query(f"select {selected} from crm.sfdc_dbx.{relation} order by all")
    assert ours == plain
    assert len(ours) == {"sync": 2815, "backfill": 1296, "recent": 1716}[relation.split("_")[-1]]


def test_the_loop_from_incident_to_proof(loop: Project) -> None:
    before = loop.dbt("test", *INCIDENT)
    assert failures(before) == {PROOF: 2815}
    assert f"Failure in test {PROOF}" in loop.output
    assert "Salesforce still differs." in loop.output

    assert simulate_sync(loop, "{relation: product_property_feature_sync}")
    assert "2,815 updated, 0 unmatched" in loop.output

    after = loop.dbt("test", *INCIDENT)
    assert after.success, failures(after)
    assert loop.count("crm.sfdc_dbx.product_property_feature_sync") == 0
    assert mismatches(loop) == 2815  # as of the last build

    assert loop.dbt("build", *INCIDENT).success, loop.output
    assert mismatches(loop) == 0
    synced = contents(loop)
    assert loop.dbt("build", *INCIDENT).success, loop.output
    assert contents(loop) == synced


def test_every_single_mismatch_fails_the_test_after_the_sync(loop: Project) -> None:
    """The proof does not depend on the comparison, and one wrong flag is enough."""
    assert simulate_sync(loop, "{relation: product_property_feature_sync}")
    for flag in FLAGS_AND_SOURCES:
        loop.query(
            f"update {SALESFORCE} set {flag} = not {flag}"
            f" where id = (select min(id) from {SALESFORCE} where not {flag})"
        )
    loop.query("create or replace view crm.sfdc_dbx.product_property_feature_sync as select 1")
    result = loop.dbt("test", "--select", PROOF, *INCIDENT)
    differing = loop.count("crm.sfdc_dbx_staging.int_product_properties_compared", "is_mismatched")
    assert 0 < differing <= len(FLAGS_AND_SOURCES)
    assert failures(result) == {PROOF: differing}


@pytest.mark.slow
def test_backfill_in_batches_repairs_exactly_its_cohort(loop: Project) -> None:
    others = f"select * from {SALESFORCE} where created_date < date '2025-11-21' order by all"
    untouched = loop.query(others)
    for number in range(1, 27):
        arguments = f"{{relation: product_property_feature_backfill, batch_number: {number}}}"
        assert simulate_sync(loop, arguments)
        assert f"{46 if number == 26 else 50} updated" in loop.output
    assert loop.dbt("run", *INCIDENT).success, loop.output
    cohort = loop.query(
        "select mismatched from crm.sfdc_dbx.feature_sync_summary"
        " where cohort = 'as_of_date' and product = 'All products'"
    )
    assert cohort == [(0,)]
    assert mismatches(loop) == 1589
    assert loop.query(others) == untouched


def test_new_properties_are_right_from_the_first_day(loop: Project) -> None:
    """350 properties are new, 331 of them have a feature row; after the sync none differs."""
    create = "crm.sfdc_dbx.product_property_create"
    new = [key for (key,) in loop.query(f"select reverse_etl_id_c from {create}")]
    assert len(new) == 350
    any_flag = " or ".join(FLAGS_AND_SOURCES)
    on_at_once = loop.count(create, any_flag)
    assert on_at_once > 300
    assert simulate_sync(loop, "{relation: product_property_create}")
    assert "0 updated, 350 created, 0 unmatched" in loop.output

    assert loop.count(create) == 0
    assert loop.count(SALESFORCE) == 17102 + 350
    created = loop.query(
        f"select name from {SALESFORCE} where id like 'simulated %' and ({any_flag})"
    )
    assert len(created) == on_at_once
    assert all(name for (name,) in created)
    differing = loop.query(
        "select reverse_etl_id_c from crm.sfdc_dbx.product_property_feature_sync"
    )
    assert len(differing) == 2815
    assert not {key for (key,) in differing} & {*new}
    assert simulate_sync(loop, "{relation: product_property_create}")
    assert "0 updated, 0 created" in loop.output


def test_what_salesforce_has_is_not_created(loop: Project) -> None:
    """Deleted there, or its sync key taken, which is reported."""
    create = "crm.sfdc_dbx.product_property_create"
    deleted, taken = (
        id for (id,) in loop.query(f"select snappt_property_id_c from {create} order by 1 limit 2")
    )
    loop.query(
        f"insert into {SALESFORCE} by name select 'deleted' as id, true as is_deleted,"
        f" '{deleted}' as snappt_property_id_c; insert into {SALESFORCE} by name"
        f" select 'taken' as id, 'prop_{taken}' as reverse_etl_id_c, '0' as snappt_property_id_c"
    )
    result = loop.dbt("build", *INCIDENT)
    assert result.success, loop.output
    assert failures(result) == {"assert_everything_can_be_synced": 1}
    reason = loop.query(
        "select reverse_etl_id_c, sync_exception from crm.sfdc_dbx.product_property_sync_exceptions"
    )
    assert reason == [(f"prop_{taken}", "sync_key_taken")]
    assert loop.count(create) == 348


def test_the_history_says_how_long_it_took(loop: Project) -> None:
    """One row a run and product, kept by a full refresh, and the time until nothing differed."""
    history, zero = "crm.sfdc_dbx.feature_accuracy_history", "crm.sfdc_dbx.feature_time_to_zero"
    total = "product = 'All products'"
    assert loop.count(history) == len(PRODUCTS) + 1
    assert simulate_sync(loop, "{relation: product_property_feature_sync}")
    assert loop.dbt("run", "--full-refresh", *INCIDENT).success, loop.output
    runs = loop.query(
        f"select properties, mismatched, sync_exceptions, is_guard_tripped from {history}"
        f" where {total} order by measured_at"
    )
    assert runs == [(17102, 2815, 0, False), (17102, 0, 0, False)]
    assert loop.count(history) == 2 * (len(PRODUCTS) + 1)
    rises = loop.query(f"select mismatched_before, mismatched, zero_at from {zero} where {total}")
    times = loop.query(f"select measured_at from {history} where {total} order by all")
    assert rises == [(0, 2815, *times[1])]


def test_without_a_given_day_the_clock_is_the_engine_s(loop: Project) -> None:
    """Read at the same moment as the clock, so that midnight cannot come between them."""
    assert loop.dbt("run", "--select", "+feature_sync_summary").success, loop.output
    summary = "crm.sfdc_dbx.feature_sync_summary"
    assert loop.query(f"select distinct as_of_date = current_date from {summary}") == [(True,)]


def test_dates_are_compared_when_asked(loop: Project) -> None:
    """240 seeded properties have the right flags and stale dates."""
    asked = ("--vars", "{as_of_date: 2025-11-21, compare_feature_dates: true}")
    assert loop.dbt("run", *asked).success, loop.output
    assert mismatches(loop) == 2815 + 240
    assert loop.count("crm.sfdc_dbx.feature_mismatches", "mismatch_kind = 'dates_differ'") >= 240
    proof = ("test", "--select", PROOF, *asked)
    assert failures(loop.dbt(*proof)) == {PROOF: 2815 + 240}
    assert simulate_sync(loop, "{relation: product_property_feature_sync}", *asked)
    assert loop.dbt(*proof).success


ONLY_PROOF = ("--select", PROOF)
SELECTIONS = {
    "everything": (),
    "all but one model": ("--exclude", "product_property_create"),
    "what a model needs": ("--select", "+product_property_feature_sync"),
    "the proof alone": ONLY_PROOF,
    "seeds": ("--select", "resource_type:seed"),
}


def test_a_build_proves_nothing_and_keeps_the_seeds_whatever_is_selected(
    loop: Project, subtests: pytest.Subtests
) -> None:
    """Before the sync there are 2,815 mismatches, and after it a build must not undo it."""
    assert simulate_sync(loop, "{relation: product_property_create}")
    for name, selection in SELECTIONS.items():
        with subtests.test(name):
            assert loop.dbt("build", *selection, *INCIDENT).success, loop.output
            assert loop.count(SALESFORCE) == 17102 + 350
    loop.query("drop table crm.sfdc_dbx_staging.int_product_properties_at_build")
    assert not loop.dbt("build", *ONLY_PROOF, GUARD_TEST, "feature_mismatches", *INCIDENT).success
    assert loop.dbt("run", "--select", "int_product_properties_at_build", *INCIDENT).success
    assert not loop.dbt("test", "--write-json", *ONLY_PROOF, *INCIDENT).success
    assert not loop.dbt("retry").success  # of a test that failed
    assert failures(loop.dbt("test", "--selector", "after_sync", *INCIDENT)) == {PROOF: 2815}


def test_a_build_that_failed_empties_the_backfill_and_can_be_retried(loop: Project) -> None:
    """What was skipped runs again, the proof too, which is still before the sync."""
    backfill = "crm.sfdc_dbx.product_property_feature_backfill"
    model = loop.path / "models/intermediate/int_product_features_latest.sql"
    sql = model.read_text()
    model.write_text(f"{sql}\nno sql")
    assert not loop.dbt("build", "--write-json", *INCIDENT).success
    assert "The backfill could not be built, so it is emptied" in loop.output
    assert loop.count(backfill) == 0
    model.write_text(sql)
    result = loop.dbt("retry")
    assert result.success, loop.output
    assert PROOF in {run.node.name for run in result.result}
    assert loop.count(backfill) == 1296

    model = loop.path / "models/marts/census/product_property_feature_backfill.sql"
    model.write_text(f"{model.read_text()}\nno sql")
    assert not loop.dbt("run", "--select", model.stem, *INCIDENT).success
    assert loop.count(backfill) == 0


# A data test, the relation that is damaged and how many rows the test finds then; by damage.
DAMAGES = {
    ("every_record_is_compared_once", "at_build", 1): {
        "a record twice": "from {0} union all (from {0} limit 1)",
        "no id": "select * replace (null as salesforce_id) from {} limit 1",
    },
    ("every_new_sync_key_is_unique", "not_in_salesforce", 1): {
        "a sync key in another case": (
            "from {0} union all (select * replace (upper(reverse_etl_id_c) as reverse_etl_id_c)"
            " from {0} limit 1)"
        ),
        "no sync key": "select * replace (null as reverse_etl_id_c) from {} limit 1",
    },
    ("one_row_per_feature_mismatches", "feature_mismatches", 1): {
        "a row twice": "from {0} union all (from {0} limit 1)",
        "no key": "select * replace (null as product) from {} limit 1",
        "an unknown kind": "select * replace ('other' as mismatch_kind) from {} limit 1",
    },
    ("assert_every_count", "feature_mismatches", 1): {
        "a mismatch is not listed": (
            "from {0} where salesforce_id <> (select max(salesforce_id) from {0})"
        ),
    },
    ("assert_every_count", "at_build", 1): {
        "nothing is marked as mismatched": "select * replace (false as is_mismatched) from {}",
    },
    ("assert_every_count", "feature_sync_summary", 1): {
        "the summary counts another mismatch": (
            "select * replace (mismatched + 1 as mismatched) from {}"
        ),
    },
    ("assert_backfill", "backfill", 1): {
        "a batch without a number": (
            "select * replace (nullif(batch_number, 26) as batch_number) from {}"
        ),
        "a batch that is not full": (
            "from {0} where reverse_etl_id_c <> (select min(reverse_etl_id_c) from {0})"
        ),
        "a gap between batches": "from {} where batch_number <> 2",
    },
    ("assert_adoption", "product_adoption", len(PRODUCTS)): {
        "the adoption counts too few": (
            "select * replace (properties_on - (started_month in ('all', max(started_month) filter"
            " (started_month <> 'all') over (partition by product)))::int as properties_on) from {}"
        ),
    },
    ("assert_everything_can_be_synced", "sync_exceptions", 1): {
        "an exception": "select null",
    },
    ("assert_guard_is_open", "feature_sync_guard", 1): {
        "two verdicts": "from {0} union all select * replace (true as is_tripped) from {0}",
    },
}


def test_every_data_test_finds_what_it_is_for(incident: Project, subtests: pytest.Subtests) -> None:
    """On the relations of the incident, one of them damaged at a time."""
    compiled = incident.dbt("compile", "--select", "resource_type:test", *INCIDENT)
    tests = {run.node.name: run.node.compiled_code for run in compiled.result}
    for (test, relation, found), damages in DAMAGES.items():
        (sql,) = (code for name, code in tests.items() if name.startswith(test))
        (name,) = set(re.findall(rf'"crm"\."\w+"\."\w*{relation}"', sql))
        assert not incident.query(sql)
        for damage, damaged in damages.items():
            with subtests.test(damage):
                assert len(incident.query(sql.replace(name, f"({damaged.format(name)})"))) == found


def test_moving_salesforce_to_unity_catalog_changes_one_var(loop: Project) -> None:
    before = contents(loop)
    loop.query("create schema crm.salesforce")
    loop.query(f"create table crm.salesforce.product_property_c as from {SALESFORCE}")
    loop.query(f"drop table {SALESFORCE}")

    moved = ("--vars", "{salesforce_catalog: crm, as_of_date: 2025-11-21}")
    assert loop.dbt("run", *moved).success, loop.output
    after = contents(loop)
    del after["salesforce.product_property_c"]
    assert after == before

    assert simulate_sync(loop, "{relation: product_property_feature_sync}", *moved)
    assert loop.dbt("test", *moved).success
