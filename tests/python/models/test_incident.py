"""The figures of the incident, its repair and the proof."""

import os
import re
from collections import Counter
from unittest import mock

import pytest
from dbt.contracts.graph.nodes import CompiledNode
from engines import (
    CENSUS_RELATIONS,
    EMAIL,
    INCIDENT,
    PROOF,
    PROPERTIES,
    ROOT,
    Project,
    failures,
    simulate_sync,
    written,
)
from mapping import PRODUCTS
from oracle import CENSUS_COLUMNS
from source_tables import FLAGS_AND_SOURCES, SOURCE_TABLES

SYNC, _, BACKFILL, CREATE = CENSUS_RELATIONS
SALESFORCE = SOURCE_TABLES["product_property_c"]
FEATURES = SOURCE_TABLES["product_property_w_features"]


def contents(project: Project) -> dict[str, list[tuple]]:
    """Every row of every relation of the project, without the history and the time of the build."""
    relations = project.query(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_catalog = 'crm' and table_name not in ('product_property_w_features',"
        " 'feature_accuracy_history') order by all"
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


def test_the_figures_of_the_incident(incident: Project) -> None:
    assert incident.count(SALESFORCE) == 17102
    assert incident.count(FEATURES) == 22784
    assert incident.count(f"crm.sfdc_dbx.{CREATE}") == 350
    assert incident.count("crm.sfdc_dbx.product_property_sync_exceptions") == 0
    rows = incident.query(
        "select cohort, product, properties, on_in_salesforce, should_be_on,"
        " missing_in_salesforce, mismatched from crm.sfdc_dbx.feature_sync_summary"
    )
    summary = {(cohort, product): counts for cohort, product, *counts in rows}
    assert {product for _, product in summary} == {"All products", *(one.name for one in PRODUCTS)}
    for product, wrong in {
        "All products": 1226,
        "Fraud Detection": 1226,
        "Income Verification": 1176,
        "ID Verification": 7,
        "Connected Payroll": 5,
        "Bank Linking": 4,
        "IDV Only Mode": 0,
        "Verification of Rent": 0,
    }.items():
        assert summary["as_of_date", product] == [1296, 0, wrong, wrong, wrong]
    assert summary["before", "All products"][-1] == 1589
    assert summary["all", "All products"][0] == 17102
    assert mismatches(incident) == 2815
    batches = incident.query(
        "select batch_number, count(*), min(reverse_etl_id_c), max(reverse_etl_id_c)"
        f" from crm.sfdc_dbx.{BACKFILL} group by all order by all"
    )
    sizes = [(number, size) for number, size, *_ in batches]
    assert sizes == [*((number, 50) for number in range(1, 26)), (26, 46)]
    keys = [key for *_, first, last in batches for key in (first, last)]
    assert keys == sorted(keys)


def test_the_unit_tests_pass(incident: Project) -> None:
    unit = ("test", "--select", "test_type:unit", *INCIDENT)
    assert incident.dbt(*unit, unit_tests=True).success, incident.output


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
    """New properties are created right, the wrong ones repaired, and then nothing differs.

    Neither rows nor secrets of the environment are written to a file.
    """
    before = loop.dbt("test", "--write-json", *INCIDENT)
    assert failures(before) == {PROOF: 2815}
    assert "Salesforce still differs." in loop.output
    names = re.findall(r"env_var\('(\w+)'", (ROOT / "profiles.yml.example").read_text())
    secrets = dict.fromkeys({*names} - {"DBT_PROJECT_DIR"}, "dapi0123456789marker")
    assert len(secrets) > 4
    with mock.patch.dict(os.environ, secrets):
        # It judges as the command that it repeats.
        assert failures(loop.dbt("retry")) == {PROOF: 2815}
        assert loop.dbt("docs", "generate", "--static", *INCIDENT).success, loop.output
    assert "Got 2815 results" in (loop.path / "logs" / "dbt.log").read_text()
    assert not written(loop.path, "dapi0123456789marker", PROPERTIES, EMAIL)

    any_flag = " or ".join(FLAGS_AND_SOURCES)
    on_at_once = loop.count(f"crm.sfdc_dbx.{CREATE}", any_flag)
    assert on_at_once > 300
    assert simulate_sync(loop, f"relation: {CREATE}")
    assert "0 updated, 350 created, 0 unmatched" in loop.output
    created = f"id like 'simulated %' and name is not null and ({any_flag})"
    assert loop.count(SALESFORCE, created) == on_at_once
    assert loop.count(f"crm.sfdc_dbx.{SYNC}") == 2815

    assert simulate_sync(loop, f"relation: {SYNC}")
    assert "2,815 updated, 0 unmatched" in loop.output
    after = loop.dbt("test", *INCIDENT)
    assert after.success, failures(after)
    assert not re.search("found 0|columns are there", loop.output)
    assert loop.count(f"crm.sfdc_dbx.{SYNC}") == 0
    assert mismatches(loop) == 2815  # as of the last build

    assert loop.dbt("build", *INCIDENT).success, loop.output
    assert mismatches(loop) == 0
    assert loop.count(SALESFORCE) == 17102 + 350  # a build does not load the seeds again
    synced = contents(loop)
    assert loop.dbt("run", "--full-refresh", *INCIDENT).success, loop.output
    assert contents(loop) == synced
    history = loop.query(
        "select mismatched from crm.sfdc_dbx.feature_accuracy_history"
        " where product = 'All products' order by measured_at"
    )
    assert history == [(2815,), (0,), (0,)]
    episodes = loop.query(
        "select closed_as, count(distinct salesforce_id)"
        " from crm.sfdc_dbx.feature_mismatch_episodes group by all"
    )
    assert episodes == [("repaired", 2815)]

    # One wrong flag is enough, and the proof does not read the relations that Census reads.
    for flag in FLAGS_AND_SOURCES:
        loop.query(
            f"update {SALESFORCE} set {flag} = not {flag}"
            f" where id = (select min(id) from {SALESFORCE} where not {flag})"
        )
    wrong = loop.count(f"crm.sfdc_dbx.{SYNC}")
    assert 0 < wrong <= len(FLAGS_AND_SOURCES)
    loop.query(f"create or replace view crm.sfdc_dbx.{SYNC} as select 1")
    assert failures(loop.dbt("test", "--selector", "after_sync", *INCIDENT)) == {PROOF: wrong}


def test_a_build_that_failed_empties_the_backfill_and_can_be_retried(loop: Project) -> None:
    """The skipped nodes run again, and the proof with them, which does not judge before a sync."""
    model = loop.path / "models/intermediate/int_product_features_latest.sql"
    sql = model.read_text()
    model.write_text(f"{sql}\nno sql")
    loop.query(f"update {SALESFORCE} set name = 'mine'")
    assert not loop.dbt("build", "--write-json", *INCIDENT).success
    assert "The backfill could not be built, so it is emptied" in loop.output
    assert loop.count(f"crm.sfdc_dbx.{BACKFILL}") == 0
    model.write_text(sql)
    result = loop.dbt("retry")
    assert result.success, loop.output
    assert PROOF in {run.node.name for run in result.result}
    assert loop.count(f"crm.sfdc_dbx.{BACKFILL}") == 1296
    assert loop.count(SALESFORCE, "name = 'mine'") == 17102


# One of the records that differ
ONE = "(select min(salesforce_id) from crm.sfdc_dbx.feature_mismatches)"
EXCEPTION = (
    "select * replace (if(salesforce_id = {1}, '', sync_exception) as sync_exception) from {0}"
)
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
        )
    },
    ("assert_every_count", "at_build", 1): {
        "nothing is marked as mismatched": "select * replace (false as is_mismatched) from {}"
    },
    ("assert_every_count", "feature_sync_summary", 1): {
        "the summary counts another mismatch": (
            "select * replace (mismatched + 1 as mismatched) from {}"
        ),
        "the summary is empty": "from {} where false",
    },
    ("assert_everything_can_be_synced", "sync_exceptions", 1): {"an exception": "select null"},
    ("assert_guard_is_open", "feature_sync_guard", 1): {
        "two verdicts": "from {0} union all select * replace (true as is_tripped) from {0}",
        "an old build": "select * replace (built_at - interval 27 hour as built_at) from {}",
    },
    ("assert_nothing_differs", "feature_sync_guard", 2816): {
        "a build that was tripped": "select * replace (true as is_tripped) from {}",
        "no build": "from {} where false",
    },
    ("assert_nothing_differs", "at_build", 2814): {"could not be synced": EXCEPTION},
    ("assert_nothing_differs", "properties_validated", 2814): {"cannot be synced": EXCEPTION},
}


