"""Write the seeds: the incident of 2025-11-21, in invented data.

On that day a sync created 1,296 properties in Salesforce with every product off, although 1,226
of them have products. Older properties are wrong for other reasons. The products are those of the
mapping. Each has its own random stream and the properties have another, so a new product changes
no other column. Times are UTC. The same SEED gives the same bytes on Python 3.11 and later.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import yaml
from mapping import PRODUCTS, ROOT

SEED = 20251121

# The cohort: created in Salesforce on the day of the incident, with every flag false.
COHORT = 1_296
COHORT_ACTIVE = 1_226  # have some product on; by product:
COHORT_ON = {"fraud": 1_226, "iv": 1_176, "idv": 7, "payroll_linking": 5, "bank_linking": 4}
COHORT_WITHOUT_FEATURES = 38  # have no feature row; the remaining 32 have everything off

# Created in Salesforce before that day. 1,385 + 20 + 174 + 10 = 1,589 are mismatched.
OLDER = 15_806
OLDER_LAST_WEEK = 420  # created in the seven days before the incident
OLDER_WITHOUT_FEATURES = 150
MISSING = 1_385  # a product is on, and off in Salesforce
MISSING_AND_LEFT_ON = 20
LEFT_ON = 174  # a product is off, and on in Salesforce
LEFT_ON_WITHOUT_FEATURES = 10
NEVER_SET = 61  # mismatched ones that also have an empty flag
STALE_DATES = 240  # the flags are right, a date is not

# Not in Salesforce.
NEW = 350
NEW_WITHOUT_FEATURES = 19
RETIRED = 5_539  # only in the features table

# Share of the properties outside the cohort that have the product on.
SHARE_ON = {
    "fraud": 0.93,
    "iv": 0.88,
    "idv": 0.06,
    "idv_only": 0.02,
    "payroll_linking": 0.08,
    "bank_linking": 0.06,
    "vor": 0.03,
}
# Any other product has this share; it is off in the cohort and right in every older property.
DEFAULT_SHARE_ON = 0.02

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
HISTORY_START, INCIDENT = datetime(2023, 1, 1), datetime(2025, 11, 21)
WEEK_START = INCIDENT - 7 * DAY
FEATURES_END = datetime(2025, 11, 21, 23, 0)  # no product changes later
MODIFIED_END = datetime(2025, 11, 21, 23, 50)  # no older record is modified later
REPLICATION_START, REPLICATION_END = datetime(2025, 11, 21, 23, 58), datetime(2025, 11, 22, 0, 20)

# A property's name is a special one, or a first word, a kind and an ending.
SPECIAL_NAMES = (
    'Résidence Étoile|The "Maples", Phase II|O\'Hare Flats & Lofts|Señorial Court, "East" & "West"|'
    'D\'Azur Terrace, Bldg. B|Żuraw Lofts & Suites|"The Annex"|Åsbacken, Hus 3'
).split("|")
FIRST_WORDS = (
    "Alder|Aspenridge|Bayleaf|Birchmoor|Brambleton|Bríocht|Cedarfall|Château Brume|Clearbrook|"
    "Copperfield|Coralstone|Dovewood|Driftwood|Eastmere|El Jardín|Fernbank|Foxglove|Glasswater|"
    "Granite|Grünwald|Harborlight|Hazelnook|Heather & Thyme|Ironbark|Kestrel|King's Orchard|"
    "Lantern|Larkspur|L'Horizon|Marshlight|Miller's Reach|Moonstone|Northgate|Oakvale|Old Foundry|"
    "Pinecrest|Quarry|Redfern|Riverbend|Saltmarsh|Silverleaf|Sundial|Thistledown|Vista Niña|Willow"
).split("|")
KINDS = (
    "Apartments|Arms|Commons|Cottages|Court|Crossing|Flats|Gardens|Gate|Green|Heights|House|"
    "Landing|Lodge|Lofts|Manor|Mews|Park|Place|Plaza|Point|Quarters|Residences|Ridge|Square|"
    "Station|Suites|Terrace|Towers|Townhomes|Village|Villas|Walk|Yard"
).split("|")
ENDINGS = (
    '| East| West| North| South| II| III|, Phase I|, Phase II| & Annex| & Lofts| "A"| (Senior)|'
    " at the Park"
).split("|")
REPEATED_NAMES = 6  # properties that share their name with another one

HEADER = """# The day of the incident. `make seeds` writes this file and the others.
# models/staging/_staging__sources.yml describes the columns.
"""
DESCRIPTIONS = {
    "product_property_c": "DuckDB's stand-in for the Salesforce replica, as it was on 2025-11-21.",
    "product_property_w_features": "DuckDB's stand-in for the features table, the source of truth.",
    "properties": "DuckDB's stand-in for the application's properties; 350 are not in Salesforce.",
}
SQL_TYPES = {bool: "boolean", int: "bigint", str: "varchar", datetime: "timestamp", date: "date"}
Row = dict[str, object]


class State(NamedTuple):
    """One product of one property. None: never set. The features have times, Salesforce dates."""

    is_on: bool | None
    started: date | None = None
    updated: date | None = None


UNSET, OFF = State(None), State(False)


@dataclass(eq=False)
class Property:
    """One property, and its products by source prefix: unset or, in Salesforce, off by default."""

    registered: datetime  # in the application
    created: datetime | None = None  # in Salesforce, and so is modified
    modified: datetime | None = None
    changed: datetime | None = None  # none of its products changes later
    id: int = 0
    name: str = ""
    has_feature_row: bool = True
    features: dict[str, State] = field(default_factory=lambda: defaultdict(lambda: UNSET))
    salesforce: dict[str, State] = field(default_factory=lambda: defaultdict(lambda: OFF))


def between(rng: Random, low: datetime, high: datetime) -> datetime:
    """Return a time from low to high, whole seconds after low."""
    return low + timedelta(seconds=rng.randrange(int((high - low).total_seconds()) + 1))


def near_midnight(rng: Random, time: datetime, seconds: int = 59) -> datetime:
    """Return a time at most so many seconds before or after the start of the day."""
    midnight = datetime(time.year, time.month, time.day)
    return midnight + timedelta(seconds=rng.randint(-seconds, seconds))


def timestamp(rng: Random, low: datetime, high: datetime) -> datetime:
    """Return a time from low to high: 10 % at midnight, 2 % near it, 25 % with microseconds."""
    plain = between(rng, low, high)
    fraction = timedelta(microseconds=rng.randrange(1, 1_000_000))
    styles = [plain, near_midnight(rng, plain, 0), near_midnight(rng, plain), plain + fraction]
    time = rng.choices(styles, [63, 10, 2, 25])[0]
    return time if low <= time <= high else plain


def creations(rng: Random, count: int, start: datetime, end: datetime) -> list[datetime]:
    """Return the first and last millisecond from start to end, and others, 1 % near midnight."""
    times = [start, end - timedelta(milliseconds=1)]
    while len(times) < count:
        time = between(rng, start, end)
        if rng.random() < 0.01:
            time = near_midnight(rng, time)
        if start < time < end:
            times.append(time)
    return times


def make_properties(rng: Random) -> tuple[list[Property], ...]:
    """Return the cohort, the older, the new and the retired properties, without products."""
    created = creations(rng, COHORT, INCIDENT, INCIDENT + DAY)
    cohort = [Property(between(rng, INCIDENT - 60 * DAY, INCIDENT - DAY), time) for time in created]
    created = creations(rng, OLDER_LAST_WEEK, WEEK_START, INCIDENT)
    created += [WEEK_START - timedelta(seconds=1)]  # just outside the week
    created += creations(rng, OLDER - len(created), HISTORY_START, WEEK_START)
    older = [Property(between(rng, time - 3 * DAY, time - MINUTE), time) for time in created]
    limits = INCIDENT - 50 * DAY, FEATURES_END - 60 * MINUTE
    new = [Property(between(rng, *limits)) for _ in range(NEW)]
    limits = HISTORY_START, INCIDENT - 30 * DAY
    retired = [Property(between(rng, *limits)) for _ in range(RETIRED)]

    named = cohort + older + new
    made = [f"{first} {kind}{end}" for first in FIRST_WORDS for kind in KINDS for end in ENDINGS]
    names = SPECIAL_NAMES + rng.sample(made, len(named) - len(SPECIAL_NAMES) - REPEATED_NAMES)
    names += names[:REPEATED_NAMES]
    rng.shuffle(names)
    for prop, name in zip(named, names, strict=True):
        prop.name = name
    ids = rng.sample(range(100_000, 10_000_000), len(named) + RETIRED)
    for prop, number in zip(named + retired, ids, strict=True):
        prop.id = number
        prop.changed = max(between(rng, prop.registered, FEATURES_END) for _ in range(5))
    rng.shuffle(cohort)
    rng.shuffle(older)
    return cohort, older, new, retired


def set_features(active: list[Property], off: list[Property], others: list[Property]) -> None:
    """Set the products: those of COHORT_ON for the active, none, or in the shares of SHARE_ON."""
    for prefix in dict.fromkeys([*SHARE_ON, *(product.source_prefix for product in PRODUCTS)]):
        rng = Random(f"{SEED} {prefix}")
        share = SHARE_ON.get(prefix, DEFAULT_SHARE_ON)
        on = {*rng.sample(active, COHORT_ON.get(prefix, 0))}
        on |= {prop for prop in others if rng.random() < share}
        for prop in active + others:
            prop.features[prefix] = make_feature(rng, prop, prop in on)
        for prop in off:
            prop.features[prefix] = rng.choices([UNSET, OFF], [60, 40])[0]


def make_feature(rng: Random, prop: Property, is_on: bool) -> State:
    """Return one product; if it is off: never set (60 %), never on (34 %) or once on (6 %)."""
    if not is_on and rng.random() < 0.94:
        return rng.choices([UNSET, OFF], [60, 34])[0]
    started = timestamp(rng, prop.registered, prop.changed)
    if is_on and rng.random() < 0.40:
        return State(True, started, started)
    return State(is_on, started, timestamp(rng, started, prop.changed))


def set_salesforce(rng: Random, cohort: list[Property], older: list[Property]) -> None:
    """Leave the cohort off; copy the features of the older properties, and damage some copies.

    Only products of SHARE_ON are damaged or looked at, so that a new one changes no choice.
    """
    for prop in cohort:
        prop.modified = prop.created + timedelta(seconds=rng.randrange(180))
    for prop in older:
        for prefix, (is_on, *times) in prop.features.items():
            dates = (time and time.date() for time in times)
            prop.salesforce[prefix] = State(bool(is_on), *dates)

    mixed = [prop for prop in older if 0 < len(products_on(prop.features)) < len(SHARE_ON)]
    absent = [prop for prop in older if not prop.has_feature_row]
    mismatched = rng.sample(mixed, MISSING + MISSING_AND_LEFT_ON + LEFT_ON)
    mismatched += rng.sample(absent, LEFT_ON_WITHOUT_FEATURES)
    for prop in mismatched[: MISSING + MISSING_AND_LEFT_ON]:
        drop_flags(rng, prop)
    for prop in mismatched[MISSING:]:
        leave_flags_on(rng, prop)
    wrong_elsewhere = [prop for prop in mismatched if wrong_products(prop) - {"idv_only", "vor"}]
    for prop in rng.sample(wrong_elsewhere, NEVER_SET):
        emptied = rng.choice([["idv_only"], ["vor"], ["idv_only", "vor"]])
        prop.salesforce |= dict.fromkeys(emptied, UNSET)

    wrong = set(mismatched)
    right = [prop for prop in older if prop not in wrong and products_on(prop.features)]
    for prop in rng.sample(right, STALE_DATES):
        make_stale(rng, prop)
        wrong.add(prop)
    for prop in older:
        synced = prop.created if prop in wrong else max(prop.created, prop.changed)
        prop.modified = min(between(rng, synced, synced + 3 * DAY), MODIFIED_END)


def products_on(states: dict[str, State]) -> list[str]:
    """Return the products of SHARE_ON that are on."""
    return [prefix for prefix in SHARE_ON if states[prefix].is_on]


def wrong_products(prop: Property) -> set[str]:
    """Return the products of SHARE_ON that are on only in the features or only in Salesforce."""
    return {*products_on(prop.features)} ^ {*products_on(prop.salesforce)}


def drop_flags(rng: Random, prop: Property) -> None:
    """Switch off one to three products that are on; most lose their dates as well."""
    on = products_on(prop.features)
    for prefix in rng.sample(on, min(len(on), rng.choices([1, 2, 3], [60, 32, 8])[0])):
        without_flag = prop.salesforce[prefix]._replace(is_on=False)
        prop.salesforce[prefix] = rng.choices([OFF, without_flag], [70, 30])[0]


def leave_flags_on(rng: Random, prop: Property) -> None:
    """Switch on one or two products that are off; without a feature row, the two usual ones."""
    off = [prefix for prefix in SHARE_ON if not prop.features[prefix].is_on]
    if not prop.has_feature_row:
        off = ["fraud", "iv"]
    for prefix in rng.sample(off, min(len(off), rng.choices([1, 2], [75, 25])[0])):
        day = prop.salesforce[prefix].started or between(rng, prop.created, FEATURES_END).date()
        prop.salesforce[prefix] = State(True, day, day)


def make_stale(rng: Random, prop: Property) -> None:
    """Set back (50 %) or empty the dates of one product."""
    prefix = rng.choice([prefix for prefix in SHARE_ON if prop.salesforce[prefix].started])
    is_on, started, updated = prop.salesforce[prefix]
    earlier = updated - rng.randrange(1, 400) * DAY
    set_back = State(is_on, min(started, earlier), earlier)
    states = [set_back, State(is_on, started), State(is_on)]
    prop.salesforce[prefix] = rng.choices(states, [50, 25, 25])[0]


def build_tables() -> dict[str, list[Row]]:
    """Return the rows of each table, in random order."""
    rng = Random(SEED)
    cohort, older, new, retired = make_properties(rng)
    absent = cohort[-COHORT_WITHOUT_FEATURES:]
    absent += older[:OLDER_WITHOUT_FEATURES] + new[:NEW_WITHOUT_FEATURES]
    for prop in absent:
        prop.has_feature_row = False
    off = cohort[COHORT_ACTIVE:-COHORT_WITHOUT_FEATURES]
    others = older[OLDER_WITHOUT_FEATURES:] + new[NEW_WITHOUT_FEATURES:] + retired
    set_features(cohort[:COHORT_ACTIVE], off, others)
    set_salesforce(rng, cohort, older)

    synced = cohort + older
    numbers = rng.sample(range(62**7), len(synced))
    records = [salesforce_row(rng, *pair) for pair in zip(synced, numbers, strict=True)]
    tables = {
        "product_property_c": records,
        "product_property_w_features": [
            {"property_id": str(prop.id)} | product_cells(prop.features, "feature_columns")
            for prop in synced + new + retired
            if prop.has_feature_row
        ],
        "properties": [
            {
                "id": prop.id,
                "name": prop.name,
                "created_at": prop.registered,
                "updated_at": between(rng, prop.registered, FEATURES_END),
            }
            for prop in synced + new
        ],
    }
    for rows in tables.values():
        rng.shuffle(rows)
    return tables


def salesforce_row(rng: Random, prop: Property, number: int) -> Row:
    """Return one record of product_property_c, with an id of 18 characters."""
    return {
        "id": f"a0BUX{number:013d}",
        "name": prop.name,
        "created_date": prop.created,
        "last_modified_date": prop.modified,
        "is_deleted": False,
        "_fivetran_synced": between(rng, max(REPLICATION_START, prop.modified), REPLICATION_END),
        "snappt_property_id_c": str(prop.id),
        "reverse_etl_id_c": f"prop_{prop.id}",
    } | product_cells(prop.salesforce, "salesforce_columns")


def product_cells(states: dict[str, State], columns: str) -> Row:
    """Return the states under the mapping's feature_columns or salesforce_columns."""
    cells: Row = {}
    for product in PRODUCTS:
        cells |= zip(getattr(product, columns), states[product.source_prefix], strict=True)
    return cells


def write_seeds(folder: Path) -> None:
    """Write each table as CSV with ISO times and lowercase booleans, and _seeds.yml about them."""
    seeds = []
    for table, rows in build_tables().items():
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(rows[0])
            for row in rows:
                cells = row.values()
                writer.writerow(str(c).lower() if isinstance(c, bool) else c for c in cells)
        types = {
            name: SQL_TYPES[next(type(row[name]) for row in rows if row[name] is not None)]
            for name in rows[0]
        }
        config = {"meta": {"rows": len(rows)}, "column_types": types}
        seeds.append({"name": table, "description": DESCRIPTIONS[table], "config": config})
    settings = {"sort_keys": False, "default_flow_style": None, "width": 90}
    text = HEADER + yaml.safe_dump({"seeds": seeds}, **settings)
    (folder / "_seeds.yml").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_seeds(ROOT / "seeds")
