"""The project's rules in plain Python, written from the rules and not from the SQL.

A row is a dict of its columns; a column that it lacks is NULL.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
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


# The field mapping of the Census sync, as its owners documented it: the name, the prefix of the
# source columns, and the Salesforce columns.
MAPPING = """
Fraud Detection: fraud
fraud_detection_enabled_c fraud_detection_start_date_c fraud_detection_updated_date_c
Income Verification: iv
income_verification_enabled_c income_verification_start_date_c income_verification_updated_date_c
ID Verification: idv
id_verification_enabled_c id_verification_start_date_c id_verification_updated_date_c
IDV Only Mode: idv_only
idv_only_enabled_c idv_only_start_date_c idv_only_updated_date_c
Connected Payroll: payroll_linking
connected_payroll_enabled_c connected_payroll_start_date_c connected_payroll_updated_date_c
Bank Linking: bank_linking
bank_linking_enabled_c bank_linking_start_date_c bank_linking_updated_date_c
Verification of Rent: vor
verification_of_rent_enabled_c vor_start_date_c vor_updated_date_c
"""
LINES = MAPPING.strip().splitlines()
PRODUCTS = tuple(
    Product(*head.split(": "), *columns.split())
    for head, columns in zip(LINES[::2], LINES[1::2], strict=True)
)
FEATURE_COLUMNS = tuple(column for one in PRODUCTS for column in one.feature_columns)
SALESFORCE_COLUMNS = tuple(column for one in PRODUCTS for column in one.salesforce_columns)
CENSUS_COLUMNS = ("snappt_property_id_c", "reverse_etl_id_c", *SALESFORCE_COLUMNS)


@dataclass(frozen=True)
class Configuration:
    """The vars that the rules depend on; by default the guard trips if nothing can be compared."""

    as_of_date: date = date(2025, 11, 21)
    sync_key_prefix: str = "prop_"
    recent_days: int = 7
    sync_max_rows: int | None = None
    backfill_batch_size: int = 2
    compare_feature_dates: bool = False
    feature_date_type: str = "date"
    salesforce_deleted_column: str = "is_deleted"
    guard_min_match_share: Decimal = Decimal(0)
    guard_max_exception_share: Decimal = Decimal(1)
    guard_max_update_share: Decimal = Decimal(1)
    guard_max_switch_off_share: Decimal = Decimal(1)
    guard_max_product_switch_off_share: Decimal = Decimal(1)
    guard_min_switch_offs: int = 0
    guard_max_create_share: Decimal = Decimal(1)
    approved_updates: int | None = None
    approved_switch_offs: int | None = None
    approved_creations: int | None = None

    def as_vars(self) -> str:
        """Return the vars as dbt takes them on the command line."""
        values = {n: "null" if value is None else value for n, value in asdict(self).items()}
        return f"{{{', '.join(f'{name}: {value}' for name, value in values.items())}}}"


@dataclass
class State:
    """The rows of the source tables; `properties` are the application's."""

    features: list[Row]
    salesforce: list[Row]
    properties: list[Row]


@dataclass
class Record:
    """A Salesforce record that is not deleted, the features of its property, and why not synced."""

    salesforce: Row
    features: Row | None
    exception: str | None = None
    other_spelling: str | None = None

    @property
    def expected(self) -> Row:
        """What Salesforce should hold."""
        features = self.features or {}
        values: Row = {}
        for one in PRODUCTS:
            enabled, enabled_at, updated_at = map(features.get, one.feature_columns)
            values[one.flag] = bool(enabled)
            values[one.start_date] = enabled_at if is_deliverable(enabled_at) else None
            values[one.updated_date] = updated_at if is_deliverable(updated_at) else None
        return values

    def census_row(self, configuration: Configuration) -> tuple[Any, ...]:
        """Return the 23 columns of the Census mapping."""
        row = self.salesforce | self.expected
        if configuration.feature_date_type == "date":
            row |= {column: day(row[column]) for column in DATE_COLUMNS}
        return tuple(row[column] for column in CENSUS_COLUMNS)

    def mismatches(self, configuration: Configuration) -> Iterable[tuple[str, str]]:
        """Yield each product that differs, with the kind of mismatch."""
        for one in PRODUCTS:
            if kind := mismatch_kind(one, self.expected, self.salesforce, configuration):
                yield one.name, kind


