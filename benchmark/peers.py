"""What one might take instead of the project, each as its manual has it: one tool, one process.

    python benchmark/peers.py TOOL WAREHOUSE KEYS

Finds the properties whose flags in Salesforce are not those of the truth, and writes their ids to
the file KEYS, one a line. Prints the seconds that it took, loading from the warehouse included and
importing the tool not, and the highest resident memory in MiB, as JSON. Runs in a virtual
environment of its own: requirements.txt.
"""

import importlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
from measure import attach, connect, tell
from sources import FEATURES, PRODUCTS, SALESFORCE

FLAGS = [flag for _, flag, _, _ in PRODUCTS]
ACTUAL = f"select snappt_property_id_c as property_id, {', '.join(FLAGS)} from {SALESFORCE}"
TRUTH = "select property_id, {} from {}".format(
    ", ".join(f"{product}_enabled as {flag}" for product, flag, _, _ in PRODUCTS), FEATURES
)
# Tools that compare in the warehouse see NULL as a difference, so the user says that it is off.
FILLED = "select property_id, {} from {}".format(
    ", ".join(f"coalesce({product}_enabled, false) as {flag}" for product, flag, _, _ in PRODUCTS),
    FEATURES,
)


def with_pandas(warehouse: Path) -> Iterable[str | None]:
    """Merge two data frames and compare column by column."""
    import pandas as pd

    connection = connect(warehouse)
    actual, truth = connection.sql(ACTUAL).df(), connection.sql(FILLED).df()
    both = actual.merge(truth, on="property_id", how="left", suffixes=("", "_truth"))
    differs = [both[flag] != both[f"{flag}_truth"].eq(True) for flag in FLAGS]
    return both.loc[pd.concat(differs, axis=1).any(axis=1), "property_id"]


def with_polars(warehouse: Path) -> Iterable[str | None]:
    """Do the same in polars, lazily."""
    import polars as pl

    connection = connect(warehouse)
    actual, truth = connection.sql(ACTUAL).pl().lazy(), connection.sql(TRUTH).pl().lazy()
    both = actual.join(truth, on="property_id", how="left", suffix="_truth")
    differs = [pl.col(flag) != pl.col(f"{flag}_truth").fill_null(False) for flag in FLAGS]
    return both.filter(pl.any_horizontal(differs)).collect()["property_id"]


def with_datacompy(warehouse: Path) -> Iterable[str | None]:
    """Compare two data frames by their key; who is in Salesforce only is off in truth."""
    import datacompy
    import pandas as pd

    connection = connect(warehouse)
    actual, truth = connection.sql(ACTUAL).df(), connection.sql(FILLED).df()
    compared = datacompy.PandasCompare(actual, truth, join_columns="property_id")
    unknown = compared.df1_unq_rows
    left_on = unknown[unknown[FLAGS].eq(True).any(axis=1)]
    return pd.concat([compared.all_mismatch()["property_id"], left_on["property_id"]])


def with_reladiff(warehouse: Path) -> Iterable[str | None]:
    """Let the warehouse join two views; the lines of the diff are rows of one side or the other."""
    import reladiff

    with tempfile.TemporaryDirectory() as folder:
        database = reladiff.connect({"driver": "duckdb", "filepath": _views(folder, warehouse)})
        attach(database._conn, warehouse)
        actual, truth = (
            reladiff.TableSegment(database, ("main", view), ("property_id",), None, tuple(FLAGS))
            for view in ("actual", "truth")
        )
        diff = list(reladiff.diff_tables(actual, truth, algorithm=reladiff.Algorithm.JOINDIFF))
        known = {key for sign, (key, *_) in diff if sign == "+"}
        ours = [row for sign, row in diff if sign == "-"]
        return [key for key, *flags in ours if key in known or "1" in flags]


def with_sqlmesh(warehouse: Path) -> Iterable[str | None]:
    """Ask for a table diff with a sample of any size, as only the sample names keys."""
    import pandas as pd
    import sqlmesh
    from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig

    with tempfile.TemporaryDirectory() as folder:
        catalogs = {"scratch": _views(folder, warehouse)}
        connection = DuckDBConnectionConfig(catalogs=catalogs)
        config = Config(gateways={"duckdb": GatewayConfig(connection=connection)})
        config.model_defaults.dialect = "duckdb"
        context = sqlmesh.Context(paths=folder, config=config)
        attach(context.engine_adapter.cursor, warehouse)
        (diff,) = context.table_diff(
            "scratch.main.actual",
            "scratch.main.truth",
            on=["property_id"],
            limit=100_000_000,
            show=False,
        )
        rows = diff.row_diff()
        left_on = rows.s_sample[rows.s_sample[FLAGS].eq(True).any(axis=1)]
        return pd.concat([rows.joined_sample["property_id"], left_on["property_id"]])


def _views(folder: str, warehouse: Path) -> str:
    """Make a database with the two sides as views of the same columns and return its path."""
    path = str(Path(folder, "scratch.duckdb"))
    with duckdb.connect(path) as connection:
        attach(connection, warehouse)
        connection.execute(f"create view actual as {ACTUAL}")
        connection.execute(f"create view truth as {FILLED}")
    return path


TOOLS: dict[str, Callable[[Path], Iterable[str | None]]] = {
    "pandas": with_pandas,
    "polars": with_polars,
    "datacompy": with_datacompy,
    "reladiff": with_reladiff,
    "sqlmesh": with_sqlmesh,
}


def main() -> None:
    """Run a tool and say what it took."""
    tool, warehouse, keys = sys.argv[1:]
    importlib.import_module(tool)
    start = time.perf_counter()
    found = list(TOOLS[tool](Path(warehouse)))
    seconds = time.perf_counter() - start
    lines = (f"{'' if key is None or key != key else key}\n" for key in found)
    Path(keys).write_text("".join(lines), encoding="utf-8")
    tell(seconds, len(found))


if __name__ == "__main__":
    main()
