"""Ids in another format, rows that come twice, keys and names that Salesforce refuses, wrong times.

One damaged warehouse has all of them, on both engines, and its build is green.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date, datetime

import pyarrow as pa
import pytest
from engines import PROOF, Databricks, Engine, Project, copy_of, failures, simulate_sync
from oracle import Configuration
from source_tables import Row, feature, load, record

# In batches of 1, because the engine that plays Databricks cannot run the test of a single batch.
VARS = ("--vars", Configuration(backfill_batch_size=1).as_vars())
# Types of times, with a time of most rows and one that lies ahead: the first in the year 20225, in
# microseconds, because no datetime holds it.
TIMES = (pa.timestamp("us"), datetime(2025, 11, 20, 12), (20225 - 1970) * 31_556_952_000_000)
DATES = (pa.date32(), date(2025, 11, 20), date(2190, 1, 1))


def salesforce(salesforce_id: str, id: str | None, key: str | None = None, **fields: object) -> Row:
    """Make a record with an id of its own; whatever it has no feature row for is on."""
    return record(id, key or salesforce_id, **{"fraud": True} | fields) | {"id": salesforce_id}


RECORDS = [
    salesforce("right", "1", fraud=False),
    salesforce("no features", "2"),  # as in the application: switched off, and no exception
    # Ids that somebody else writes in another way
    salesforce("float", "7.06222E6"),
    salesforce("whole number", "1000154"),
    salesforce("thousands", "1,000,155"),
    salesforce("no-break spaces", "1\u00a0000\u00a0156"),
    salesforce("prefix", "PROP_44"),
    salesforce("zeros", "0045"),
    salesforce("zeros again", "0045"),
    salesforce("in the application only", "46.0"),
    salesforce("its own features", "47.0", fraud=False),
    # Ids that are not the same
    salesforce("hexadecimal", "12e567"),
    salesforce("19 digits", "9007199254740993123.0"),
    salesforce("ambiguous", "48.0"),
    salesforce("ambiguous too", "048"),
    # Rows that come twice
    salesforce("twice", "51", fraud=False),
    salesforce("twice", "51", fraud=False),
    salesforce("two versions", "52", "old", fraud=False),
    salesforce("two versions", "52", "new", fraud=False),
    salesforce("deleted or not", "53", fraud=False),
    salesforce("deleted or not", "53", fraud=False, is_deleted=True),
    # Sync keys: Salesforce strips spaces, and nothing else
    salesforce("spaces", "61", " spaces  ", fraud=False),
    salesforce("no-break space", "62", "key\u00a0", fraud=False),
    salesforce("tab", "63", "spaces\t", fraud=False),
]
FEATURES = [
    *("1", "7062220", "1000154.0", "1000155", "1000156", "44", "45", "47.0", "12E568", "48"),
    *("9007199254740993124", "51", "52", "53", "61", "62", "63", "71", None),
]
PROPERTIES = [
    *[{"id": id, "name": "Maple Court"} for id in ("1", "2", "7062220", "46", "47", "1000154")],
    {"id": "71", "name": "its older row", "updated_at": datetime(2025, 1, 1)},
    {"id": "71", "name": "its newest row", "updated_at": datetime(2025, 1, 2)},
    {"id": None, "name": "no id"},
    {"id": " None ", "name": "no id either"},
    {"id": "72", "name": None},
    {"id": "73", "name": "\u00a0"},
]
SPELLINGS = {
    **{"float": "7062220", "whole number": "1000154.0", "thousands": "1000155"},
    **{"no-break spaces": "1000156", "prefix": "44", "zeros": "45", "zeros again": "45"},
    **{"in the application only": "46", "new 46": "46.0", "new 47": "47.0"},
    **{"new 7062220": "7.06222E6"},
}
EXCEPTIONS = {
    **dict.fromkeys(SPELLINGS, "id_in_another_format"),
    **dict.fromkeys(("twice", "two versions", "deleted or not"), "repeated_record"),
    **dict.fromkeys(("no-break space", "tab"), "unusual_sync_key"),
    **dict.fromkeys(("new no id", "new no id either"), "blank_property_id"),
    **dict.fromkeys(("new 72", "new 73"), "blank_name"),
}
ON = {"right", "its own features", "spaces"}
OFF = {"no features", "hexadecimal", "19 digits", "ambiguous", "ambiguous too"}


def load_sources(engine: Engine, kind: pa.DataType, synced: date, ahead: date | int) -> None:
    """Load the damaged rows, with times of some type, one of which lies ahead in each table."""
    records = [row | {"_fivetran_synced": synced} for row in RECORDS]
    features = [feature(id, updated=synced) for id in FEATURES]
    records[0]["_fivetran_synced"] = features[0]["fraud_updated_at"] = ahead
    load(engine, "product_property_c", records, _fivetran_synced=kind)
    load(engine, "product_property_w_features", features, fraud_updated_at=kind)
    load(engine, "properties", PROPERTIES, id=pa.string())


@pytest.fixture(scope="module", params=["duckdb", "databricks"])
def engine(
    request: pytest.FixtureRequest, empty_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Yield either engine with the damaged rows."""
    folder = tmp_path_factory.mktemp("ids")
    with (
        nullcontext(copy_of(empty_project.path, folder / "project"))
        if request.param == "duckdb"
        else Databricks(empty_project.path, folder)
    ) as engine:
        load_sources(engine, *TIMES)
        yield engine