@pytest.fixture(scope="module")
def compiled(incident: Project) -> dict[str, CompiledNode]:
    """Return the data tests and the Census relations by name."""
    chosen = ("--select", "resource_type:test", *CENSUS_RELATIONS)
    return {run.node.name: run.node for run in incident.dbt("compile", *chosen, *INCIDENT).result}


def test_mapping_contracts_and_document_agree(
    incident: Project, compiled: dict[str, CompiledNode]
) -> None:
    """A column that the features table has and the mapping lacks is a forgotten product."""
    for relation in CENSUS_RELATIONS:
        extra = {BACKFILL: ["batch_number"], CREATE: ["name"]}.get(relation, [])
        documented = [*CENSUS_COLUMNS, *extra]
        built = incident.query(f"describe crm.sfdc_dbx.{relation}")
        assert compiled[relation].config.contract.enforced
        assert list(compiled[relation].columns) == [name for name, *_ in built] == documented
    names = "select column_name from (describe crm.{})"
    mapped = incident.query(names.format("sfdc_dbx_staging.int_product_features_latest"))
    assert incident.query(names.format("sfdc_dbx.product_property_w_features")) == mapped


def test_every_data_test_finds_what_it_is_for(
    incident: Project, compiled: dict[str, CompiledNode], subtests: pytest.Subtests
) -> None:
    """On the relations of the incident, one of them damaged at a time."""
    tests = {name: node.compiled_code for name, node in compiled.items()}
    for (test, relation, found), damages in DAMAGES.items():
        (sql,) = (code for name, code in tests.items() if name.startswith(test))
        (name,) = set(re.findall(rf'"crm"\."\w+"\."\w*{relation}"', sql))
        assert len(incident.query(sql)) == (2815 if test == "assert_nothing_differs" else 0)
        for damage, damaged in damages.items():
            with subtests.test(damage):
                assert (
                    len(incident.query(sql.replace(name, f"({damaged.format(name, ONE)})")))
                    == found
                )

    # One record was created since the build, which the limit just allows; the others are older.
    at_build = '"crm"."sfdc_dbx_staging"."int_product_properties_at_build"'
    sql = tests[PROOF].replace(at_build, f"(from {at_build} where salesforce_id <> {ONE})")
    sql, limits = re.subn(r"0.1 \* guard.application_properties", "1", sql)
    found = Counter(tuple(row[2:]) for row in incident.query(sql))
    assert found == {("not_arrived", None): 2814, ("new_in_salesforce", limits): 1}