@dataclass
class Guard:
    """The counts of the guard; the configuration decides if they trip it."""

    salesforce_records: int
    exceptions: int
    records_to_match: int
    matched_records: int
    records_to_update: int
    flags_on_in_salesforce: int
    flags_to_switch_off: int
    application_properties: int
    properties_to_create: int
    switch_offs: dict[str, tuple[int, int]]  # of each product: flags on, of these to switch off

    def is_tripped(self, limits: Configuration) -> bool:
        """Return whether the sources look wrong."""
        comparable = self.salesforce_records - self.exceptions
        few = max(limits.guard_min_switch_offs, (limits.approved_switch_offs or 0) + 1)
        return (
            self.records_to_match == 0
            or self.matched_records < limits.guard_min_match_share * self.records_to_match
            or self.exceptions > limits.guard_max_exception_share * self.salesforce_records
            or self.records_to_update
            > max(limits.guard_max_update_share * comparable, limits.approved_updates or 0)
            or self.properties_to_create
            > max(
                limits.guard_max_create_share * self.application_properties,
                limits.approved_creations or 0,
            )
            or (
                self.flags_to_switch_off >= few
                and self.flags_to_switch_off
                > limits.guard_max_switch_off_share * self.flags_on_in_salesforce
            )
            or any(
                off >= limits.guard_min_switch_offs
                and self.flags_to_switch_off > (limits.approved_switch_offs or 0)
                and off > limits.guard_max_product_switch_off_share * on
                for on, off in self.switch_offs.values()
            )
        )


GUARD_COLUMNS = (*[field.name for field in fields(Guard)][:-1], "is_tripped")
# The columns of each relation that `relations` returns, and of the proof.
COLUMNS = {
    "product_property_feature_sync": CENSUS_COLUMNS,
    "product_property_feature_recent": CENSUS_COLUMNS,
    "product_property_feature_backfill": (*CENSUS_COLUMNS, "batch_number"),
    "product_property_create": (*CENSUS_COLUMNS, "name"),
    "product_property_sync_exceptions": (
        "salesforce_id",
        "snappt_property_id_c",
        "reverse_etl_id_c",
        "other_spelling",
        "is_mismatched",
        "sync_exception",
    ),
    "feature_mismatches": ("salesforce_id", "sync_exception", "product", "mismatch_kind"),
    "feature_sync_summary": ("properties", "sync_exceptions", "mismatched"),
    "feature_sync_guard": GUARD_COLUMNS,
    "assert_nothing_differs_else_see_feature_mismatches": ("salesforce_id", "finding"),
}
# The summary has a row for each cohort and product; the rules cover only this one.
WHERE = {"feature_sync_summary": "cohort = 'all' and product = 'All products'"}
DATE_COLUMNS = tuple(column for one in PRODUCTS for column in (one.start_date, one.updated_date))


def is_blank(character: str) -> bool:
    """Return whether a character shows nothing: a separator, a control or a format character."""
    return unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cc", "Cf")


def cleaned(text: str | None) -> str | None:
    """Return an id without blanks around it; NULL if nothing is left, or a word for nothing."""
    shown = [position for position, one in enumerate(text or "") if not is_blank(one)]
    if not shown:
        return None
    stripped = text[shown[0] : shown[-1] + 1]
    return None if stripped.lower() in ("null", "none", "nan") else stripped


def is_deliverable(when: datetime | None) -> bool:
    """Return whether Salesforce has such a date."""
    return when is not None and 1700 <= when.year <= 4000


def day(moment: date | None) -> date | None:
    """Return the day of a timestamp; a day is returned as it is."""
    return moment.date() if isinstance(moment, datetime) else moment


def is_unusual(key: str | None) -> bool:
    """Say if Salesforce, which strips spaces only, keeps another key than the cleaned one."""
    return cleaned(key) not in (None, key and key.strip(" "))


