"""The proof says what moved since the build; every difference has a history; on both engines."""

import re

from engines import INCIDENT, PROOF, Engine, create_table, failures
from source_tables import FLAGS_AND_SOURCES, SEED_TYPES, SOURCE_TABLES

SALESFORCE = SOURCE_TABLES["product_property_c"]
FEATURES = SOURCE_TABLES["product_property_w_features"]
LOG = "crm.sfdc_dbx.feature_mismatch_log"
EPISODES = "crm.sfdc_dbx.feature_mismatch_episodes"
AT_BUILD = "crm.sfdc_dbx_staging.int_product_properties_at_build"
KEPT = "crm.history"
FLAG = "fraud_detection_enabled_c"


def columns_of(seed: str, **expressions: str) -> str:
    """Return the select list of a source table, with other expressions for some columns."""
    return ", ".join(f"{expressions.get(c, f'kept.{c}')} as {c}" for c in SEED_TYPES[seed])


def test_the_proof_says_what_moved_and_the_log_keeps_it(engine: Engine) -> None:
    def count(relation: str, where: str = "true") -> int:
        return engine.query(f"select count(*) from {relation} where {where}")[0][0]

    for name, table in (("salesforce", SALESFORCE), ("features", FEATURES), ("log", LOG)):
        create_table(engine, f"{KEPT}_{name}.kept", f"select * from {table}")
    opened = count(LOG)
    assert opened == count(LOG, "event = 'opened'") == 4661
    causes = "select cause, count(*) from crm.sfdc_dbx.feature_mismatches group by 1"
    assert dict(map(tuple, engine.query(causes))) == {
        "created_without": 2402,
        "source_changed": 1920,
        "unknown": 339,
    }

    # Everything arrives. Then 40 records are edited by hand, and 3 rows of the source change.
    right = [
        property_id
        for (property_id,) in engine.query(
            f"select snappt_property_id_c from {AT_BUILD}"
            " where not is_mismatched and has_feature_row order by 1 limit 43"
        )
    ]
    edited = f"kept.snappt_property_id_c in {tuple(right[:40])}"
    moved = f"kept.property_id in {tuple(right[40:])}"
    flags = {flag: f"coalesce(built.{flag}, kept.{flag})" for flag in FLAGS_AND_SOURCES}
    synced = (
        f"from {KEPT}_salesforce.kept as kept left join {AT_BUILD} as built"
        " on kept.id = built.salesforce_id"
    )
    edit = {
        FLAG: f"case when {edited} then not {flags[FLAG]} else {flags[FLAG]} end",
        "last_modified_date": f"case when {edited} then current_timestamp"
        " else kept.last_modified_date end",
    }
    change = {
        "iv_enabled": f"case when {moved} then not iv_enabled else iv_enabled end",
        "iv_updated_at": f"case when {moved} then current_timestamp else iv_updated_at end",
    }
    create_table(
        engine, SALESFORCE, f"select {columns_of('product_property_c', **flags | edit)} {synced}"
    )
    create_table(
        engine,
        FEATURES,
        f"select {columns_of('product_property_w_features', **change)}"
        f" from {KEPT}_features.kept as kept",
    )
    assert failures(engine.dbt("test", "--select", PROOF, *INCIDENT)) == {PROOF: 43}
    said = " ".join(engine.output.split())
    assert "Salesforce still differs. 0 records have not arrived" in said
    assert re.search(r"newest row is of 20\S+ \S+ UTC \(the build: 20\S+ \S+ UTC\)", said)
    assert "40 were right at the build and have been changed in Salesforce since" in said
    assert "3 have changed in the source of truth since the build" in said
    assert "have been created in Salesforce since" not in said

    assert engine.dbt("run", *INCIDENT).success, engine.output
    assert count(LOG, "closed_because = 'repaired'") == opened
    assert count(LOG, "cause = 'changed_in_salesforce'") == 40
    assert count(EPISODES, "closed_at is null") == 43
    assert count(EPISODES, "closed_as = 'repaired' and minutes >= 0") == opened

    # Everything is as at first, so it opens again.
    create_table(engine, SALESFORCE, f"select * from {KEPT}_salesforce.kept")
    create_table(engine, FEATURES, f"select * from {KEPT}_features.kept")
    assert engine.dbt("run", *INCIDENT).success, engine.output
    assert count(EPISODES, "closed_at is null") == opened
    assert count(EPISODES) == 2 * opened + 43
    create_table(engine, LOG, f"select * from {KEPT}_log.kept")
