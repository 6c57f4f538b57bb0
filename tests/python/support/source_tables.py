"""The three source tables: the incident's, and tables of a few rows that a test is about."""

from datetime import date, datetime
from typing import Any

import pyarrow as pa
import yaml
from engines import ROOT, Databricks, Engine, Project
from mapping import PRODUCTS

Row = dict[str, Any]

SOURCE_TABLES = {
    "product_property_c": "hive_metastore.salesforce.product_property_c",
    "product_property_w_features": "crm.sfdc_dbx.product_property_w_features",
    "properties": "rds.pg_rds_public.properties",
}
# The DuckDB type of each column of each seed, in the order of the columns.
SEED_TYPES: dict[str, dict[str, str]] = {
    seed["name"]: seed["config"]["column_types"]
    for seed in yaml.safe_load((ROOT / "seeds" / "_seeds.yml").read_text())["seeds"]
}
FLAGS_AND_SOURCES = {product.flag: product.feature_columns[0] for product in PRODUCTS}

ON, UPDATED = datetime(2024, 5, 1, 12), datetime(2024, 6, 1, 12)  # UTC, as all times here
CREATED = datetime(2024, 4, 1)
ARROW_TYPES = {
    "varchar": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "bigint": pa.int64(),
}


def record(
    id: str | None = "{0}",
    key: str | None = "key {0}",
    fraud: bool | None = False,
    created: datetime | None = CREATED,
    name: str | None = "Maple Court",
    **fields: str | bool | date | None,
) -> Row:
    """Make a row of the Salesforce table, by default an old property with every product off."""
    return {
        **dict.fromkeys(FLAGS_AND_SOURCES, False),
        "snappt_property_id_c": id,
        "reverse_etl_id_c": key,
        "fraud_detection_enabled_c": fraud,
        "created_date": created,
        "name": name,
        "is_deleted": False,
        **fields,
    }


def feature(
    id: str | None = "{0}",
    fraud: bool | None = True,
    on: datetime | None = ON,
    updated: datetime | None = UPDATED,
    **fields: bool | datetime | None,
) -> Row:
    """Make a row of the features table, by default with nothing on but Fraud Detection."""
    return {
        "property_id": id,
        "fraud_enabled": fraud,
        "fraud_enabled_at": on,
        "fraud_updated_at": updated,
        **fields,
    }


def numbered(row: Row, number: int) -> Row:
    """Put a number where the texts of a row have {0}."""
    return {k: v.format(number) if isinstance(v, str) else v for k, v in row.items()}


def load(engine: Engine, seed: str, rows: list[Row], **types: pa.DataType) -> None:
    """Create or replace the source table of a seed, with some rows.

    A column that a row does not name is NULL. Columns have the types of the seed unless given here.
    """
    named = SEED_TYPES[seed].items()
    schema = {column: types.get(column, ARROW_TYPES[kind]) for column, kind in named}
    if isinstance(engine, Databricks):  # whose timestamps have a time zone
        utc = pa.timestamp("us", "UTC")
        schema = {c: utc if pa.types.is_timestamp(kind) else kind for c, kind in schema.items()}
    table = pa.Table.from_pylist(rows, pa.schema(schema))
    name = SOURCE_TABLES[seed]
    if isinstance(engine, Project):
        engine.query(f"create schema if not exists {name.rpartition('.')[0]}")
        engine.query(f"create or replace table {name} as from given", given=table)
    else:
        engine.load_arrow(name, table)


def load_all(
    engine: Engine, records: list[Row], features: list[Row], properties: list[Row] | None = None
) -> None:
    """Create or replace the three source tables, by default with one property."""
    load(engine, "product_property_c", records)
    load(engine, "product_property_w_features", features)
    properties = properties or [{"id": "1", "name": "Maple Court"}]
    load(engine, "properties", properties, id=pa.string())


def load_seed(databricks: Databricks, seed: str, table: str | None = None) -> None:
    """Create a table on Databricks from one of the seed files, by default the source table."""
    types = {c: kind.replace("varchar", "string") for c, kind in SEED_TYPES[seed].items()}
    databricks.load_csv(table or SOURCE_TABLES[seed], ROOT / "seeds" / f"{seed}.csv", types)
