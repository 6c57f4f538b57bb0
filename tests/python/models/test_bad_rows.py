"""Bad rows on both engines: every relation holds what the rules of oracle.py demand."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from itertools import product

import oracle
import pyarrow as pa
import pytest
from engines import PROOF, Databricks, Engine, Project, copy_of, failures, simulate_sync
from source_tables import (
    FLAGS_AND_SOURCES,
    ON,
    UPDATED,
    Row,
    feature,
    load,
    load_all,
    numbered,
    record,
)

# In batches of 1, because the engine that plays Databricks cannot run the test of a single batch.
CONFIGURATION = oracle.Configuration(backfill_batch_size=1)
VARS = ("--vars", CONFIGURATION.as_vars())
FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)
TODAY, LATER = datetime(2025, 11, 21, 23, 59, 59, 999999), datetime(2031, 1, 1)
ARABIC = "\u0645\u0646\u0632\u0644"  # written from right to left

# {0} becomes the number of the case.
SYNC_KEYS = [
    *(["key {0}"], [None], [""], ["   "], ["  key {0} "], ["\t\r\n"], ["\u00a0\u2007"]),
    *(["\u200b\ufeff"], ["NULL"], [" None "], ["\tkey {0}"], ["key {0}\u3000"]),
    *(["'{0}\"`;--"], [ARABIC + "{0}"], ["key {0}", "2nd {0}"], ["key {0}"] * 50),
    *(["key {0}", " key {0}"], ["key {0}", "key {0}\n"], ["k{0}", "K{0}"]),
]
PROPERTY_IDS = [  # in Salesforce and in the features table
    *((None, None), ("", ""), ("  ", " "), ("None", "None"), ("nan", "{0}"), ("  {0} ", "{0}")),
    *(("{0}", " {0}  "), ("\ufeff{0}", "{0}"), ("{0}", "{0}\u00a0"), ("{0}\t1", "{0}1")),
    *(("{0}", "{0}.0"), ("{0}", "00{0}"), ("{0}", "{0}\n"), ("p{0}", "P{0}")),
    *(("'{0}\"\\", "'{0}\"\\"), ("{0}", "other {0}")),
    # The same id in another format, and ids that are not the same
    *(("7.06222E6", "7062220"), ("1,000,155", "1000155"), ("1\u00a0000\u00a0156", "1000156")),
    *(("1000154", "1000154.0"), ("PROP_44", "44"), ("0045", "45"), ("12e567", "12E568")),
    ("9007199254740993123.0", "9007199254740993124"),
]
SEVERAL_FEATURE_ROWS = [
    [feature(fraud=False, updated=FIRST), feature(" {0}")],
    [feature(), feature(updated=None), feature(fraud=False, updated=LAST)],
    [feature(fraud=False), feature(), feature(vor_updated_at=LATER)],
    [feature(fraud=False), feature()],
    [feature(updated=None), feature(fraud=None, updated=None)],
    [feature(), feature()],
    [feature(), feature(vor_updated_at=ON), feature(vor_updated_at=FIRST)],
]
DATES = [  # when the product was switched on, and last changed
    *((None, UPDATED), (None, None), (UPDATED, ON), (FIRST, LAST)),
    (datetime(1700, 1, 1), datetime(4000, 12, 31, 23, 59, 59)),
    (datetime(1699, 12, 31, 23, 59, 59), datetime(4001, 1, 1)),
]
# U+0000 is in no name, because neither engine's text can hold it.
NAMES = [
    *(None, "", "Maple Court " * 834, "Maple\r\nCourt\n", "'Maple' \"Court\" `;--\\"),
    *("\\0 \\x00 \\u0000", "{{{{ 1 }}}} {{% raw %}}", f"\u202e{ARABIC}"),
]
CASES: list[tuple[list[Row], list[Row]]] = [
    *(([record(key=key) for key in keys], [feature()]) for keys in SYNC_KEYS),
    ([record(), record("other")], [feature()]),
    ([record(None), record()], [feature()]),
    ([record(None, key=" ")], []),
    ([record(), record(is_deleted=True)], [feature()]),
    *(
        ([record(ours, fraud=is_on)], [feature(theirs)])
        for is_on, (ours, theirs) in product([False, True], PROPERTY_IDS)
    ),
    *(([record(fraud=is_on)], []) for is_on in (None, False, True)),
    ([], [feature()]),
    *(
        ([record(fraud=ours)], [feature(fraud=theirs)])
        for ours, theirs in product([None, False, True], repeat=2)
    ),
    ([record(fraud=None, **dict.fromkeys(FLAGS_AND_SOURCES))], [feature(fraud=None)]),
    *(([record(is_deleted=is_deleted)], [feature()]) for is_deleted in (None, True)),
    *(([record()], rows) for rows in SEVERAL_FEATURE_ROWS),
    *(([record()], [feature(on=on, updated=updated)]) for on, updated in DATES),
    ([record(fraud_detection_start_date_c=LAST.date(), last_modified_date=FIRST)], [feature()]),
    *(
        ([record(fraud=is_on, created=created)], [feature()])
        for is_on, created in product([False, True], [TODAY, None, LATER, FIRST, LAST])
    ),
    ([record(created=TODAY, key="")], [feature()]),
    *(  # no feature row, but a property of the application is called almost the same
        ([record(id, key=f"key {id}", fraud=True)], []) for id in ("46.0", "47.0", "048", "48.0")
    ),
    *(([record(name=name)], [feature()]) for name in NAMES),
]
RECORDS = [numbered(row, 1000 + n) for n, (rows, _) in enumerate(CASES) for row in rows]
REPEATED = [
    {"id": "twice"} | record("51"),
    {"id": "twice"} | record("51"),
    {"id": "two versions"} | record("52", key="old"),
    {"id": "two versions"} | record("52", key="new"),
    {"id": "deleted or not"} | record("53"),
    {"id": "deleted or not"} | record("53", is_deleted=True),
]
STATE = oracle.State(
    features=[numbered(row, 1000 + n) for n, (_, rows) in enumerate(CASES) for row in rows],
    salesforce=[{"id": f"record {n}"} | row for n, row in enumerate(RECORDS)] + REPEATED,
    properties=[
        *({"id": id, "name": "Maple Court"} for id in ("1", "2", "7062220", "46", "47", "48")),
        {"id": "71", "name": "its older row", "updated_at": datetime(2025, 1, 1)},
        {"id": "71", "name": "its newest row", "updated_at": datetime(2025, 1, 2)},
        {"id": None, "name": "no id"},
        {"id": " None ", "name": "no id either"},
        {"id": "72", "name": None},
        {"id": "73", "name": "\u00a0"},
        {"id": "74", "name": "é" * 81},
    ],
)


@pytest.fixture(scope="module", params=["duckdb", "databricks"])
def engine(
    request: pytest.FixtureRequest, empty_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Yield either engine without any table."""
    folder = tmp_path_factory.mktemp("bad_rows")
    if request.param == "duckdb":
        yield copy_of(empty_project.path, folder / "project")
    else:
        with Databricks(empty_project.path, folder) as databricks:
            yield databricks


