"""Read the sync view and the naive query in turn on the Databricks adapter, without Databricks.

    python benchmark/on_databricks.py WAREHOUSE PROJECT ROUNDS < naive.sql

Loads the source tables of a DuckDB warehouse into the harness of the tests, runs the job's commands
there as after the move to Unity Catalog, when the comparison is a view, and prints as JSON the
seconds of each round by name and the statements that the job sent by kind. The rows are fetched as
Arrow, which costs both queries the same.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
from measure import connect
from sources import DAY, FEATURES, PROPERTIES, SALESFORCE

sys.path.append(str(Path(__file__).parents[1] / "tests" / "python" / "support"))
from databricks_harness import LEADING_COMMENTS, DatabricksHarness

MOVED = f"{{as_of_date: {DAY}, salesforce_catalog: crm}}"
MOVED_SALESFORCE = SALESFORCE.replace("hive_metastore", "crm")
JOB = (
    "source freshness",
    "build --exclude-resource-type unit_test",
    "test --selector after_sync",
)
SYNC = "select * from crm.sfdc_dbx.product_property_feature_sync"


def load(harness: DatabricksHarness, warehouse: Path) -> None:
    """Copy the three source tables; Databricks' timestamps have a time zone."""
    connection = connect(warehouse)
    for name in (SALESFORCE, FEATURES, PROPERTIES):
        table = connection.sql(f"from {name}").to_arrow_table()
        utc = pa.timestamp("us", "UTC")
        kinds = [utc if pa.types.is_timestamp(kind) else kind for kind in table.schema.types]
        table = table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))
        harness.load_arrow(MOVED_SALESFORCE if name == SALESFORCE else name, table)


def seconds(harness: DatabricksHarness, query: str) -> tuple[float, int]:
    """Run a query and return the seconds that it took and the number of rows."""
    start = time.perf_counter()
    rows = harness.arrow(query).num_rows
    return time.perf_counter() - start, rows


def main() -> None:
    """Measure both queries, one after the other in each round."""
    warehouse, project, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    queries = {"naive": sys.stdin.read().replace(SALESFORCE, MOVED_SALESFORCE), "sync": SYNC}
    taken: dict[str, list[float]] = {name: [] for name in queries}
    with (
        tempfile.TemporaryDirectory(dir=warehouse.parent) as folder,
        DatabricksHarness(Path(folder)) as harness,
    ):
        load(harness, warehouse)
        for command in JOB:  # the second time, because the first one creates everything
            harness.dbt("--quiet", *command.split(), "--vars", MOVED, project_dir=project)
        harness.statements.clear()
        for command in JOB:
            harness.dbt("--quiet", *command.split(), "--vars", MOVED, project_dir=project)
        sent = (LEADING_COMMENTS.sub("", sql).split()[0].lower() for sql in harness.statements)
        kinds = dict(Counter(sent).most_common())
        found = set()
        for number in range(rounds + 1):
            for name, query in queries.items():
                spent, rows = seconds(harness, query)
                found.add(rows)
                if number:  # the first round warms up
                    taken[name].append(spent)
        if len(found) > 1:
            raise SystemExit(f"The two queries should find as many rows on clean data: {found}")
    print(json.dumps({**taken, "statements": kinds}))


if __name__ == "__main__":
    main()