def live_rows(state: State, configuration: Configuration) -> list[Row]:
    """Return the Salesforce rows that exist, with cleaned ids and every column."""
    ids = ("snappt_property_id_c", "reverse_etl_id_c")
    return [
        dict.fromkeys(SALESFORCE_COLUMNS)
        | row
        | {column: cleaned(row.get(column)) for column in ids}
        | {"is_unusual": is_unusual(row.get("reverse_etl_id_c"))}
        for row in state.salesforce
        if configuration.salesforce_deleted_column == "none" or not row.get("is_deleted")
    ]


def same_key(key: str | None) -> str | None:
    """Return what two sync keys have in common if Salesforce takes them for one."""
    return key and key.lower()


def sync_exception(row: Row, keys: Counter[str | None]) -> str | None:
    """Say why a live row cannot be synced, given how often each sync key occurs."""
    if row["reverse_etl_id_c"] is None:
        return "blank_sync_key"
    if row["is_unusual"]:
        return "unusual_sync_key"
    if keys[same_key(row["reverse_etl_id_c"])] > 1:
        return "duplicate_sync_key"
    if row["snappt_property_id_c"] is None:
        return "blank_property_id"
    return None


def comparable_id(text: str, prefix: str) -> str:
    """Return what an id has in common with the same id in another format."""
    text = text.lower().removeprefix(prefix.lower())
    if re.fullmatch(r"[0-9]+\.[0-9]+e\+?[0-9]{1,2}", text) and Decimal(text) % 1 == 0:
        text = str(int(Decimal(text)))
    elif re.fullmatch(r"[0-9]{1,3}(\.[0-9]{3}){2,}", text):
        text = text.replace(".", "")
    elif re.fullmatch(r"([0-9]+|[0-9]{1,3}([, \u00a0][0-9]{3})+)(\.0+)?", text):
        text = re.sub("[, \u00a0]", "", text.partition(".")[0])
    return text.lstrip("0")


def ids_in_another_format(state: State, configuration: Configuration) -> dict[str, str]:
    """Map each id of Salesforce that others write in another way to how they write it."""
    in_salesforce = {row["snappt_property_id_c"] for row in live_rows(state, configuration)}
    in_features = {cleaned(row.get("property_id")) for row in state.features}
    in_application = {application_id(row) for row in state.properties}
    groups: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for ours, ids in (
        (True, in_salesforce - (in_features & in_application)),
        (False, (in_features | in_application) - in_salesforce),
    ):
        for text in ids - {None}:
            comparable = comparable_id(text, configuration.sync_key_prefix)
            groups[comparable][not ours].append(text)
    return {ours[0]: others[0] for ours, others in groups.values() if len(ours) == len(others) == 1}


def application_id(row: Row) -> str | None:
    """Return the id of a property of the application as text."""
    return None if row["id"] is None else cleaned(str(row["id"]))


def new_properties(state: State, configuration: Configuration) -> list[Row]:
    """Return the records to create, with the `exception` of those that cannot be."""
    known = {cleaned(row.get("snappt_property_id_c")) for row in state.salesforce} - {None}
    taken = {same_key(row["reverse_etl_id_c"]) for row in live_rows(state, configuration)}
    spellings = {v: k for k, v in ids_in_another_format(state, configuration).items()}
    newest: dict[object, Row] = {}
    for number, one in enumerate(
        sorted(state.properties, key=lambda one: ordered(one, "updated_at", "name"))
    ):
        id = application_id(one)
        if id not in known:
            newest[number if id is None else id] = {
                "snappt_property_id_c": id,
                "reverse_etl_id_c": id and f"{configuration.sync_key_prefix}{id}",
                "name": one["name"] and one["name"][:80],
                "other_spelling": spellings.get(id),
            }
    for row in newest.values():
        row["exception"] = (
            "blank_property_id"
            if row["snappt_property_id_c"] is None
            else "id_in_another_format"
            if row["other_spelling"]
            else "blank_name"
            if all(map(is_blank, row["name"] or ""))
            else "sync_key_taken"
            if same_key(row["reverse_etl_id_c"]) in taken
            else None
        )
    return list(newest.values())


