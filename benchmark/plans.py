"""Show the plans that docs/scaling.md reads, and write what Spark needs to show its own.

    python benchmark/plans.py FOLDER && SPARK_PYTHON benchmark/spark_plan.py FOLDER

Generates 100,000 messy properties in FOLDER, builds the project on them, and writes the sync view's
plan on DuckDB and on the harness as text, the source tables as Parquet, the views' SQL as JSON.
"""

import json
import re
import sys
from pathlib import Path

from bench import SHARES, build_views, copy_project
from bench_report import Case, Size
from measure import connect
from on_databricks import MOVED, SYNC, load
from sources import FEATURES, PROPERTIES, SALESFORCE

sys.path.append(str(Path(__file__).parents[1] / "tests" / "python"))
from databricks_harness import DatabricksHarness


def main() -> None:
    """Write everything into the folder."""
    folder = Path(sys.argv[1]).resolve()
    warehouse, project = folder / "warehouse", folder / "project"
    folder.mkdir(parents=True)
    copy_project(project)
    Case(Size("100k", 100_000, 130_000), SHARES[0], True).sources.write(warehouse)
    build_views(project, warehouse)
    connection = connect(warehouse)
    connection.execute("set TimeZone = 'UTC'")
    plan = connection.execute(f"explain {SYNC}").fetchall()[0][1]
    (folder / "duckdb.txt").write_text(plan, encoding="utf-8")
    for name in (SALESFORCE, FEATURES, PROPERTIES):
        table = connection.sql(f"from {name}")
        columns = [
            f"{column}::timestamptz as {column}" if str(kind) == "TIMESTAMP" else column
            for column, kind in zip(table.columns, table.types, strict=True)
        ]
        file = folder / f"{name.split('.', 1)[1]}.parquet"
        connection.execute(
            f"copy (select {', '.join(columns)} from {name}) to '{file}' (compression zstd)"
        )
    with DatabricksHarness(folder / "harness") as harness:
        load(harness, warehouse)
        if not harness.dbt("--quiet", "run", "--vars", MOVED, project_dir=project).success:
            raise SystemExit("dbt run failed on the harness")
        (folder / "sail.txt").write_text(harness.sql(f"explain {SYNC}")[0][0], encoding="utf-8")
        views = [sql for sql in harness.statements if re.search(r"create or replace\s+view", sql)]
    (folder / "views.json").write_text(json.dumps(views), encoding="utf-8")


if __name__ == "__main__":
    main()
