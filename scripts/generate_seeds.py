"""Write the three synthetic dbt seeds for the Product_Property__c incident of 2025-11-21.

    python scripts/generate_seeds.py [--output-dir seeds]

A sync created 1,296 properties in Salesforce with every product off, although 1,226 of them
have products. The seeds hold that cohort plus older rows that drifted for other reasons:

    product_property_c.csv           Salesforce's replica (flags, dates without time)
    product_property_w_features.csv  the truth: per property and product a flag and timestamps
    properties.csv                   the property master, including some not yet in Salesforce

All data are invented. Times are UTC. The same seed gives the same bytes on Python >= 3.11.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

# --- Figures ----------------------------------------------------------------------------------

SEED = 20251121  # the only source of randomness
COHORT_ROWS = 1_296  # Salesforce rows created on the incident day, all flags false
COHORT_WITH_PRODUCTS = 1_226  # of those, rows where truth has some product on
COHORT_ON = {"fraud": 1_226, "iv": 1_176, "idv": 7, "payroll_linking": 5, "bank_linking": 4}
COHORT_WITHOUT_FEATURES = 38  # of the other 70, rows without a feature row (32 are all off)
OLDER_ROWS = 15_806  # Salesforce rows created before the incident day
OLDER_LAST_WEEK = 420  # of those, rows created 2025-11-14 .. 2025-11-20
OLDER_WITHOUT_FEATURES = 150  # older rows that have no feature row
MISSING_ONLY_ROWS = 1_385  # older rows with a flag off in Salesforce but on in truth
LEFT_ON_ONLY_ROWS = 184  # older rows with a flag on in Salesforce but not in truth
BOTH_ROWS = 20  # older rows with both kinds of mismatch (1,589 mismatched in all)
LEFT_ON_WITHOUT_FEATURES = 10  # of the left-on rows, those without a feature row
NEVER_SET_ROWS = 61  # mismatched older rows that also have an empty idv_only / vor flag
STALE_DATE_ROWS = 240  # older rows whose flags are right but whose dates are not
UNSYNCED_ROWS = 350  # properties not yet in Salesforce
UNSYNCED_WITH_FEATURES = 331  # of those, rows that have a feature row
RETIRED_ROWS = 5_539  # feature rows of properties that are in neither other file
REPEATED_NAMES = 6  # properties that share their name with another property

# Share of older properties with the product on in truth (0..1).
ON_RATE = {
    "fraud": 0.93,
    "iv": 0.88,
    "idv": 0.06,
    "idv_only": 0.02,
    "payroll_linking": 0.08,
    "bank_linking": 0.06,
    "vor": 0.03,
}
OFF_IS_FALSE_RATE = 0.40  # share of truth flags not on that are false, the others are empty
DISABLED_RATE = 0.15  # share of false truth flags that were on once and keep their dates

# --- Calendar (UTC) ---------------------------------------------------------------------------

ONE_DAY = timedelta(days=1)
HISTORY_START = datetime(2023, 1, 1)  # first Salesforce creation
WEEK_START = datetime(2025, 11, 14)  # first creation of the last week before the incident
INCIDENT = datetime(2025, 11, 21)  # first instant of the incident day
TRUTH_END = datetime(2025, 11, 21, 23, 0)  # no truth timestamp is later
MODIFIED_END = datetime(2025, 11, 21, 23, 50)  # no older row was modified later
SYNC_START = datetime(2025, 11, 21, 23, 58)  # Fivetran run, first row
SYNC_END = datetime(2025, 11, 22, 0, 20)  # Fivetran run, last row
LAST_TICK = timedelta(hours=23, minutes=59, seconds=59, milliseconds=999)  # end of a day
COHORT_EDGES = [INCIDENT, INCIDENT + LAST_TICK]  # creations on the day's limits
WEEK_EDGES = [WEEK_START, INCIDENT - ONE_DAY + LAST_TICK]  # the same for the last week
BEFORE_WEEK_EDGES = [WEEK_START - timedelta(seconds=1)]  # one second too early for it

# --- Products: source prefix -> Salesforce flag, start date, updated date ----------------------

SALESFORCE_COLUMNS = {
    "fraud": (
        "fraud_detection_enabled_c",
        "fraud_detection_start_date_c",
        "fraud_detection_updated_date_c",
    ),
    "iv": (
        "income_verification_enabled_c",
        "income_verification_start_date_c",
        "income_verification_updated_date_c",
    ),
    "idv": (
        "id_verification_enabled_c",
        "id_verification_start_date_c",
        "id_verification_updated_date_c",
    ),
    "idv_only": ("idv_only_enabled_c", "idv_only_start_date_c", "idv_only_updated_date_c"),
    "payroll_linking": (
        "connected_payroll_enabled_c",
        "connected_payroll_start_date_c",
        "connected_payroll_updated_date_c",
    ),
    "bank_linking": (
        "bank_linking_enabled_c",
        "bank_linking_start_date_c",
        "bank_linking_updated_date_c",
    ),
    "vor": ("verification_of_rent_enabled_c", "vor_start_date_c", "vor_updated_date_c"),
}
PRODUCTS = list(SALESFORCE_COLUMNS)

# --- Invented names: first word x kind x tail --------------------------------------------------

SPECIAL_NAMES = [
    "Résidence Étoile",
    'The "Maples", Phase II',
    "O'Hare Flats & Lofts",
    'Señorial Court, "East" & "West"',
    "D'Azur Terrace, Bldg. B",
    "Żuraw Lofts & Suites",
    '"The Annex"',
    "Åsbacken, Hus 3",
]
NAME_FIRST = (
    "Alder,Amberline,Aspenridge,Bayleaf,Birchmoor,Bluegate,Brambleton,Bríocht,Cedarfall,"
    "Château Brume,Cinderpath,Clearbrook,Copperfield,Coralstone,Crestwind,Dovewood,Driftwood,"
    "Eastmere,El Jardín,Elmhollow,Fernbank,Foxglove,Glasswater,Granite,Grünwald,Harborlight,"
    "Hawksmere,Hazelnook,Heather & Thyme,Highmeadow,Ironbark,Kestrel,King's Orchard,Lakeshade,"
    "Lantern,Larkspur,Limestone,L'Horizon,Marshlight,Miller's Reach,Moonstone,Mosswood,"
    "Northgate,Oakvale,Old Foundry,Orchard,Pebblebrook,Pinecrest,Quarry,Redfern,Riverbend,"
    "Saltmarsh,Silverleaf,Stonebridge,Sundial,Tamarack,Thistledown,Vista Niña,Westwind,Willowmere"
)
NAME_KIND = (
    "Apartments,Arms,Commons,Cottages,Court,Crossing,Flats,Gardens,Gate,Green,Heights,House,"
    "Landing,Lodge,Lofts,Manor,Mews,Park,Place,Plaza,Point,Quarters,Residences,Ridge,Square,"
    "Station,Suites,Terrace,Towers,Townhomes,Village,Villas,Walk,Yard"
)
NAME_TAIL = [
    "",
    " East",
    " West",
    " North",
    " South",
    " II",
    " III",
    ", Phase I",
    ", Phase II",
    " & Annex",
    " & Lofts",
    ' "A"',
    " (Senior)",
    " at the Park",
]

Cell = str | int | bool | date | datetime | None
Row = dict[str, Cell]


@dataclass
class Truth:
    """One product of one property at the source; None = never configured."""

    enabled: bool | None = None
    enabled_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass
class Replica:
    """One product of one property in Salesforce; dates have lost their time."""

    enabled: bool | None = False
    start: date | None = None
    updated: date | None = None


@dataclass
class Property:
    """One property; created and modified are Salesforce's, datetime.max if it is not there."""

    id: int
    name: str
    source_created: datetime
    created: datetime = datetime.max
    modified: datetime = datetime.max
    truth: dict[str, Truth] | None = None  # 7 products, None = no feature row
    replica: dict[str, Replica] = field(default_factory=dict)  # 7 products if in Salesforce

    def truth_of(self, product: str) -> Truth:
        """Return the product's truth; everything off when there is no feature row."""
        return self.truth[product] if self.truth else Truth()

    def products(self, on: bool) -> list[str]:
        """Return the products that truth has on (or not on), in column order."""
        return [p for p in PRODUCTS if bool(self.truth_of(p).enabled) == on]


