"""The simulated sync does what Census documents for an Update sync."""

from engines import Project, simulate_sync
from source_tables import SOURCE_TABLES

SALESFORCE = SOURCE_TABLES["product_property_c"]
BACKFILL_NAME = "product_property_feature_backfill"
BACKFILL = f"crm.sfdc_dbx.{BACKFILL_NAME}"


def test_update_keyed_on_the_sync_key(loop: Project) -> None:
    """One row of each kind, sent through the backfill table because it can be written to."""
    keys = loop.query(f"select reverse_etl_id_c from {BACKFILL} order by all limit 6")
    plain, null_key, twice, unmatched, rejected, deleted = (key for (key,) in keys)
    for statement in (
        f"delete from {BACKFILL} where reverse_etl_id_c > '{deleted}'",
        f"update {BACKFILL} set fraud_detection_start_date_c = null",
        f"update {BACKFILL} set reverse_etl_id_c = null where reverse_etl_id_c = '{null_key}'",
        f"insert into {BACKFILL} from {BACKFILL} where reverse_etl_id_c = '{twice}'",
        f"update {BACKFILL} set reverse_etl_id_c = 'no' where reverse_etl_id_c = '{unmatched}'",
        f"insert into {SALESFORCE} select * replace ('copy' as id) from {SALESFORCE}"
        f" where reverse_etl_id_c = '{rejected}'",
        f"update {SALESFORCE} set is_deleted = true where reverse_etl_id_c = '{deleted}'",
        f"insert into {SALESFORCE} select * replace ('its copy' as id, true as is_deleted)"
        f" from {SALESFORCE} where reverse_etl_id_c = '{plain}'",
        f"update {SALESFORCE} set fraud_detection_start_date_c = date '2020-01-01',"
        f" reverse_etl_id_c = ' P' || reverse_etl_id_c[2:] where reverse_etl_id_c = '{plain}'",
        f"update {BACKFILL} set reverse_etl_id_c = upper(reverse_etl_id_c)",
    ):
        loop.query(statement)
    is_plain = f"lower(trim(reverse_etl_id_c)) = '{plain}'"
    others = f"from {SALESFORCE} where not ({is_plain}) or is_deleted order by all"
    before = loop.query(others)

    assert simulate_sync(loop, f"relation: {BACKFILL_NAME}")
    assert "1 updated, 2 unmatched" in loop.output
    assert "1 rejected" in loop.output
    assert "3 dropped" in loop.output

    assert loop.query(others) == before
    expected = loop.query(
        f"select cast(fraud_detection_updated_date_c as date) from {BACKFILL} where {is_plain}"
    )
    changed = loop.query(
        "select fraud_detection_start_date_c, last_modified_date > timestamp '2026-01-01',"
        f" fraud_detection_updated_date_c from {SALESFORCE} where {is_plain} and not is_deleted"
    )
    assert changed == [(None, True, expected[0][0])]


def test_the_hourly_job_does_not_replace_an_unfinished_backfill(loop: Project) -> None:
    """A build without a day keeps the cohort until all of it is right, and moves on then."""
    days = f"select distinct batch_number from {BACKFILL} order by all"
    batches = loop.query(days)
    assert simulate_sync(loop, f"{{relation: {BACKFILL_NAME}, batch_number: 1}}")
    assert "batch 1: 50 updated, 0 unmatched" in loop.output
    assert loop.dbt("run").success, loop.output
    assert "The backfill keeps the properties of 2025-11-21, because 1,1" in loop.output
    assert loop.query(days) == batches
    assert loop.count(BACKFILL) == 1296
    summary = "crm.sfdc_dbx.feature_sync_summary"
    assert loop.query(f"select distinct as_of_date = current_date from {summary}") == [(True,)]

    assert simulate_sync(loop, f"relation: {BACKFILL_NAME}", "--vars", "{}")
    assert "1,296 updated, 0 unmatched" in loop.output
    assert loop.dbt("run").success, loop.output
    assert loop.count(BACKFILL) == 0  # nothing was created today


def test_wrong_arguments_are_refused(incident: Project) -> None:
    before = incident.query(f"from {SALESFORCE} order by all")
    assert not simulate_sync(incident, "{relation: product_property_c, batch_number: 1}")
    assert "relation is 'product_property_c', expected one of product_property_f" in incident.output
    assert "batch_number is a whole" in incident.output
    assert incident.query(f"from {SALESFORCE} order by all") == before
