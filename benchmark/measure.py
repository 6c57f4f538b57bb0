"""Run one query once, in a process of its own, and tell what it took.

    echo 'create temp table result as from crm.…' | python benchmark/measure.py WAREHOUSE

Prints seconds, the highest resident memory of the process in MiB and the first value of the result
(what a `create table` or `select count(*)` gives is the number of rows) as JSON.
"""

import json
import sys
import time
from pathlib import Path

import duckdb

CATALOGS = ("hive_metastore", "crm", "rds")


def attach(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> None:
    """Attach the catalogs read-only, which reads what DuckDB keeps of them in memory."""
    for catalog in CATALOGS:
        connection.execute(f"attach '{warehouse / catalog}.duckdb' as {catalog} (read_only)")


def connect(warehouse: Path) -> duckdb.DuckDBPyConnection:
    """Return a new connection with the catalogs attached."""
    connection = duckdb.connect()
    attach(connection, warehouse)
    return connection


def peak_memory() -> float:
    """Return the highest resident memory of this process in MiB.

    From /proc, as ru_maxrss begins with the memory of the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def tell(seconds: float, value: object) -> None:
    """Print what was measured in this process."""
    print(json.dumps({"seconds": seconds, "peak_mib": peak_memory(), "value": value}))


def main() -> None:
    """Measure the query on standard input."""
    connection = connect(Path(sys.argv[1]))
    query = sys.stdin.read()
    start = time.perf_counter()
    value = connection.execute(query).fetchall()[0][0]
    tell(time.perf_counter() - start, value)


if __name__ == "__main__":
    main()