def test_the_build_is_green_and_leaves_out_what_nobody_knows(engine: Engine) -> None:
    result = engine.dbt("build", *VARS)
    assert result.success, engine.output
    warnings = {"assert_everything_can_be_synced": len(EXCEPTIONS), "every_feature_row_is_valid": 2}
    assert failures(result) == warnings
    output = " ".join(engine.output.split())
    assert f"found {len(EXCEPTIONS)}. Census is not offered them: product_property_sync" in output
    assert "found 2. Feature rows without a property id match nothing" in output
    exceptions = engine.query(
        "select coalesce(salesforce_id, 'new ' || coalesce(snappt_property_id_c, property_name)),"
        " sync_exception, other_spelling from crm.sfdc_dbx.product_property_sync_exceptions"
    )
    assert len(exceptions) == len(EXCEPTIONS)
    assert {name: exception for name, exception, _ in exceptions} == EXCEPTIONS
    assert {name: other for name, _, other in exceptions if other} == SPELLINGS
    offered = engine.query(
        "select reverse_etl_id_c, fraud_detection_enabled_c"
        " from crm.sfdc_dbx.product_property_feature_sync"
    )
    assert {key for key, is_on in offered if is_on} == ON
    assert {key for key, is_on in offered if not is_on} == OFF
    created = "select snappt_property_id_c, name from crm.sfdc_dbx.product_property_create"
    assert [tuple(row) for row in engine.query(created)] == [("71", "its newest row")]
    if isinstance(engine, Project):  # the simulated sync finds a key as Salesforce does
        for relation, rows in {"create": "1 created", "feature_sync": "8 updated"}.items():
            assert simulate_sync(engine, f"relation: product_property_{relation}", *VARS)
            assert rows in engine.output
        assert engine.dbt("test", "--select", PROOF, *VARS).success, engine.output


def test_freshness_ignores_what_cannot_be(engine: Engine) -> None:
    """A time that lies ahead, columns that are dates, and an empty table."""
    for times in (TIMES, DATES):
        load_sources(engine, *times)
        result = engine.dbt("source", "freshness")
        found = [one for one in result.result if one.node.resource_type == "source"]
        assert [str(one.max_loaded_at)[:10] for one in found] == ["2025-11-20"] * 2
        for rows in (len(RECORDS), len(FEATURES)):
            assert f"has a time that lies ahead in 1 of {rows} rows. It is ignored" in engine.output
        assert "hours old; _staging__sources.yml allows 72" in engine.output
    load(engine, "product_property_w_features", [])
    assert engine.dbt("source", "freshness").success
    assert "is empty: rerun the process that fills it" in engine.output