def test_bad_rows(engine: Engine) -> None:
    load_all(engine, STATE.salesforce, STATE.features, STATE.properties)
    result = engine.dbt("build", *VARS)
    assert result.success, engine.output
    demanded = oracle.relations(STATE, CONFIGURATION)
    invalid = [
        row
        for row in STATE.features
        if oracle.cleaned(row["property_id"]) is None
        or any(isinstance(v, datetime) and not oracle.is_deliverable(v) for v in row.values())
    ]
    assert failures(result) == {
        "every_feature_row_is_valid": len(invalid),
        "assert_everything_can_be_synced": len(demanded["product_property_sync_exceptions"]),
    }
    for relation, rows in demanded.items():
        columns = ", ".join(oracle.COLUMNS[relation])
        where = oracle.WHERE.get(relation, "true")
        found = engine.query(f"select {columns} from crm.sfdc_dbx.{relation} where {where}")
        assert Counter(map(tuple, found)) == Counter(rows), relation
        assert rows, relation

    names = {row["id"]: row["name"] for row in STATE.salesforce}
    for relation in ("feature_mismatches", "product_property_sync_exceptions"):
        shown = engine.query(f"select salesforce_id, property_name from crm.sfdc_dbx.{relation}")
        assert all(names[salesforce_id] == name for salesforce_id, name in shown if salesforce_id)

    if isinstance(engine, Project):  # after both syncs nothing differs but the exceptions
        for relation in ("product_property_create", "product_property_feature_sync"):
            assert simulate_sync(engine, f"relation: {relation}", *VARS)
        assert "0 unmatched" in engine.output
        assert engine.dbt("test", "--select", PROOF, *VARS).success, engine.output


def test_freshness_ignores_what_cannot_be(engine: Engine) -> None:
    """A time that lies ahead, where days are kept, and an empty table."""
    day, ahead = date(2025, 11, 20), date(2190, 1, 1)
    rows = [record(_fivetran_synced=day), record(_fivetran_synced=ahead)]
    on_databricks = isinstance(engine, Databricks)
    load_all(engine, [], [feature(updated=None)] * on_databricks)
    load(engine, "product_property_c", rows, _fivetran_synced=pa.date32())
    result = engine.dbt("source", "freshness", *VARS)
    found = [one for one in result.result if one.node.name == "product_property_c"]
    assert [str(one.max_loaded_at)[:10] for one in found] == [str(day)]
    assert "has a time that lies ahead in 1 of 2 rows. It is ignored" in engine.output
    assert re.search(
        r"The newest row of \S+product_property_c\S* is [\d,]+ hours old", engine.output
    )
    features = r"No row of \S+w_features\S* says" if on_databricks else r"w_features\S* is empty"
    assert re.search(features, engine.output)
