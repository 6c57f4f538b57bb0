"""Run the sync view on Spark and list its joins, scans and exchanges, with the bytes of each.

    python benchmark/spark_plan.py FOLDER [hint]

Needs Java, pyspark 4.1 and what benchmark/plans.py wrote. The broadcast limit is 200 kB, so that
100,000 properties are to it what many are to 10 MB. `hint` broadcasts the lists of duplicate keys.
"""

import json
import re
import sys
from pathlib import Path

from py4j.java_gateway import JavaObject
from pyspark.sql import SparkSession

SYNC = "select * from sfdc_dbx.product_property_feature_sync"
SHOWN = ("Exchange", "FileSourceScan", "Join", "Subquery")
METRICS = ("shuffleRecordsWritten", "dataSize", "shuffleBytesWritten", "numOutputRows")
LISTS = {"renamed.*": "duplicate_sync_keys", "case": "duplicate_ids", "features.*": "duplicate_ids"}


def hinted(sql: str) -> str:
    """Ask for a broadcast of the lists of duplicate keys."""
    pattern = r"(\b(?:final|ranked|latest) as \(\s*select)(\s+)(renamed\.\*|features\.\*|case)"
    return re.sub(pattern, lambda m: f"{m[1]} /*+ broadcast({LISTS[m[3]]}) */{m[2]}{m[3]}", sql)


def show(node: JavaObject, depth: int = 0) -> None:
    """Print the operators of a plan that has run."""
    name = node.getClass().getSimpleName()
    if name == "AdaptiveSparkPlanExec":
        return show(node.executedPlan(), depth)
    if name.endswith("QueryStageExec"):
        return show(node.plan(), depth)
    if any(word in name for word in SHOWN):
        found, metrics = {}, node.metrics()
        for metric in METRICS:
            if metrics.contains(metric) and "Reused" not in name:
                found[metric] = metrics.apply(metric).value()
        print("  " * depth + re.sub(r"#\d+L?", "", node.simpleString(9))[:100], found)
    for inner in (node.children(), node.subqueries()):
        for number in range(inner.size()):
            show(inner.apply(number), depth + 1)


def main() -> None:
    """Load the tables, make the views, run the sync view and show its final plan."""
    folder = Path(sys.argv[1]).resolve()
    settings = {
        "spark.sql.warehouse.dir": folder / "spark",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": 4,
        "spark.sql.autoBroadcastJoinThreshold": 200 * 1024,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, str(value))
    spark = builder.getOrCreate()
    for file in folder.glob("*.parquet"):
        spark.sql(f"create database if not exists {file.stem.split('.')[0]}")
        spark.sql(f"create table {file.stem} using parquet location '{file}'")
    spark.sql("create database if not exists sfdc_dbx_staging")
    for sql in json.loads((folder / "views.json").read_text(encoding="utf-8")):
        if "feature_time_to_zero" not in sql:  # reads a table that is not here
            sql = re.sub(r"`?\b(?:crm|rds)\b`?\.", "", sql)
            spark.sql(hinted(sql) if "hint" in sys.argv else sql)
    frame = spark.sql(SYNC)
    print(len(frame.collect()), "rows")
    show(frame._jdf.queryExecution().executedPlan())


if __name__ == "__main__":
    main()
