"""For any state of the sources, the relations and the proof follow the rules of oracle.py.

`make test` tries a few hundred states of the sources, always the same; `make fuzz` thousands of new
ones.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from itertools import groupby, product
from typing import Any

import duckdb
import oracle
import pyarrow as pa
import pytest
import yaml
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from duckdb import DuckDBPyConnection
from engines import CENSUS_RELATIONS, PROOF, Project, copy_of
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracle import COLUMNS, FEATURE_COLUMNS, SALESFORCE_COLUMNS, Configuration, Row, State
from source_tables import ARROW_TYPES, SEED_TYPES, SOURCE_TABLES

# How the names of relations begin: those of a build, and the proof with those that it reads.
BUILT = ("base", "stg", "int", "feature", "product")
LIVE = ("base", "stg", "int_product_features_latest", "int_product_properties_validated", PROOF)

# Together they vary every var that the rules depend on.
CONFIGURATIONS = {
    name: Configuration(
        # As it is written: a float would be another number.
        **{k: Decimal(str(v)) if isinstance(v, float) else v for k, v in values.items()}
    )
    for name, values in yaml.safe_load("""
      open guard: {}
      dates and waves: {
        compare_feature_dates: true, feature_date_type: timestamp, recent_days: 0, sync_max_rows: 1,
        backfill_batch_size: 3, guard_max_switch_off_share: 0.0, guard_min_switch_offs: 3,
      }
      first day: {
        as_of_date: 2000-01-01, recent_days: 1, backfill_batch_size: 1, sync_key_prefix: b,
        guard_max_product_switch_off_share: 0.1, guard_min_switch_offs: 2,
        guard_max_update_share: 0.8,
      }
      last day: {
        as_of_date: 2199-12-31, recent_days: 9999, salesforce_deleted_column: none,
        guard_min_match_share: 0.3, guard_max_product_switch_off_share: 0.6,
      }
      strict guard: {
        compare_feature_dates: true, backfill_batch_size: 1, guard_max_exception_share: 0.6,
        guard_max_create_share: 0.4, guard_max_switch_off_share: 0.25, guard_min_switch_offs: 2,
      }
      approved changes: {
        as_of_date: 2024-02-29, recent_days: 365, sync_max_rows: 1, salesforce_deleted_column: none,
        guard_max_update_share: 0.0, guard_max_create_share: 0.0, guard_max_switch_off_share: 0.0,
        approved_updates: 2, approved_creations: 2, approved_switch_offs: 1,
      }
    """).items()
}
LIMITS = tuple(name for name in vars(Configuration()) if name.startswith(("guard", "approved")))
RANKED_BY = ("newest update", *("enabled", "enabled_at", "updated_at") * len(oracle.PRODUCTS))
CASES = {
    *("blank_sync_key", "duplicate_sync_key", "blank_property_id", "sync_key_taken"),
    *("repeated_record", "unusual_sync_key", "id_in_another_format", "blank_name"),
    *("missing_in_salesforce", "left_on_in_salesforce", "never_set_in_salesforce", "dates_differ"),
    *("guard open", "guard tripped", "nothing to sync", "a wave of the sync"),
    *("batches", "recent, not in the backfill"),
    *("new", "new without a feature row", "new, id in another format"),
    *("deleted, not new", "application row twice"),
    *("not_arrived", "changed_in_salesforce", "changed_at_the_source", "new_in_salesforce"),
    *(f"{limit} decides" for limit in LIMITS),
    *(f"{column} decides" for column in RANKED_BY),
}

SCHEMAS = {
    seed: pa.schema([(column, ARROW_TYPES[kind]) for column, kind in types.items()])
    for seed, types in SEED_TYPES.items()
}

# Few values, so that they meet. Hypothesis shrinks towards the first of each.
PROPERTY_IDS = (
    st.sampled_from(["1", "2", "3"])
    | st.sampled_from(["1", "2"])
    | st.sampled_from(
        [
            *("1", "2", "3", " 1", "1 ", "  2 ", "03", "2.0", "4", "12345", "\t12345", "", "  "),
            *(None, "\t1", "1\u00a0", "\ufeff2\u200b", "3\u2009\r\n", "\u3000", "P5", "p5"),
            *("NULL", " None", "nan", "1,234,567", "1.234567E6", "prop_4", "12e3"),
        ]
    )
)
# In UTF-16 the emoji would come before the wide tilde, which has the lower code point.
SYNC_KEYS = st.sampled_from([*"abcdefghijkABCDEFGHIJK"]) | st.sampled_from(
    [
        *("a", "10", "9", " a", "B  ", "b c", "é", "\uff5e", "\U0001f600", "\ta", "", "  ", None),
        *("prop_3", "prop_4", "prop_5", "prop_6", "b6", "PROP_4"),
        *("abcdef", "abcdef\u00a0", "ABCDEF", "none", "\u00a0"),
    ]
)
NAMES = ["", "\u00a0", "é" * 81, 'O\'Neil "& Söhne"; --', "{{ 1/0 }}\n\\", None]
PROPERTIES = st.fixed_dictionaries(
    {
        "id": st.integers(1, 6) | st.sampled_from([1234567, None]),
        "name": st.sampled_from(NAMES),
        "updated_at": st.sampled_from([datetime(2025, 3, 1), datetime(2025, 3, 2), None]),
    }
)
DAYS = [
    *(date(2025, 3, 1), date(2025, 3, 2), date(1699, 12, 31), date(1700, 1, 1)),
    *(date(4000, 12, 31), date(4001, 1, 1), date.min, date.max),
]
TIMES = [time.min, time(12, 30), time.max]
MOMENTS = [datetime.combine(*moment) for moment in product(DAYS, TIMES)]
VALUES = {
    "boolean": st.sampled_from([True, False, None]),
    "timestamp": st.sampled_from([*MOMENTS, None]),
    "date": st.sampled_from([*DAYS, None]),
}


class Warehouse:
    """The project compiled with one configuration, and a connection on which it is built.

    No dataclass, because Hypothesis would try to print the SQL with every failure, and give up.
    """

    def __init__(
        self, configuration: Configuration, connection: DuckDBPyConnection, sql: dict[str, str]
    ) -> None:
        """Take the SQL by relation, in the order in which they depend on each other."""
        self.configuration, self.connection, self.relations = configuration, connection, sql

    def load(self, state: State, only: tuple[str, ...]) -> None:
        """Put a state into the source tables, and build the relations whose names begin like that.

        All are tables here, views too: DuckDB would plan a view again wherever it is read, which
        takes longer than anything else.
        """
        sources = {
            "product_property_c": state.salesforce,
            "product_property_w_features": state.features,
            "properties": state.properties,
        }
        for seed, rows in sources.items():
            self.connection.register("rows", pa.Table.from_pylist(rows, SCHEMAS[seed]))
            self.connection.execute(f"delete from {SOURCE_TABLES[seed]}")
            self.connection.execute(f"insert into {SOURCE_TABLES[seed]} by name from rows")
        for relation, sql in self.relations.items():
            if relation.rpartition(".")[2].startswith(only):
                self.connection.execute(f"create or replace table {relation} as {sql}")

    def rows(self, relation: str) -> list[tuple[Any, ...]]:
        """Return the rows of a relation, of the columns that the rules speak of."""
        columns = ", ".join(COLUMNS[relation])
        where = oracle.WHERE.get(relation, "true")
        table = next(name for name in self.relations if name.endswith(f".{relation}"))
        query = f"select {columns} from {table} where {where}"
        return self.connection.execute(query).fetchall()


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def warehouse(
    request: pytest.FixtureRequest, empty_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """Yield the project, built with a configuration on empty source tables."""
    configuration = CONFIGURATIONS[request.param]
    project = copy_of(empty_project.path, tmp_path_factory.mktemp("oracle") / "project")
    for seed, table in SOURCE_TABLES.items():
        columns = ", ".join(f"{column} {kind}" for column, kind in SEED_TYPES[seed].items())
        schema = table.rpartition(".")[0]
        project.query(f"create schema if not exists {schema}; create table {table} ({columns})")
    models = ("--select", *(f"+{relation}" for relation in COLUMNS))
    without_tests = ("--indirect-selection", "empty")
    variables = ("--vars", configuration.as_vars())
    result = project.dbt("compile", *variables, *models, *without_tests)
    assert result.success, project.output
    relations = {
        f"{run.node.database}.{run.node.schema}.{run.node.name}": run.node.compiled_code
        for run in result.result
    }
    DuckDBConnectionManager.close_all_connections()  # dbt has the files open
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'; set threads = 1")
        for catalog in ("hive_metastore", "rds", "crm"):  # in memory, which is faster
            file = project.path / f"warehouse/{catalog}.duckdb"
            connection.execute(f"attach '{file}' as built; attach ':memory:' as {catalog}")
            connection.execute(f"copy from database built to {catalog}; detach built")
        for schema in {relation.rpartition(".")[0] for relation in relations}:
            connection.execute(f"create schema if not exists {schema}")
        yield Warehouse(configuration, connection, relations)


def values(types: dict[str, str], columns: tuple[str, ...]) -> dict[str, st.SearchStrategy[Any]]:
    """Return a strategy for each of some columns."""
    return {column: VALUES[types[column]] for column in columns}


FEATURE_VALUES = values(SEED_TYPES["product_property_w_features"], FEATURE_COLUMNS)
SALESFORCE_VALUES = values(SEED_TYPES["product_property_c"], SALESFORCE_COLUMNS)


@st.composite
def some(draw: st.DrawFn, values: st.SearchStrategy[Any], most: int) -> list[Any]:
    """Up to so many values, and not nearly always one or two."""
    return draw(st.lists(values, min_size=draw(st.integers(0, most)), max_size=most))


FEATURE_COLUMN = st.sampled_from(FEATURE_COLUMNS)
SALESFORCE_COLUMN = st.sampled_from(SALESFORCE_COLUMNS)
NEW_IDS = st.sampled_from(["1", "2", "3", "4", "another"])


@st.composite
def feature_rows(draw: st.DrawFn) -> list[Row]:
    """Rows of the features table; each property's best has a twin that differs in one column."""
    row = st.fixed_dictionaries({"property_id": PROPERTY_IDS}, optional=FEATURE_VALUES)
    rows = draw(some(row, 5))
    for original in oracle.chosen_features(State(rows, [], [])).values():
        column = draw(st.sampled_from(FEATURE_COLUMNS))
        rows.append(original | {column: draw(FEATURE_VALUES[column])})
    return rows