# --- Small random parts -----------------------------------------------------------------------


def between(rng: Random, low: datetime, high: datetime) -> datetime:
    """Return a whole second in [low, high]."""
    return low + timedelta(seconds=rng.randrange(int((high - low).total_seconds()) + 1))


def midnight(moment: datetime) -> datetime:
    """Return the first instant of the moment's day."""
    return datetime(moment.year, moment.month, moment.day)


def near_midnight(rng: Random, moment: datetime) -> datetime:
    """Return an instant 2..59 seconds before or after the midnight that starts the day."""
    return midnight(moment) + timedelta(seconds=rng.choice([-1, 1]) * rng.randrange(2, 60))


def truth_moment(rng: Random, low: datetime, high: datetime) -> datetime:
    """Return an instant in [low, high]: 10 % midnight, 2 % close to it, 25 % with microseconds."""
    plain, style = between(rng, low, high), rng.random()
    moment = plain
    if style < 0.10:
        moment = midnight(plain)
    elif style < 0.12:
        moment = near_midnight(rng, plain)
    elif style < 0.37:
        moment = plain + timedelta(microseconds=rng.randrange(1, 1_000_000))
    return moment if low <= moment <= high else plain


def creations(
    rng: Random, count: int, low: datetime, high: datetime, edges: list[datetime]
) -> list[datetime]:
    """Return count instants strictly inside (low, high), 1 % close to midnight, plus the edges."""
    moments = list(edges)
    while len(moments) < count:
        moment = between(rng, low, high)
        if rng.random() < 0.01:
            moment = near_midnight(rng, moment)
        if low < moment < high and moment not in edges:
            moments.append(moment)
    return moments


