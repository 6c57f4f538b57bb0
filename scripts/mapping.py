"""The product mapping for programs that do not run dbt: read from the macro, not restated."""

from ast import literal_eval
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
MACRO = ROOT / "macros" / "product_features.sql"


class Product(NamedTuple):
    """One product: its name, the prefix of its feature columns and its Salesforce columns."""

    name: str
    source_prefix: str
    flag: str
    start_date: str
    updated_date: str

    @property
    def feature_columns(self) -> tuple[str, str, str]:
        """The three columns of the features table, in the order of the Salesforce columns."""
        return tuple(
            f"{self.source_prefix}_{end}" for end in ("enabled", "enabled_at", "updated_at")
        )

    @property
    def salesforce_columns(self) -> tuple[str, str, str]:
        """The three columns of the Salesforce object."""
        return self.flag, self.start_date, self.updated_date


def read_products() -> tuple[Product, ...]:
    """Return the entries of the macro product_features, in its order."""
    literal = MACRO.read_text(encoding="utf-8").partition("return(")[2].partition(") }}")[0]
    return tuple(Product(**entry) for entry in literal_eval(literal.strip()))


PRODUCTS = read_products()