def created_dates(configuration: Configuration) -> st.SearchStrategy[datetime | None]:
    """Moments around the borders of the backfill's day and of the recent window."""
    last = configuration.as_of_date.toordinal()
    first = last - configuration.recent_days
    near = (last + 1, last - 1, first, first - 1, first + 1, 1, date.max.toordinal())
    days = [date.fromordinal(n) for n in near if 1 <= n <= date.max.toordinal()]
    moments = [datetime.combine(*moment) for moment in product(days, TIMES)]
    cohort = [datetime.combine(configuration.as_of_date, moment) for moment in TIMES]
    return st.sampled_from(cohort) | st.sampled_from([*moments, None])


@st.composite
def states(draw: st.DrawFn, configuration: Configuration) -> State:
    """States in which much of Salesforce is right, else nothing could be wrong about it."""
    features = draw(feature_rows())
    chosen = oracle.chosen_features(State(features, [], []))
    identity = st.fixed_dictionaries(
        {
            "reverse_etl_id_c": SYNC_KEYS,
            "snappt_property_id_c": PROPERTY_IDS,
            "created_date": created_dates(configuration),
            "is_deleted": st.sampled_from([False, None, None, True]),
            "name": st.sampled_from(NAMES),
        }
    )
    rows = draw(some(identity, 8))
    for number, row in enumerate(rows):
        features_of_it = chosen.get(oracle.cleaned(row["snappt_property_id_c"]))
        right = oracle.Record(row, features_of_it).expected
        row["id"] = f"s{0 if draw(st.integers(0, 9)) == 9 else number}"  # now and then twice
        row |= {column: oracle.day(value) for column, value in right.items()}
        for column in draw(some(st.sampled_from(SALESFORCE_COLUMNS), 3)):
            row[column] = draw(SALESFORCE_VALUES[column])
    return State(features, rows, draw(some(PROPERTIES, 6)))