def make_names(rng: Random, count: int) -> list[str]:
    """Return count names in random order, unique except REPEATED_NAMES of them."""
    firsts, kinds = NAME_FIRST.split(","), NAME_KIND.split(",")
    combos = [f"{first} {kind}{tail}" for first in firsts for kind in kinds for tail in NAME_TAIL]
    unique = SPECIAL_NAMES + rng.sample(combos, count - len(SPECIAL_NAMES) - REPEATED_NAMES)
    names = unique + unique[:REPEATED_NAMES]
    rng.shuffle(names)
    return names


def base62(number: int, width: int) -> str:
    """Return number in base 62, padded with 0 to width characters."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        text = digits[digit] + text
    return text


def salesforce_id(number: int) -> str:
    """Return an 18-character id: 15 case-sensitive ones and Salesforce's 3-character checksum."""
    short = "a0BUX000" + base62(number, 7)
    chunks = [short[i : i + 5] for i in (0, 5, 10)]
    sums = [sum(1 << i for i, c in enumerate(chunk) if "A" <= c <= "Z") for chunk in chunks]
    return short + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[s] for s in sums)


# --- Truth ------------------------------------------------------------------------------------


def truth_on(rng: Random, since: datetime) -> Truth:
    """Return an enabled product; since <= enabled_at <= updated_at <= TRUTH_END."""
    start = truth_moment(rng, since, TRUTH_END)
    updated = start if rng.random() < 0.4 else truth_moment(rng, start, TRUTH_END)
    return Truth(True, start, updated)


def truth_off(rng: Random, since: datetime, disabled_rate: float = DISABLED_RATE) -> Truth:
    """Return a product that is not on: empty, false, or false with the dates it once had."""
    if rng.random() >= OFF_IS_FALSE_RATE:
        return Truth()
    if rng.random() >= disabled_rate:
        return Truth(False)
    start = truth_moment(rng, since, TRUTH_END)
    return Truth(False, start, truth_moment(rng, start, TRUTH_END))


def random_truth(rng: Random, since: datetime) -> dict[str, Truth]:
    """Return the 7 products, on with the probabilities ON_RATE."""
    return {
        p: truth_on(rng, since) if rng.random() < ON_RATE[p] else truth_off(rng, since)
        for p in PRODUCTS
    }


def cohort_truths(rng: Random, cohort: list[Property]) -> None:
    """Give the cohort its truth: exactly COHORT_ON products on, the rest off or no feature row."""
    active = cohort[:COHORT_WITH_PRODUCTS]
    chosen = {p: set(rng.sample(range(len(active)), n)) for p, n in COHORT_ON.items()}
    for i, prop in enumerate(active):
        since = prop.source_created
        prop.truth = {
            p: truth_on(rng, since) if i in chosen.get(p, ()) else truth_off(rng, since)
            for p in PRODUCTS
        }
    for prop in cohort[COHORT_WITH_PRODUCTS : COHORT_ROWS - COHORT_WITHOUT_FEATURES]:
        prop.truth = {p: truth_off(rng, prop.source_created, 0.0) for p in PRODUCTS}