def ordered(row: Row, *columns: str) -> list[tuple[bool, Any]]:
    """Return what orders rows by some columns, NULL first."""
    return [(row.get(column) is not None, row.get(column)) for column in columns]


def rank(features: Row) -> list[tuple[bool, Any]]:
    """Return what decides between feature rows of a property: the largest wins, NULL loses."""
    updates = (features.get(one.feature_columns[2]) for one in PRODUCTS)
    newest = max((update for update in updates if update is not None), default=None)
    return ordered(features | {"newest": newest}, "newest", *FEATURE_COLUMNS)


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
    """Return the kind of a product's difference, or None."""
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


def guard_of(
    state: State, records: list[Record], new: list[Record], configuration: Configuration
) -> Guard:
    """Count the facts that the guard judges; `new` are the properties that would be created."""
    syncable = [record for record in records if record.exception is None]
    to_match = syncable or new
    switch_offs = {
        one.name: (
            sum(bool(record.salesforce[one.flag]) for record in records),
            sum(
                bool(record.salesforce[one.flag]) and not record.expected[one.flag]
                for record in syncable
            ),
        )
        for one in PRODUCTS
    }
    return Guard(
        salesforce_records=len(records),
        exceptions=len(records) - len(syncable),
        records_to_match=len(to_match),
        matched_records=sum(record.features is not None for record in to_match),
        records_to_update=sum(any(one.mismatches(configuration)) for one in syncable),
        flags_on_in_salesforce=sum(on for on, _ in switch_offs.values()),
        flags_to_switch_off=sum(off for _, off in switch_offs.values()),
        application_properties=len({application_id(one) for one in state.properties} - {None}),
        properties_to_create=len(new),
        switch_offs=switch_offs,
    )


def guard(state: State, configuration: Configuration) -> Guard:
    """Count the facts that the guard judges at a build."""
    features = chosen_features(state)
    new = [
        Record(row, features.get(row["snappt_property_id_c"]))
        for row in new_properties(state, configuration)
        if not row["exception"]
    ]
    return guard_of(state, records_of(state, configuration), new, configuration)


def product_state(one: Product, values: Row, configuration: Configuration) -> tuple[Any, ...]:
    """Return what two sides of a product must have in common."""
    dates = (one.start_date, one.updated_date) if configuration.compare_feature_dates else ()
    return (values[one.flag], *(day(values[column]) for column in dates))


def proof(built: State, now: State, configuration: Configuration) -> list[tuple[str | None, str]]:
    """Return the proof's findings when the sources have changed since the build."""
    at_build = {record.salesforce["id"]: record for record in records_of(built, configuration)}
    features = chosen_features(built)
    listed = {
        row["snappt_property_id_c"]: Record(row, features.get(row["snappt_property_id_c"]))
        for row in new_properties(built, configuration)
        if row["snappt_property_id_c"]
    }
    records = records_of(now, configuration, ids_in_another_format(built, configuration))
    found: list[tuple[str | None, str]] = []
    for record in records:
        was = at_build.get(record.salesforce["id"])
        before = was or listed.get(record.salesforce["snappt_property_id_c"])
        if record.exception or (was and was.exception):
            continue
        findings = []
        for one in PRODUCTS:
            expected = product_state(one, record.expected, configuration)
            if expected == product_state(one, record.salesforce, configuration):
                continue
            if before is None:
                findings.append("new_in_salesforce")
            elif expected != product_state(one, before.expected, configuration):
                findings.append("changed_at_the_source")
            elif was and expected == product_state(one, was.salesforce, configuration):
                findings.append("changed_in_salesforce")
            else:
                findings.append("not_arrived")
        # From the worst to the mildest, they happen to be in the reverse order of the alphabet.
        if findings:
            found.append((record.salesforce["id"], max(findings)))
    known = {cleaned(row.get("snappt_property_id_c")) for row in now.salesforce}
    ids = {application_id(one) for one in now.properties} - known - {None}
    missing = [Record({}, {}) for _ in ids]
    guards = guard(built, configuration), guard_of(now, records, missing, configuration)
    if any(one.is_tripped(configuration) for one in guards):
        found.append((None, "guard_is_tripped"))
    return found


