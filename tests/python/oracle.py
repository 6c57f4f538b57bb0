"""The project's rules in plain Python, written from the rules and not from the SQL.

A row is a dict of its columns; a column that it lacks is NULL.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

Row = dict[str, Any]


class Product(NamedTuple):
    """A product: the prefix of its feature columns, and its Salesforce columns."""

    name: str
    prefix: str
    flag: str
    start_date: str
    updated_date: str

    @property
    def feature_columns(self) -> tuple[str, str, str]:
        """The three source columns, in the order of the Salesforce columns they fill."""
        return f"{self.prefix}_enabled", f"{self.prefix}_enabled_at", f"{self.prefix}_updated_at"

    @property
    def salesforce_columns(self) -> tuple[str, str, str]:
        """The three columns that Census fills."""
        return self.flag, self.start_date, self.updated_date


def product(name: str, prefix: str, flag: str, dates: str) -> Product:
    """Return a product from what its Salesforce columns begin with."""
    return Product(
        name, prefix, f"{flag}_enabled_c", f"{dates}_start_date_c", f"{dates}_updated_date_c"
    )


PRODUCTS = (
    product("Fraud Detection", "fraud", "fraud_detection", "fraud_detection"),
    product("Income Verification", "iv", "income_verification", "income_verification"),
    product("ID Verification", "idv", "id_verification", "id_verification"),
    product("IDV Only Mode", "idv_only", "idv_only", "idv_only"),
    product("Connected Payroll", "payroll_linking", "connected_payroll", "connected_payroll"),
    product("Bank Linking", "bank_linking", "bank_linking", "bank_linking"),
    product("Verification of Rent", "vor", "verification_of_rent", "vor"),
)
FEATURE_COLUMNS = tuple(column for one in PRODUCTS for column in one.feature_columns)
SALESFORCE_COLUMNS = tuple(column for one in PRODUCTS for column in one.salesforce_columns)
CENSUS_COLUMNS = ("snappt_property_id_c", "reverse_etl_id_c", *SALESFORCE_COLUMNS)


@dataclass(frozen=True)
class Configuration:
    """The vars that the rules depend on; by default the guard trips only without properties."""

    as_of_date: date = date(2025, 11, 21)
    sync_key_prefix: str = "prop_"
    recreate_deleted_properties: bool = False
    recent_days: int = 7
    sync_max_rows: int | None = None
    backfill_batch_size: int = 2
    compare_feature_dates: bool = False
    salesforce_deleted_column: str = "is_deleted"
    guard_min_feature_rows: int = 0
    guard_min_match_share: Decimal = Decimal(0)
    guard_max_disable_share: Decimal = Decimal(1)
    guard_min_disables: int = 0
    allow_mass_switch_off: bool = False


@dataclass
class State:
    """What the source tables hold; `properties` are the application's."""

    features: list[Row]
    salesforce: list[Row]
    properties: list[Row]


@dataclass
class Candidate:
    """A Salesforce row that can be synced, and the feature row of its property."""

    salesforce: Row
    features: Row | None

    @property
    def expected(self) -> Row:
        """What Salesforce should hold."""
        features = self.features or {}
        values: Row = {}
        for one in PRODUCTS:
            enabled, enabled_at, updated_at = map(features.get, one.feature_columns)
            values[one.flag] = bool(enabled)
            values[one.start_date] = enabled_at
            values[one.updated_date] = updated_at
        return values

    @property
    def census_row(self) -> tuple[Any, ...]:
        """The 23 columns of the Census mapping."""
        row = self.salesforce | self.expected
        return tuple(row[column] for column in CENSUS_COLUMNS)

    def mismatches(self, configuration: Configuration) -> Iterable[tuple[str, str]]:
        """Yield each product that differs, with the kind of mismatch."""
        for one in PRODUCTS:
            if kind := mismatch_kind(one, self.expected, self.salesforce, configuration):
                yield one.name, kind


@dataclass
class Guard:
    """What the guard counts; whether it is tripped depends on the configuration."""

    feature_rows: int
    salesforce_properties: int
    unmatched_properties: int
    flags_on_in_salesforce: int
    flags_to_switch_off: int

    def is_tripped(self, limits: Configuration) -> bool:
        """Whether the truth does not look like the truth."""
        return (
            self.feature_rows < limits.guard_min_feature_rows
            or self.salesforce_properties == 0
            or self.has_too_few_matches(limits)
            or (not limits.allow_mass_switch_off and self.is_mass_switch_off(limits))
        )

    def has_too_few_matches(self, limits: Configuration) -> bool:
        """Whether too many properties have no feature row."""
        matched_properties = self.salesforce_properties - self.unmatched_properties
        return matched_properties < limits.guard_min_match_share * self.salesforce_properties

    def is_mass_switch_off(self, limits: Configuration) -> bool:
        """Whether a sync would switch off more than is usual."""
        share = limits.guard_max_disable_share
        return (
            self.flags_to_switch_off >= limits.guard_min_disables
            and self.flags_to_switch_off > share * self.flags_on_in_salesforce
        )


GUARD_COLUMNS = (*(field.name for field in fields(Guard)), "is_tripped")


def cleaned(text: str | None) -> str | None:
    """Return an id without the spaces around it; a blank one is NULL."""
    return (text or "").strip(" ") or None


def day(moment: date | None) -> date | None:
    """Return the day of a timestamp, or of what is a day already."""
    return moment.date() if isinstance(moment, datetime) else moment