# --- Salesforce's copy ------------------------------------------------------------------------


def copy_truth(prop: Property) -> None:
    """Fill the replica with what a correct sync writes: flag or false, dates without time."""
    for p in PRODUCTS:
        truth = prop.truth_of(p)
        start = truth.enabled_at.date() if truth.enabled_at else None
        updated = truth.updated_at.date() if truth.updated_at else None
        prop.replica[p] = Replica(bool(truth.enabled), start, updated)


def drop_flags(rng: Random, prop: Property) -> None:
    """Switch 1..3 products off that truth has on; most lose their dates as well."""
    on = prop.products(on=True)
    for p in rng.sample(on, min(len(on), rng.choices([1, 2, 3], [60, 32, 8])[0])):
        keep_dates = rng.random() < 0.3
        old = prop.replica[p]
        prop.replica[p] = Replica(False, old.start, old.updated) if keep_dates else Replica()


def leave_on(rng: Random, prop: Property) -> None:
    """Switch 1..2 products on that truth does not have on; dates are those of the old state.

    Without a feature row these are the two most common products, fraud and iv.
    """
    off = prop.products(on=False) if prop.truth else ["fraud", "iv"]
    for p in rng.sample(off, min(len(off), rng.choices([1, 2], [75, 25])[0])):
        start = prop.replica[p].start or between(rng, prop.created, TRUTH_END).date()
        prop.replica[p] = Replica(True, start, start)


def never_set_choices(prop: Property) -> list[tuple[str, ...]]:
    """Return the flags that can be emptied while another flag still differs (non-null)."""
    wrong = {p for p in PRODUCTS if prop.replica[p].enabled != bool(prop.truth_of(p).enabled)}
    options = [("idv_only",), ("vor",), ("idv_only", "vor")]
    return [option for option in options if wrong - set(option)]


def never_set_flags(rng: Random, mismatched: list[Property]) -> None:
    """Empty idv_only and/or vor of NEVER_SET_ROWS rows that stay mismatched without them."""
    for prop in rng.sample([p for p in mismatched if never_set_choices(p)], NEVER_SET_ROWS):
        for p in rng.choice(never_set_choices(prop)):
            prop.replica[p] = Replica(None, None, None)


def make_stale(rng: Random, prop: Property) -> None:
    """Set back or empty the dates of one product, flags unchanged."""
    replica = prop.replica[rng.choice([p for p in PRODUCTS if prop.replica[p].start])]
    style = rng.random()
    if style < 0.25:
        replica.start = replica.updated = None
    elif style < 0.5:
        replica.updated = None
    elif replica.start and replica.updated:
        replica.updated -= rng.randrange(1, 400) * ONE_DAY
        replica.start = min(replica.start, replica.updated)


def set_modified(rng: Random, prop: Property, in_sync: bool) -> None:
    """Set last_modified_date: after creation, and after the last truth change if in sync."""
    stamps = [prop.truth_of(p).updated_at for p in PRODUCTS] if in_sync else []
    earliest = max([prop.created] + [s for s in stamps if s])
    delay = timedelta(seconds=rng.randrange(3 * 86_400))
    prop.modified = max(earliest, min(earliest + delay, MODIFIED_END))


# --- Groups of properties ---------------------------------------------------------------------


class Factory:
    """Hands out properties with unique random ids and names."""

    def __init__(self, rng: Random) -> None:
        """Draw ids (100000..9999999, unordered) and names; retired ones, made last, have none."""
        named = COHORT_ROWS + OLDER_ROWS + UNSYNCED_ROWS
        ids = rng.sample(range(100_000, 10_000_000), named + RETIRED_ROWS)
        names = make_names(rng, named) + [""] * RETIRED_ROWS
        self._identities = iter(zip(ids, names, strict=True))

    def make(self, source_created: datetime, created: datetime = datetime.max) -> Property:
        """Return the next property."""
        number, name = next(self._identities)
        return Property(number, name, source_created, created)


