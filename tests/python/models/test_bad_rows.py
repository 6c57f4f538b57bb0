"""Bad rows, each with the outcome that it has, on both engines."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

import oracle
import pyarrow as pa
import pytest
from conftest import (
    FLAGS_AND_SOURCES,
    GUARD_TEST,
    Databricks,
    Engine,
    Project,
    copy_of,
    failures,
    offered,
)
from dbt.cli.main import dbtRunnerResult
from source_tables import ON, SMALL, UPDATED, Row, feature, load, load_all, numbered, record

# In batches of 1, because the engine that plays Databricks cannot run the test of a single batch.
VARS = ("--vars", f"{{{SMALL}, backfill_batch_size: 1}}")
FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)
TODAY, LATER = datetime(2025, 11, 21, 23, 59, 59, 999999), datetime(2031, 1, 1)
LONG = "Maple Court " * 834  # 10,008 characters
ARABIC = "\u0645\u0646\u0632\u0644"  # written from right to left


class Case(NamedTuple):
    """Rows of both tables, in which {0} is the number of the case, and what becomes of them."""

    records: list[Row]
    features: list[Row]
    outcome: str  # of each record, as `outcomes` says it


ALONE = "left alone"
FRAUD, OFF = "sync: fraud on", "sync: all off"
CLEARED = "sync: all off, started never, changed never"
BLANK_KEY, SAME_KEY, BLANK_ID = (
    f"exception: {kind}" for kind in ("blank_sync_key", "duplicate_sync_key", "blank_property_id")
)

CASES = {
    # The sync key
    "a good key": Case([record()], [feature()], FRAUD),
    "key NULL": Case([record(key=None)], [feature()], BLANK_KEY),
    "key empty": Case([record(key="")], [feature()], BLANK_KEY),
    "key of spaces": Case([record(key="   ")], [feature()], BLANK_KEY),
    "key padded": Case([record(key="  key {0} ")], [feature()], FRAUD),
    "key twice": Case([record()] * 2, [feature()], SAME_KEY),
    "key fifty times": Case([record()] * 50, [feature()], SAME_KEY),
    "key twice, once padded": Case([record(), record(key=" key {0}")], [feature()], SAME_KEY),
    "key twice, of two properties": Case([record(), record("other")], [feature()], SAME_KEY),
    "key twice and no property": Case([record(None), record()], [feature()], SAME_KEY),
    "key twice, once deleted": Case(
        [record(), record(is_deleted=True)], [feature()], f"{FRAUD} | not there"
    ),
    "keys that differ in case": Case(
        [record(key="k{0}"), record(key="K{0}")], [feature()], SAME_KEY
    ),
    "key of tabs and line ends": Case([record(key="\t\r\n")], [feature()], BLANK_KEY),
    "key of no-break spaces": Case([record(key="\u00a0\u2007")], [feature()], BLANK_KEY),
    "key of invisible characters": Case([record(key="\u200b\ufeff")], [feature()], BLANK_KEY),
    "key that says NULL": Case([record(key="NULL")], [feature()], BLANK_KEY),
    "key that says None": Case([record(key=" None ")], [feature()], BLANK_KEY),
    "key padded with a tab": Case([record(key="\tkey {0}")], [feature()], FRAUD),
    "key padded with a wide space": Case([record(key="key {0}\u3000")], [feature()], FRAUD),
    "key twice, once with a line end": Case(
        [record(), record(key="key {0}\n")], [feature()], SAME_KEY
    ),
    "property twice with two keys": Case([record(), record(key="2nd {0}")], [feature()], FRAUD),
    "key with quotes": Case([record(key="'{0}\"`;--")], [feature()], FRAUD),
    "key from right to left": Case([record(key=ARABIC + "{0}")], [feature()], FRAUD),
    # The property's id: text, in which only blanks at the ends do not count
    "id NULL": Case([record(None)], [feature(None)], BLANK_ID),
    "id empty": Case([record("")], [feature("")], BLANK_ID),
    "id of spaces": Case([record("  ")], [feature(" ")], BLANK_ID),
    "no id and no key": Case([record(None, key=" ")], [], BLANK_KEY),
    "id padded in Salesforce": Case([record("  {0} ")], [feature()], FRAUD),
    "id padded in the features": Case([record()], [feature(" {0}  ")], FRAUD),
    "id that says None": Case([record("None")], [feature("None")], BLANK_ID),
    "id that says nan": Case([record("nan")], [], BLANK_ID),
    "id with a byte order mark": Case([record("\ufeff{0}")], [feature()], FRAUD),
    "id with a no-break space": Case([record()], [feature("{0}\u00a0")], FRAUD),
    "id with a tab inside": Case([record("{0}\t1")], [feature("{0}1")], ALONE),
    "no feature row, all off": Case([record()], [], ALONE),
    "no feature row, one on": Case([record(fraud=True)], [], CLEARED),
    "feature row only": Case([], [feature()], ""),
    "id with .0, off": Case([record()], [feature("{0}.0")], ALONE),
    "id with .0, on": Case([record(fraud=True)], [feature("{0}.0")], CLEARED),
    "id with zeros before it, off": Case([record()], [feature("00{0}")], ALONE),
    "id with zeros before it, on": Case([record(fraud=True)], [feature("00{0}")], CLEARED),
    "id with a line end": Case([record()], [feature("{0}\n")], FRAUD),
    "id in another case": Case([record("p{0}")], [feature("P{0}")], ALONE),
    "id with quotes": Case([record("'{0}\"\\")], [feature("'{0}\"\\")], FRAUD),
    # More than one feature row: the newest update of any product decides
    "two feature rows": Case(
        [record()], [feature(fraud=False, updated=FIRST), feature(" {0}")], FRAUD
    ),
    "three, the newest off": Case(
        [record(fraud=True)],
        [feature(), feature(updated=None), feature(fraud=False, updated=LAST)],
        "sync: all off, changed never",
    ),
    "three, the newest for another product": Case(
        [record()], [feature(fraud=False), feature(), feature(vor_updated_at=LATER)], FRAUD
    ),
    "two updated at once, on wins": Case([record()], [feature(fraud=False), feature()], FRAUD),
    "two never updated, on wins": Case(
        [record()],
        [feature(updated=None), feature(fraud=None, updated=None)],
        f"{FRAUD}, changed never",
    ),
    "two that are equal": Case([record()], [feature()] * 2, FRAUD),
    # NULL flags
    "flag NULL in Salesforce, on in the features": Case([record(fraud=None)], [feature()], FRAUD),
    "flag NULL in Salesforce, off in the features": Case(
        [record(fraud=None)], [feature(fraud=False)], OFF
    ),
    "flag NULL on both sides": Case([record(fraud=None)], [feature(fraud=None)], OFF),
    "flag NULL in Salesforce, no feature row": Case([record(fraud=None)], [], CLEARED),
    "flag on in Salesforce, NULL in the features": Case(
        [record(fraud=True)], [feature(fraud=None)], OFF
    ),
    "flag off in Salesforce, NULL in the features": Case([record()], [feature(fraud=None)], ALONE),
    "every flag NULL": Case(
        [record(fraud=None, **dict.fromkeys(FLAGS_AND_SOURCES))], [feature(fraud=None)], OFF
    ),
    "deletion NULL": Case([record(is_deleted=None)], [feature()], FRAUD),
    "deleted": Case([record(is_deleted=True)], [feature()], "not there"),
    # Dates are handed on by day, unless Salesforce cannot hold them, and are no reason to sync
    "start date without flag": Case([record(fraud=True)], [feature(fraud=False)], OFF),
    "flag without start date": Case(
        [record()], [feature(on=None)], f"{FRAUD}, started never"
    ),
    "flag without dates": Case(
        [record()], [feature(on=None, updated=None)], f"{FRAUD}, started never, changed never"
    ),
    "start date in Salesforce only": Case(
        [record(fraud_detection_start_date_c=ON.date())], [feature(fraud=False, on=None)], ALONE
    ),
    "updated before enabled": Case(
        [record()], [feature(on=UPDATED, updated=ON)],
        f"{FRAUD}, started 2024-06-01, changed 2024-05-01",
    ),
    "dates in the first and the last year": Case(
        [record(fraud_detection_start_date_c=LAST.date(), last_modified_date=FIRST)],
        [feature(on=FIRST, updated=LAST)],
        f"{FRAUD}, started never, changed never",
    ),
    "dates at Salesforce's limits": Case(
        [record()],
        [feature(on=datetime(1700, 1, 1), updated=datetime(4000, 12, 31, 23, 59, 59))],
        f"{FRAUD}, started 1700-01-01, changed 4000-12-31",
    ),
    "dates beyond Salesforce's limits": Case(
        [record()],
        [feature(on=datetime(1699, 12, 31, 23, 59, 59), updated=datetime(4001, 1, 1))],
        f"{FRAUD}, started never, changed never",
    ),
    # The day of creation decides about the recent view and the backfill, not about the sync
    "created at the end of the day": Case(
        [record(created=TODAY)], [feature()], f"{FRAUD}, recent, backfill"
    ),
    "created today and equal": Case(
        [record(fraud=True, created=TODAY)], [feature()], f"{ALONE}, recent, backfill"
    ),
    "created today without key": Case([record(created=TODAY, key="")], [feature()], BLANK_KEY),
    "created NULL": Case([record(created=None)], [feature()], FRAUD),
    "created in the future": Case([record(created=LATER)], [feature()], FRAUD),
    "created in the first year": Case([record(created=FIRST)], [feature()], FRAUD),
    "created in the last year": Case([record(created=LAST)], [feature()], FRAUD),
    # Names are any text. U+0000 is none: neither engine's text can hold it, so it is written here
    # as people write it.
    "name NULL": Case([record(name=None)], [feature()], FRAUD),
    "name of 10,000 characters": Case([record(name=LONG)], [feature()], FRAUD),
    "name with line ends": Case([record(name="Maple\r\nCourt\n")], [feature()], FRAUD),
    "name with quotes": Case([record(name="'Maple' \"Court\" `;--\\")], [feature()], FRAUD),
    "name with the text of a NUL": Case([record(name="\\0 \\x00 \\u0000")], [feature()], FRAUD),
    "name with Jinja": Case([record(name="{{{{ 1 }}}} {{% raw %}}")], [feature()], FRAUD),
    "name from right to left": Case([record(name=f"\u202e{ARABIC}")], [feature()], FRAUD),
}  # fmt: skip


NUMBERS = {name: 1000 + position for position, name in enumerate(CASES)}
RECORDS = {
    name: [
        {"id": f"{NUMBERS[name]}.{position}"} | numbered(row, NUMBERS[name])
        for position, row in enumerate(case.records)
    ]
    for name, case in CASES.items()
}
ALL_RECORDS = [row for rows in RECORDS.values() for row in rows]
ALL_FEATURES = [
    numbered(row, NUMBERS[name]) for name, case in CASES.items() for row in case.features
]


def outcomes(engine: Engine) -> dict[str, str]:
    """Say of each record, by its Salesforce id, what the built relations do with it.

    The dates of Fraud Detection are listed when they are not the usual ones.
    """
    words = {
        salesforce_id: f"exception: {kind}"
        for salesforce_id, kind in engine.query(
            "select salesforce_id, sync_exception"
            " from crm.sfdc_dbx.product_property_sync_exceptions where salesforce_id is not null"
        )
    }
    dates = "fraud_detection_start_date_c, fraud_detection_updated_date_c"
    offered = {
        key: describe(flags, started, updated)
        for key, started, updated, *flags in engine.query(
            f"select reverse_etl_id_c, {dates}, {', '.join(FLAGS_AND_SOURCES)}"
            " from crm.sfdc_dbx.product_property_feature_sync"
        )
    }
    windows = {
        word: {
            key
            for (key,) in engine.query(
                f"select reverse_etl_id_c from crm.sfdc_dbx.product_property_feature_{word}"
            )
        }
        for word in ("recent", "backfill")
    }
    for salesforce_id, key in engine.query(
        "select salesforce_id, reverse_etl_id_c"
        " from crm.sfdc_dbx_staging.int_product_properties_at_build where sync_exception is null"
    ):
        assert salesforce_id not in words  # an exception and a candidate
        word = offered.get(key, ALONE)
        words[salesforce_id] = ", ".join([word, *(w for w, keys in windows.items() if key in keys)])
    return words


def describe(flags: list[bool], started: date | None, updated: date | None) -> str:
    """Say what a row of the sync view sets."""
    on = [flag for flag, is_on in zip(FLAGS_AND_SOURCES, flags, strict=True) if is_on]
    parts = ["sync: all off" if not on else f"sync: {on[0].split('_')[0]} on", *on[1:]]
    for verb, usual, day in (("started", ON, started), ("changed", UPDATED, updated)):
        if day != usual.date():
            parts.append(f"{verb} {day or 'never'}")
    return ", ".join(parts)


@pytest.fixture(scope="module", params=["duckdb", "databricks"])
def engine(
    request: pytest.FixtureRequest,
    empty_project: Project,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engine]:
    """Yield either engine with the bad rows in its source tables, and nothing built."""
    folder = tmp_path_factory.mktemp("bad_rows")
    if request.param == "duckdb":
        project = copy_of(empty_project.path, folder / "project")
        load_all(project, ALL_RECORDS, ALL_FEATURES)
        yield project
    else:
        with Databricks(empty_project.path, folder) as databricks:
            load_all(databricks, ALL_RECORDS, ALL_FEATURES)
            yield databricks


def build(engine: Engine, *, every_test: bool = False) -> dbtRunnerResult:
    """Build with every data test, or, as that takes long, with only that of the guard."""
    only_guard = ("--select", "resource_type:model", GUARD_TEST, "--indirect-selection", "empty")
    selected = () if every_test else only_guard
    return engine.dbt("build", *selected, *VARS)


@pytest.fixture(scope="module")
def built(engine: Engine) -> dict[str, str]:
    """Build once, with every data test, and return the outcomes."""
    result = build(engine, every_test=True)
    assert result.success, engine.output
    # What is left out is reported.
    exceptions = sum(
        case.outcome.startswith("exception") * len(case.records) for case in CASES.values()
    )
    assert failures(result) == {
        "every_feature_row_has_a_property_id": sum(
            oracle.cleaned(row["property_id"]) is None for row in ALL_FEATURES
        ),
        "assert_everything_can_be_synced": exceptions,
    }
    return outcomes(engine)


@pytest.mark.parametrize("case", CASES)
def test_outcome(built: dict[str, str], case: str) -> None:
    expected = CASES[case].outcome.split(" | ")
    found = [built.get(row["id"], "not there") for row in RECORDS[case]]
    assert found == (expected * len(found) if len(expected) == 1 else expected)


def test_names_arrive_as_they_are(engine: Engine, built: dict[str, str]) -> None:
    shown = {
        salesforce_id: name
        for relation in ("feature_mismatches", "product_property_sync_exceptions")
        for salesforce_id, name in engine.query(
            f"select salesforce_id, property_name from crm.sfdc_dbx.{relation}"
        )
    }
    given = {row["id"]: row["name"] for row in ALL_RECORDS}
    assert shown == {record_id: given[record_id] for record_id in shown}
    assert max(len(name or "") for name in shown.values()) > 10_000
    assert {id for id, word in built.items() if not word.startswith(ALONE)} <= {*shown}


def test_ids_that_are_whole_numbers(engine: Engine, built: dict[str, str]) -> None:
    """A features table whose ids are numbers: zeros and spaces before them are gone."""
    texts = [oracle.cleaned(row["property_id"]) or "" for row in ALL_FEATURES]
    numbers = [int(text) if text.isdigit() else None for text in texts]
    rows = [row | {"property_id": id} for row, id in zip(ALL_FEATURES, numbers, strict=True)]
    load(engine, "product_property_w_features", rows, property_id=pa.int64())
    assert build(engine, every_test=isinstance(engine, Project)).success, engine.output
    changed = {id: word for id, word in outcomes(engine).items() if word != built[id]}
    load(engine, "product_property_w_features", ALL_FEATURES)
    off, on, quotes = (
        RECORDS[f"id with {what}"][0]["id"]
        for what in ("zeros before it, off", "zeros before it, on", "quotes")
    )
    assert changed == {off: FRAUD, on: ALONE, quotes: ALONE}


FEATURES, SALESFORCE, PROPERTIES = (
    "product_property_w_features", "product_property_c", "properties"
)  # fmt: skip
# What the tables hold that are not empty, and why nothing is offered then.
EMPTIED = {
    "features": ({SALESFORCE: ALL_RECORDS}, "0 feature rows have a property id, fewer than"),
    "Salesforce": ({FEATURES: ALL_FEATURES}, "0 of 0 Salesforce records have a feature row"),
    "all three": ({}, "0 of 0 Salesforce records have a feature row, a smaller share than"),
}


@pytest.mark.slow
@pytest.mark.parametrize("emptied", EMPTIED)
def test_empty_tables(engine: Engine, built: dict[str, str], emptied: str) -> None:
    """Nothing is offered, and the build fails with the verdict and nothing else."""
    tables, verdict = EMPTIED[emptied]
    for table in (FEATURES, SALESFORCE, PROPERTIES):
        load(engine, table, tables.get(table, []))
    result = build(engine, every_test=not tables and isinstance(engine, Project))
    for table, rows in {FEATURES: ALL_FEATURES, SALESFORCE: ALL_RECORDS}.items():
        load(engine, table, rows)
    assert failures(result) == {GUARD_TEST: 1}
    assert verdict in " ".join(engine.output.split())
    assert offered(engine)["product_property_feature_backfill"] == 0


def test_where_every_record_is_an_exception_nothing_is_proven(
    engine: Engine, built: dict[str, str]
) -> None:
    """The replica that holds every record twice has nothing to sync, and no build passes."""
    load(engine, SALESFORCE, RECORDS["key twice"])
    nothing = build(engine)
    found = offered(engine)
    load(engine, SALESFORCE, ALL_RECORDS)
    assert failures(nothing) == {GUARD_TEST: 1}
    assert not any(found.values())


def test_an_empty_table_of_properties_changes_nothing(
    engine: Engine, built: dict[str, str]
) -> None:
    """No property's products are known from it."""
    load(engine, PROPERTIES, [])
    assert build(engine).success, engine.output
    assert outcomes(engine) == built