@st.composite
def later_states(draw: st.DrawFn, state: State, configuration: Configuration) -> State:
    """States after a sync that has updated some records, and other changes on both sides."""
    right = {
        one.salesforce["id"]: {column: oracle.day(value) for column, value in one.expected.items()}
        for one in oracle.records_of(state, configuration)
    }
    features = [
        row | {column: draw(FEATURE_VALUES[column]) for column in draw(some(FEATURE_COLUMN, 1))}
        for row in state.features
    ]
    records = [
        row
        | (right.get(row["id"], {}) if draw(st.booleans()) else {})
        | {column: draw(SALESFORCE_VALUES[column]) for column in draw(some(SALESFORCE_COLUMN, 1))}
        for row in state.salesforce
    ]
    if records and draw(st.booleans()):
        new = {"id": "new", "reverse_etl_id_c": "its key", "snappt_property_id_c": draw(NEW_IDS)}
        records.append(records[0] | new)
    return State(features, records, state.properties)


SEEN: dict[Configuration, Counter[str]] = {}


def cases(state: State, rows: dict[str, list], configuration: Configuration) -> Iterator[str]:
    """Name the cases in a state, so that we know that the tests try them."""
    yield from (row[-1] for row in rows["product_property_sync_exceptions"])
    yield from (row[-1] for row in rows["feature_mismatches"])
    guard = oracle.guard(state, configuration)
    tripped = guard.is_tripped(configuration)
    yield "guard tripped" if tripped else "guard open"
    sync, recent, backfill, create = (rows[relation] for relation in CENSUS_RELATIONS)
    yield from creation_cases(state, configuration) if create else ()
    for limit in LIMITS:
        without = replace(configuration, **{limit: getattr(Configuration(), limit)})
        if guard.is_tripped(without) != tripped:
            yield f"{limit} decides"
    if not sync and not tripped:
        yield "nothing to sync"
    if configuration.sync_max_rows and len(sync) > configuration.sync_max_rows:
        yield "a wave of the sync"
    if any(batch > 1 for *_, batch in backfill):
        yield "batches"
    if len(recent) > len(backfill):
        yield "recent, not in the backfill"
    yield from (f"{column} decides" for column in deciding_columns(state.features))