def make_cohort(rng: Random, factory: Factory) -> list[Property]:
    """Return the 1,296 rows of the incident day: every flag false, every date empty."""
    day_end = INCIDENT + LAST_TICK
    moments = creations(rng, COHORT_ROWS, INCIDENT, day_end, COHORT_EDGES)
    rng.shuffle(moments)
    cohort = []
    for created in moments:
        source_created = between(rng, INCIDENT - 60 * ONE_DAY, INCIDENT - ONE_DAY)
        prop = factory.make(source_created, created)
        prop.modified = created + timedelta(seconds=rng.randrange(180))
        prop.replica = {p: Replica() for p in PRODUCTS}
        cohort.append(prop)
    cohort_truths(rng, cohort)
    return cohort


def make_older(rng: Random, factory: Factory) -> list[Property]:
    """Return the 15,806 older rows as a correct sync would have left them."""
    moments = creations(rng, OLDER_LAST_WEEK, WEEK_START, INCIDENT, WEEK_EDGES)
    before = OLDER_ROWS - OLDER_LAST_WEEK
    moments += creations(rng, before, HISTORY_START, WEEK_START, BEFORE_WEEK_EDGES)
    rng.shuffle(moments)
    older = []
    for i, created in enumerate(moments):
        prop = factory.make(created - timedelta(seconds=rng.randrange(60, 3 * 86_400)), created)
        if i >= OLDER_WITHOUT_FEATURES:
            prop.truth = random_truth(rng, prop.source_created)
        copy_truth(prop)
        older.append(prop)
    return older


def damage_older(rng: Random, older: list[Property]) -> None:
    """Bring the mismatches and the stale dates into the older rows."""
    with_products = [p for p in older if p.products(on=True) and p.products(on=False)]
    wanted = MISSING_ONLY_ROWS + BOTH_ROWS + LEFT_ON_ONLY_ROWS - LEFT_ON_WITHOUT_FEATURES
    drawn = rng.sample(with_products, wanted)
    featureless = [p for p in older if p.truth is None]
    missing = drawn[: MISSING_ONLY_ROWS + BOTH_ROWS]
    left_on = drawn[MISSING_ONLY_ROWS:] + rng.sample(featureless, LEFT_ON_WITHOUT_FEATURES)
    for prop in missing:
        drop_flags(rng, prop)
    for prop in left_on:
        leave_on(rng, prop)
    mismatched = missing + left_on[BOTH_ROWS:]
    never_set_flags(rng, mismatched)

    bad_ids = {p.id for p in mismatched}
    correct = [p for p in older if p.id not in bad_ids and p.products(on=True)]
    stale = rng.sample(correct, STALE_DATE_ROWS)
    for prop in stale:
        make_stale(rng, prop)
    bad_ids |= {p.id for p in stale}
    for prop in older:
        set_modified(rng, prop, in_sync=prop.id not in bad_ids)


def make_unsynced(rng: Random, factory: Factory) -> list[Property]:
    """Return the 350 properties not yet in Salesforce, 331 of them with truth."""
    low, high = INCIDENT - 50 * ONE_DAY, TRUTH_END - timedelta(hours=1)
    unsynced = [factory.make(between(rng, low, high)) for _ in range(UNSYNCED_ROWS)]
    for prop in unsynced[:UNSYNCED_WITH_FEATURES]:
        prop.truth = random_truth(rng, prop.source_created)
    return unsynced


def make_retired(rng: Random, factory: Factory) -> list[Property]:
    """Return the 5,539 properties that only the truth still knows."""
    retired = []
    for _ in range(RETIRED_ROWS):
        prop = factory.make(between(rng, HISTORY_START, INCIDENT - 30 * ONE_DAY))
        prop.truth = random_truth(rng, prop.source_created)
        retired.append(prop)
    return retired


# --- Rows and files ---------------------------------------------------------------------------


def salesforce_row(rng: Random, prop: Property, sf_id: str) -> Row:
    """Return one row of product_property_c (8 + 21 cells)."""
    row: Row = {
        "id": sf_id,
        "name": prop.name,
        "created_date": prop.created,
        "last_modified_date": prop.modified,
        "is_deleted": False,
        "_fivetran_synced": between(rng, max(SYNC_START, prop.modified), SYNC_END),
        "snappt_property_id_c": str(prop.id),
        "reverse_etl_id_c": f"prop_{prop.id}",
    }
    for p, columns in SALESFORCE_COLUMNS.items():
        copy = prop.replica[p]
        row |= dict(zip(columns, (copy.enabled, copy.start, copy.updated), strict=True))
    return row


