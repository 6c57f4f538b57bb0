"""Source tables of any size for the benchmark, made by DuckDB, the same ones every time.

They look like the day of the incident in `seeds/`: a day's new properties that show no product,
older ones that lack a flag or have one too many, and correct ones, with the seeds' shares of flags
that are on, off and empty. What a property is follows from its number alone, and each table has its
rows in another order.

In messy tables one Salesforce row in 1,000 has a blank sync key, another row's sync key or a blank
property id, one in 1,000 has an empty flag, and one feature row in 1,000 is an outdated one of a
property that has another.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml

ROOT = Path(__file__).parents[1]
DAY = "2025-11-21"
SALESFORCE = "hive_metastore.salesforce.product_property_c"
FEATURES = "crm.sfdc_dbx.product_property_w_features"
PROPERTIES = "rds.pg_rds_public.properties"

# Source prefix, flag and start of the dates' names in Salesforce, share of properties with it on.
PRODUCTS = (
    ("fraud", "fraud_detection_enabled_c", "fraud_detection", 0.93),
    ("iv", "income_verification_enabled_c", "income_verification", 0.88),
    ("idv", "id_verification_enabled_c", "id_verification", 0.06),
    ("idv_only", "idv_only_enabled_c", "idv_only", 0.02),
    ("payroll_linking", "connected_payroll_enabled_c", "connected_payroll", 0.08),
    ("bank_linking", "bank_linking_enabled_c", "bank_linking", 0.06),
    ("vor", "verification_of_rent_enabled_c", "vor", 0.03),
)
NEW = 0.435  # of the mismatched: created on DAY, every flag off
LEFT_ON = 0.065  # of the mismatched: a flag on that is off in truth
UNKNOWN = 0.011  # of the Salesforce properties: no feature row
STRIDE = 15_485_863  # a prime that divides no number of rows: k * STRIDE % rows is each row once


@dataclass(frozen=True)
class Sources:
    """Row counts, the share of the properties (0 to 1) that are mismatched, and whether messy."""

    properties: int
    feature_rows: int
    mismatched_share: float
    is_messy: bool = False

    @property
    def mismatched(self) -> int:
        """The number of mismatched properties. In messy tables some cannot be synced."""
        return round(self.mismatched_share * self.properties)

    def write(self, folder: Path) -> None:
        """Write each catalog as a DuckDB file with its source table, or that table anew."""
        selects = {
            SALESFORCE: self._salesforce(),
            FEATURES: self._features(),
            PROPERTIES: _properties(self.properties),
        }
        folder.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            for name, select in selects.items():
                catalog, schema, table = name.split(".")
                connection.execute(f"attach '{folder / catalog}.duckdb' as {catalog}")
                connection.execute(f"create schema if not exists {catalog}.{schema}")
                connection.execute(f"create or replace table {name} ({_columns(table)})")
                connection.execute(f"insert into {name} by name {select}")

    def _truth(self, properties: int) -> str:
        """Select the truth of the properties 0 to `properties` - 1, and how Salesforce errs."""
        new, left_on = round(NEW * self.mismatched), round(LEFT_ON * self.mismatched)
        unknown = round(UNKNOWN * self.properties)
        # Some of those that are left on have no feature row.
        known_again = self.properties - left_on + left_on // 20
        truth = ",\n".join(_truth_columns(prefix, share) for prefix, _, _, share in PRODUCTS)
        return f"""
            select
                *,
                i not between {known_again - unknown} and {known_again - 1} as is_known,
                {truth}
            from (
                select
                    i,
                    case
                        when i < {new} then 'new'
                        when i < {self.mismatched - left_on} then 'missing'
                        when i between {self.properties - left_on} and {self.properties - 1}
                            then 'left on'
                        else 'correct'
                    end as error,
                    if({_dice("wrong")} < 0.5, 'fraud', 'iv') as wrong_product
                from (
                    select k * {STRIDE} % {properties} as i
                    from range({properties}) as numbers(k)
                )
            )
        """

    def _features(self) -> str:
        outdated = self.feature_rows // 1000 if self.is_messy else 0
        truth = self._truth(self.feature_rows - outdated + round(UNKNOWN * self.properties))
        return f"""
            select {_property_id("i")} as property_id, columns('_(enabled|enabled_at|updated_at)$')
            from ({truth}) where is_known
            union all by name
            select
                {_property_id(f"i * 700 % {self.properties}")} as property_id,
                i % 2 = 0 as fraud_enabled,
                timestamp '2022-01-01' as fraud_enabled_at,
                timestamp '2022-02-01' as fraud_updated_at
            from range({outdated}) as numbers(i)
        """

    def _salesforce(self) -> str:
        key, next_key = (f"'prop_' || {_property_id(i)}" for i in ("i", "(i + 1)"))
        property_id = _property_id("i")
        if self.is_messy:
            key = f"case i % 3000 when 1000 then '' when 2000 then {next_key} else {key} end"
            property_id = f"if(i % 3000 = 0, null, {property_id})"
        products = ",\n".join(_salesforce_columns(*names, self.is_messy) for *names, _ in PRODUCTS)
        return f"""
            select
                'a0BUX000' || lpad(i::varchar, 10, '0') as id,
                'Property with number ' || i as name,
                case
                    when error = 'new' then timestamp '{DAY}' + {_seconds("created", 1)}
                    when {_dice("this week")} < 0.025
                        then timestamp '{DAY}' - interval 1 second - {_seconds("created", 7)}
                    else timestamp '2023-01-01' + {_seconds("created", 1000)}
                end as created_date,
                timestamp '2025-11-22' as last_modified_date,
                false as is_deleted,
                timestamp '2025-11-22' as _fivetran_synced,
                {property_id} as snappt_property_id_c,
                {key} as reverse_etl_id_c,
                {products}
            from ({self._truth(self.properties)})
        """


def _truth_columns(product: str, share: float) -> str:
    """Select the flag and the moments of a product; the flag is empty where it was never set."""
    state, is_wrong = _dice(product), f"wrong_product = '{product}'"
    return f"""
        case
            when error = 'left on' and {is_wrong} then false
            when error = 'missing' and {is_wrong} or {state} < {share} then true
            when error = 'new' and '{product}' = 'fraud' then true
            when {state} < {share + 0.4 * (1 - share)} then false
        end as {product}_enabled,
        if(
            {product}_enabled or {state} between {share} and {share + 0.06 * (1 - share)},
            timestamp '2023-01-01' + {_seconds(f"{product} start", 900)},
            null
        ) as {product}_enabled_at,
        {product}_enabled_at + {_seconds(f"{product} update", 150)} as {product}_updated_at
    """


def _salesforce_columns(product: str, flag: str, dates: str, is_messy: bool) -> str:
    """Select what Salesforce has of a product: the truth's flag and days, but for the errors."""
    is_wrong = f"wrong_product = '{product}'"
    never_set = f"{_dice('never set')} < 0.02 and error != 'correct'"
    if is_messy:
        never_set += " or error = 'correct' and i % 1000 = 500"
    lost = f"error = 'new' or not is_known or error = 'missing' and {is_wrong}"
    is_stale = f"{_dice('stale')} < 0.014"
    return f"""
        case
            when '{product}' = 'vor' and ({never_set}) then null
            when error = 'left on' and {is_wrong} then true
            when {lost} then false
            else coalesce({product}_enabled, false)
        end as {flag},
        if({lost}, null, {product}_enabled_at::date) as {dates}_start_date_c,
        if({lost}, null, {product}_updated_at::date - if({is_stale}, 30, 0))
            as {dates}_updated_date_c
    """


def _properties(rows: int) -> str:
    return f"""
        select
            {_property_id("i")}::bigint as id,
            'Property with number ' || i as name,
            timestamp '2022-12-31' as created_at,
            timestamp '2025-11-20' as updated_at
        from range({rows}) as numbers(i)
    """


def _property_id(number: str) -> str:
    """Return the text that a property's number has as id; unordered, 6 to 8 digits."""
    return f"(100000 + {number} * 7919 % 20000003)::varchar"


def _dice(name: str) -> str:
    """Return a number from 0 to 1 that a property has for whatever the name stands for."""
    return f"(hash(i, '{name}') % 1000000 / 1000000)"


def _seconds(name: str, days: int) -> str:
    """Return an interval of whole seconds that a property has, shorter than so many days."""
    return f"to_seconds((hash(i, '{name}') % {days * 86_400})::bigint)"


def _columns(table: str) -> str:
    """Name and type of each column, as the seeds have them."""
    seeds = yaml.safe_load((ROOT / "seeds" / "_seeds.yml").read_text(encoding="utf-8"))["seeds"]
    types = next(seed["config"]["column_types"] for seed in seeds if seed["name"] == table)
    return ", ".join(f"{column} {kind}" for column, kind in types.items())