def live_rows(state: State, configuration: Configuration) -> list[Row]:
    """Return the Salesforce rows that exist, with cleaned ids and every column."""
    ids = ("snappt_property_id_c", "reverse_etl_id_c")
    return [
        dict.fromkeys(SALESFORCE_COLUMNS)
        | row
        | {column: cleaned(row.get(column)) for column in ids}
        for row in state.salesforce
        if configuration.salesforce_deleted_column == "none" or not row.get("is_deleted")
    ]


def sync_exception(row: Row, keys: Counter[str | None]) -> str | None:
    """Say why a live row cannot be synced, given how often each sync key occurs."""
    if row["reverse_etl_id_c"] is None:
        return "blank_sync_key"
    if keys[row["reverse_etl_id_c"]] > 1:
        return "duplicate_sync_key"
    if row["snappt_property_id_c"] is None:
        return "blank_property_id"
    return None


def new_properties(state: State, configuration: Configuration) -> list[Row]:
    """Return the records to create: of the properties that Salesforce has neither id nor key of."""
    live = live_rows(state, configuration)
    present = live if configuration.recreate_deleted_properties else state.salesforce
    known = {cleaned(row.get("snappt_property_id_c")) for row in present}
    taken = {row["reverse_etl_id_c"] for row in live}
    records = [
        {
            "snappt_property_id_c": str(one["id"]),
            "reverse_etl_id_c": f"{configuration.sync_key_prefix}{one['id']}",
            "name": one["name"] and one["name"][:80],
        }
        for one in state.properties
    ]
    return [
        record
        for record in records
        if record["snappt_property_id_c"] not in known and record["reverse_etl_id_c"] not in taken
    ]


def rank(features: Row) -> list[tuple[bool, Any]]:
    """Return what decides between feature rows of a property: the largest wins, NULL loses."""
    updates = (features.get(one.feature_columns[2]) for one in PRODUCTS)
    newest = max((update for update in updates if update is not None), default=None)
    values = (newest, *map(features.get, FEATURE_COLUMNS))
    return [(value is not None, value) for value in values]


def chosen_features(state: State) -> dict[str, Row]:
    """Return the one feature row of each property."""
    chosen: dict[str, Row] = {}
    for row in sorted(state.features, key=rank):
        if property_id := cleaned(row.get("property_id")):
            chosen[property_id] = row
    return chosen


def mismatch_kind(
    one: Product, expected: Row, current: Row, configuration: Configuration
) -> str | None:
    """Name what is wrong with a product, if anything is."""
    if expected[one.flag] and not current[one.flag]:
        return "missing_in_salesforce"
    if current[one.flag] and not expected[one.flag]:
        return "left_on_in_salesforce"
    if current[one.flag] is None:
        return "never_set_in_salesforce"
    dates = (one.start_date, one.updated_date)
    if configuration.compare_feature_dates and any(
        day(expected[d]) != day(current[d]) for d in dates
    ):
        return "dates_differ"
    return None


def guard_of(state: State, live: list[Row], candidates: list[Candidate]) -> Guard:
    """Count what the guard judges."""
    return Guard(
        feature_rows=sum(cleaned(row.get("property_id")) is not None for row in state.features),
        salesforce_properties=len(live),
        unmatched_properties=sum(candidate.features is None for candidate in candidates),
        flags_on_in_salesforce=sum(bool(row[one.flag]) for row in live for one in PRODUCTS),
        flags_to_switch_off=sum(
            bool(candidate.salesforce[one.flag]) and not candidate.expected[one.flag]
            for candidate in candidates
            for one in PRODUCTS
        ),
    )


def relations(state: State, configuration: Configuration) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that each relation must hold."""
    live = live_rows(state, configuration)
    keys = Counter(row["reverse_etl_id_c"] for row in live)
    features = chosen_features(state)
    # Python orders text by code point, and UTF-8 keeps that order in its bytes.
    candidates = [
        Candidate(row, features.get(row["snappt_property_id_c"]))
        for row in sorted(live, key=lambda row: row["reverse_etl_id_c"] or "")
        if sync_exception(row, keys) is None
    ]
    mismatches = [
        (candidate.salesforce["reverse_etl_id_c"], *mismatch)
        for candidate in candidates
        for mismatch in candidate.mismatches(configuration)
    ]
    guard = guard_of(state, live, candidates)
    tripped = guard.is_tripped(configuration)
    new = new_properties(state, configuration)
    return {
        **census_relations([] if tripped else candidates, configuration),
        "product_property_create": [
            (*Candidate(row, features.get(row["snappt_property_id_c"])).census_row, row["name"])
            for row in new
            if not tripped
        ],
        "product_property_sync_exceptions": [
            (row["id"], row["snappt_property_id_c"], row["reverse_etl_id_c"], exception)
            for row in live
            if (exception := sync_exception(row, keys))
        ],
        "feature_mismatches": mismatches,
        "feature_sync_guard": [(*vars(guard).values(), tripped)],
    }


def census_relations(
    candidates: list[Candidate], configuration: Configuration
) -> dict[str, list[tuple[Any, ...]]]:
    """Return what Census may read, of candidates in the order of their sync keys."""
    # The age in days, because the first day of the window may lie before the year 1.
    ages = [
        (candidate, (configuration.as_of_date - day(created)).days)
        for candidate in candidates
        if (created := candidate.salesforce.get("created_date"))
    ]
    differing = [one.census_row for one in candidates if any(one.mismatches(configuration))]
    recent = [one.census_row for one, age in ages if 0 <= age <= configuration.recent_days]
    cohort = [one.census_row for one, age in ages if age == 0]
    return {
        "product_property_feature_sync": differing[: configuration.sync_max_rows],
        "product_property_feature_recent": recent,
        "product_property_feature_backfill": [
            (*row, n // configuration.backfill_batch_size + 1) for n, row in enumerate(cohort)
        ],
    }