def feature_row(prop: Property) -> Row:
    """Return one row of product_property_w_features (1 + 21 cells)."""
    row: Row = {"property_id": str(prop.id)}
    for p in PRODUCTS:
        truth = prop.truth_of(p)
        row[f"{p}_enabled"] = truth.enabled
        row[f"{p}_enabled_at"] = truth.enabled_at
        row[f"{p}_updated_at"] = truth.updated_at
    return row


def property_row(rng: Random, prop: Property) -> Row:
    """Return one row of properties (4 cells)."""
    created = prop.source_created
    updated = between(rng, created, TRUTH_END)
    return {"id": prop.id, "name": prop.name, "created_at": created, "updated_at": updated}


def build_tables(rng: Random) -> dict[str, list[Row]]:
    """Return the rows of the three files, each in shuffled order."""
    factory = Factory(rng)
    cohort, older = make_cohort(rng, factory), make_older(rng, factory)
    damage_older(rng, older)
    unsynced, retired = make_unsynced(rng, factory), make_retired(rng, factory)

    synced = cohort + older
    numbers = rng.sample(range(62**7), len(synced))
    sf_rows = [
        salesforce_row(rng, p, salesforce_id(n)) for p, n in zip(synced, numbers, strict=True)
    ]
    tables = {
        "product_property_c": sf_rows,
        "product_property_w_features": [
            feature_row(p) for p in synced + unsynced + retired if p.truth is not None
        ],
        "properties": [property_row(rng, p) for p in synced + unsynced],
    }
    for rows in tables.values():
        rng.shuffle(rows)
    return tables


def to_text(cell: Cell) -> str:
    """Return a cell as CSV text: empty for None, true/false, ISO dates with a blank, no zone."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    return cell.isoformat(sep=" ") if isinstance(cell, datetime) else str(cell)


def write_csv(path: Path, rows: list[Row]) -> None:
    """Write rows with a header line; UTF-8, LF."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([to_text(cell) for cell in row.values()] for row in rows)


# --- Report: counted from the rows ------------------------------------------------------------


def differences(sf_row: Row, truth: Row) -> list[str]:
    """Return 'product kind' per differing flag; truth = {} when there is no feature row."""
    found = []
    for p, (flag, _, _) in SALESFORCE_COLUMNS.items():
        have, want = sf_row[flag], bool(truth.get(f"{p}_enabled"))
        if have is None:
            found.append(f"{p} never_set")
        elif have != want:
            found.append(f"{p} {'missing' if want else 'left_on'}")
    return found


def report(tables: dict[str, list[Row]]) -> None:
    """Print row counts, mismatched rows per group and the older rows' kinds per product."""
    truths = {row["property_id"]: row for row in tables["product_property_w_features"]}
    rows_in, mismatched, kinds = Counter[str](), Counter[str](), Counter[str]()
    for row in tables["product_property_c"]:
        found = differences(row, truths.get(row["snappt_property_id_c"], {}))
        group = "incident day" if str(row["created_date"]) >= str(INCIDENT) else "older"
        rows_in[group] += 1
        mismatched[group] += bool(found)
        kinds.update(f"{group}: {kind}" for kind in found)
    for name, rows in tables.items():
        print(f"{name}: {len(rows):,} rows")
    for group in sorted(rows_in):
        print(f"created {group}: {rows_in[group]:,} rows, {mismatched[group]:,} mismatched")
    for kind in sorted(kinds):
        print(f"  {kind} {kinds[kind]:,}")


def main() -> None:
    """Build the tables, write them and print the figures."""
    parser = argparse.ArgumentParser(description="Write the synthetic dbt seeds.")
    parser.add_argument("--output-dir", type=Path, default=Path("seeds"))
    output_dir: Path = parser.parse_args().output_dir
    output_dir.mkdir(parents=True, exist_ok=True)
    tables = build_tables(Random(SEED))
    for name, rows in tables.items():
        write_csv(output_dir / f"{name}.csv", rows)
    report(tables)


if __name__ == "__main__":
    main()