def records_of(
    state: State, configuration: Configuration, spellings: dict[str, str] | None = None
) -> list[Record]:
    """Return the records that are not deleted, in the order of their sync keys.

    The spellings are those of ids in another format, by default as this state has them.
    """
    live = live_rows(state, configuration)
    keys = Counter(same_key(row["reverse_etl_id_c"]) for row in live if not row["is_unusual"])
    features = chosen_features(state)
    if spellings is None:
        spellings = ids_in_another_format(state, configuration)
    times_held = Counter(row["id"] for row in state.salesforce)
    columns = ("created_date", "name", *CENSUS_COLUMNS)
    one_row_each = {row["id"]: row for row in sorted(live, key=lambda row: ordered(row, *columns))}
    # Python orders text by code point, and UTF-8 keeps that order in its bytes.
    records = [
        Record(row, features.get(row["snappt_property_id_c"]), sync_exception(row, keys))
        for row in sorted(one_row_each.values(), key=lambda row: row["reverse_etl_id_c"] or "")
    ]
    for record in records:
        property_id = record.salesforce["snappt_property_id_c"]
        if times_held[record.salesforce["id"]] > 1:
            record.exception = "repeated_record"
        elif not record.exception and not record.features and property_id in spellings:
            record.exception = "id_in_another_format"
            record.other_spelling = spellings[property_id]
    return records


def relations(state: State, configuration: Configuration) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that each relation must hold; of the sync all rows, not only a wave."""
    records = records_of(state, configuration)
    syncable = [record for record in records if record.exception is None]
    new = new_properties(state, configuration)
    counted = guard(state, configuration)
    tripped = counted.is_tripped(configuration)
    features = chosen_features(state)
    differing = [record for record in records if any(record.mismatches(configuration))]
    return {
        **census_relations([] if tripped else syncable, configuration),
        "product_property_create": [
            (
                *Record(row, features.get(row["snappt_property_id_c"])).census_row(configuration),
                row["name"],
            )
            for row in new
            if not tripped and not row["exception"]
        ],
        "product_property_sync_exceptions": [
            *(
                (
                    record.salesforce["id"],
                    record.salesforce["snappt_property_id_c"],
                    record.salesforce["reverse_etl_id_c"],
                    record.other_spelling,
                    any(record.mismatches(configuration)),
                    record.exception,
                )
                for record in records
                if record.exception
            ),
            *(
                (
                    None,
                    row["snappt_property_id_c"],
                    row["reverse_etl_id_c"],
                    row["other_spelling"] if row["exception"] == "id_in_another_format" else None,
                    True,
                    row["exception"],
                )
                for row in new
                if row["exception"]
            ),
        ],
        "feature_mismatches": [
            (record.salesforce["id"], record.exception, *mismatch)
            for record in records
            for mismatch in record.mismatches(configuration)
        ],
        "feature_sync_summary": [(len(records), len(records) - len(syncable), len(differing))],
        "feature_sync_guard": [(*[*vars(counted).values()][:-1], tripped)],
    }


def census_relations(
    records: list[Record], configuration: Configuration
) -> dict[str, list[tuple[Any, ...]]]:
    """Return what Census may read, of records in the order of their sync keys."""
    # The age in days, because the first day of the window may lie before the year 1.
    ages = [
        (record, (configuration.as_of_date - day(created)).days)
        for record in records
        if (created := record.salesforce.get("created_date"))
    ]
    recent = [one for one, age in ages if 0 <= age <= configuration.recent_days]
    cohort = [one for one, age in ages if age == 0]
    return {
        "product_property_feature_sync": [
            one.census_row(configuration) for one in records if any(one.mismatches(configuration))
        ],
        "product_property_feature_recent": [one.census_row(configuration) for one in recent],
        "product_property_feature_backfill": [
            (*one.census_row(configuration), n // configuration.backfill_batch_size + 1)
            for n, one in enumerate(cohort)
        ],
    }
