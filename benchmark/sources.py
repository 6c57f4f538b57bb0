"""Source tables of any size: the seeds, copied as often as it takes, each copy with its own ids.

So they have the incident's shares of everything, and are the same in every run. A smaller share of
mismatched records comes from correcting the others. In messy tables one Salesforce record in 1,000
has a blank sync key, another record's sync key or a blank property id, one in 1,000 has an empty
flag, and one property in 1,000 has a second, outdated feature row.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml
from mapping import PRODUCTS, ROOT

DAY = "2025-11-21"
SALESFORCE = "hive_metastore.salesforce.product_property_c"
FEATURES = "crm.sfdc_dbx.product_property_w_features"
PROPERTIES = "rds.pg_rds_public.properties"
RECORDS, MISMATCHED = 17_102, 2_815  # Salesforce records of the seeds
ID_STEP = 10_000_000  # more than any property id of the seeds
LAST = PRODUCTS[-1]


@dataclass(frozen=True)
class Sources:
    """Salesforce records, the share of them (0 to 1) that is mismatched, and whether messy."""

    properties: int
    mismatched_share: float
    is_messy: bool = False

    def write(self, folder: Path) -> None:
        """Write each catalog as a DuckDB file with its source table, or that table again."""
        folder.mkdir(parents=True, exist_ok=True)
        selects = {
            SALESFORCE: self._salesforce(),
            FEATURES: self._features(),
            PROPERTIES: self._copied("properties", f"id + copy * {ID_STEP} as id"),
        }
        with duckdb.connect() as connection:
            for name in selects:
                catalog, schema, table = name.split(".")
                seed = f"read_csv('{ROOT / 'seeds' / table}.csv', columns = {_types(table)})"
                connection.execute(f"create table {table} as from {seed}")
            for name, select in selects.items():
                catalog, schema, _ = name.split(".")
                connection.execute(f"attach '{folder / catalog}.duckdb' as {catalog}")
                connection.execute(f"create schema if not exists {catalog}.{schema}")
                connection.execute(f"create or replace table {name} as {select}")

    def _copied(self, table: str, *replacements: str) -> str:
        """Select the copies of a seed with other expressions for some columns, in another order."""
        copies = -(-self.properties // RECORDS)
        return f"""
            select {table}.* replace ({", ".join(replacements)})
            from {table}, range({copies}) as copies(copy)
            order by hash({table}.{next(iter(_types(table)))}, copy)
        """

    def _salesforce(self) -> str:
        key, property_id, empty = "'prop_' || new_id", "new_id::varchar", "false"
        if self.is_messy:
            next_key = "'prop_' || lead(new_id) over (order by number)"
            key = f"case number % 3000 when 1000 then '' when 2000 then {next_key} else {key} end"
            property_id = f"if(number % 3000 = 0, null, {property_id})"
            empty = "number % 1000 = 500"
        # Of the records that differ some keep their flags, all others get the correct ones.
        kept_share = self.mismatched_share * RECORDS / MISMATCHED
        kept = f"hash(number) % 1000000 < {round(kept_share * 1_000_000)}"
        flags = {
            one.flag: f"if({kept}, {one.flag}, coalesce({one.feature_columns[0]}, false))"
            for one in PRODUCTS
        }
        flags[LAST.flag] = f"if({empty}, null, {flags[LAST.flag]})"
        replaced = ", ".join(f"{expression} as {flag}" for flag, expression in flags.items())
        columns = ", ".join(_types("product_property_c"))
        return f"""
            with copied as (
                select
                    *,
                    snappt_property_id_c::bigint + copy * {ID_STEP} as new_id,
                    row_number() over (order by copy, id) as number
                from product_property_c, range({-(-self.properties // RECORDS)}) as copies(copy)
                qualify number <= {self.properties}
            ),
            changed as (
                select copied.* replace (
                    id || '-' || copy as id,
                    {property_id} as snappt_property_id_c,
                    {key} as reverse_etl_id_c,
                    {replaced}
                )
                from copied
                left join product_property_w_features on snappt_property_id_c = property_id
            )
            select {columns} from changed order by hash(number)
        """

    def _features(self) -> str:
        table = "product_property_w_features"
        new_id = f"property_id::bigint + copy * {ID_STEP}"
        features = self._copied(table, f"({new_id})::varchar as property_id")
        if not self.is_messy:
            return features
        never = [f"null as {one.feature_columns[2]}" for one in PRODUCTS]
        outdated = self._copied(table, f"({new_id}) || ' ' as property_id", *never)
        return f"""
            from ({features})
            union all by name
            from ({outdated}) where hash(property_id) % 1000 = 0
        """


def _types(table: str) -> dict[str, str]:
    """Return the type of each column of a seed."""
    seeds = yaml.safe_load((ROOT / "seeds" / "_seeds.yml").read_text(encoding="utf-8"))["seeds"]
    return next(seed["config"]["column_types"] for seed in seeds if seed["name"] == table)