def creation_cases(state: State, configuration: Configuration) -> Iterator[str]:
    """Name a state's cases of properties that Salesforce may lack."""
    new = oracle.new_properties(state, configuration)
    live = {row["snappt_property_id_c"] for row in oracle.live_rows(state, configuration)}
    known = {oracle.cleaned(row["snappt_property_id_c"]) for row in state.salesforce}
    if {oracle.application_id(one) for one in state.properties} & (known - live - {None}):
        yield "deleted, not new"
    if len({one["id"] for one in state.properties}) < len(state.properties):
        yield "application row twice"
    for row in new:
        if row["exception"] == "id_in_another_format":
            yield "new, id in another format"
        elif not row["exception"]:
            has_feature_row = row["snappt_property_id_c"] in oracle.chosen_features(state)
            yield "new" if has_feature_row else "new without a feature row"


def deciding_columns(features: list[Row]) -> Iterator[str]:
    """Name, for each property with several rows, what set the best one off from the second."""

    def key(row: Row) -> str:
        return oracle.cleaned(row["property_id"]) or ""

    for property_id, twins in groupby(sorted(features, key=key), key):
        ranks = sorted(map(oracle.rank, twins))[-2:]
        if property_id and len(ranks) == 2:
            decisions = zip(RANKED_BY, *ranks, strict=True)
            yield from [name for name, second, best in decisions if second != best][:1]


@settings(max_examples=math.ceil(settings().max_examples / len(CONFIGURATIONS)))
@given(data=st.data())
def test_relations_hold_what_the_rules_demand(warehouse: Warehouse, data: st.DataObject) -> None:
    configuration = warehouse.configuration
    state = data.draw(states(configuration))
    later = data.draw(later_states(state, configuration))
    demanded = oracle.relations(state, configuration)
    for case in set(cases(state, demanded, configuration)):
        SEEN.setdefault(configuration, Counter())[case] += 1
        event(case)
    warehouse.load(state, BUILT)
    for relation, rows in demanded.items():
        found, expected = Counter(warehouse.rows(relation)), Counter(rows)
        if relation == "product_property_feature_sync" and configuration.sync_max_rows:
            assert found <= expected  # a wave
            assert found.total() == min(expected.total(), configuration.sync_max_rows)
        else:
            assert found == expected, relation

    warehouse.load(later, LIVE)
    findings = oracle.proof(state, later, configuration)
    for _, finding in findings:
        SEEN.setdefault(configuration, Counter())[finding] += 1
    assert Counter(warehouse.rows(PROOF)) == Counter(findings)


def test_the_states_showed_every_case() -> None:
    if SEEN.keys() != set(CONFIGURATIONS.values()):
        pytest.skip("this process tried only some of the configurations")
    seen = sum(SEEN.values(), Counter())
    missing = CASES - seen.keys()
    assert not missing
