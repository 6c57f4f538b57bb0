"""Write the backfill to files: all properties in one, and one file for each batch.

    python scripts/export_feature_backfill.py --output-dir output/feature_backfill --target prod

    feature_backfill_20251121.csv
    feature_backfill_batches/feature_backfill_batch_001_records_1-50.csv
    feature_backfill_batches/…

With --undo they hold what Salesforce holds now, for the same properties: to be written before a
sync, and synced when it is to be undone.

The files are CSV as RFC 4180 has it, in UTF-8, with the 23 fields of the Census mapping as header:
booleans are true or false, times ISO 8601 in UTC, and empty means not set. The folder is replaced
as a whole or not at all, and only if it holds nothing but an earlier export. Exit codes:

    0  the files are there
    1  there is nothing to export, the guard is tripped, or the folder holds something else
    2  wrong arguments, or dbt could not read the backfill
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from agate import Table
from trigger_census_sync import Failed, Stop, Unclear, dbt_parser, dbt_reader, say

BATCHES = "feature_backfill_batches"
OURS = re.compile(
    rf"feature_backfill_\d{{8}}\.csv|{BATCHES}"
    rf"|{BATCHES}/feature_backfill_batch_\d{{3,}}_records_\d+-\d+\.csv"
)
CHUNK_ROWS = 20_000  # read at once; what bounds the memory
# The day comes from the rows themselves: the var may be another one than at the last build.
QUESTION = """
    select
        (select is_tripped from {{ ref('feature_sync_guard') }}) as is_tripped,
        (select verdict from {{ ref('feature_sync_guard') }}) as verdict,
        count(*) as properties,
        max(backfill.batch_number) as batches,
        cast(cast(min(compared.created_at) as date) as {{ dbt.type_string() }}) as first_day,
        cast(cast(max(compared.created_at) as date) as {{ dbt.type_string() }}) as last_day
    from {{ ref('product_property_feature_backfill') }} as backfill
    left join {{ ref('int_product_property_features') }} as compared
        on backfill.reverse_etl_id_c = compared.reverse_etl_id_c
"""
EXPECTED, CURRENT = "backfill.", "compared.current_"  # where the 21 values come from
ROWS = """
    select
        backfill.batch_number
        {{% for column in census_columns() %}}
        , {{{{ ('backfill.' if loop.index <= 2 else '{values}') ~ column }}}} as {{{{ column }}}}
        {{% endfor %}}
    from {{{{ ref('product_property_feature_backfill') }}}} as backfill
    left join {{{{ ref('int_product_property_features') }}}} as compared
        on backfill.reverse_etl_id_c = compared.reverse_etl_id_c
    where backfill.batch_number between {first} and {last}
    order by backfill.batch_number, backfill.reverse_etl_id_c
"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = dbt_parser(__doc__)
    add = parser.add_argument
    add("--output-dir", type=Path, default="output/feature_backfill", help="the folder to write")
    add("--undo", action="store_true", help="write what Salesforce holds now, to go back to it")
    return parser


def check_folder(folder: Path) -> None:
    """Raise Failed when the folder holds anything but an earlier export."""
    if folder.exists() and not folder.is_dir():
        raise Failed(f"{folder} is not a folder: give another --output-dir.")
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    if strange := sorted(name for name in names if not OURS.fullmatch(name)):
        raise Failed(
            f"{folder} holds {strange[0]}, which is not from an export, so it was left as it is: "
            "give another --output-dir."
        )


def read_facts(read: Callable[[str], Table]) -> tuple[int, int, date]:
    """Return the number of properties and of batches and the day, or raise Failed."""
    (row,) = read(QUESTION).rows
    is_tripped, verdict, properties, batches, first_day, last_day = row.values()
    if is_tripped:
        raise Failed(f"Nothing was exported. {verdict}")
    if not properties:
        raise Failed(
            "The backfill holds no property: nothing was exported. Build it for the day to repair: "
            "dbt build --vars 'as_of_date: YYYY-MM-DD'."
        )
    if not first_day or str(first_day) != str(last_day):
        raise Failed("The backfill is older than the Salesforce table: run dbt build.")
    return int(properties), int(batches), date.fromisoformat(str(first_day))


def read_chunks(
    read: Callable[[str], Table], values: str, properties: int, batches: int
) -> Iterator[Table]:
    """Yield the rows in the order of batches and keys, whole batches at a time."""
    step = max(CHUNK_ROWS * batches // properties, 1)
    for first in range(1, batches + 1, step):
        yield read(ROWS.format(values=values, first=first, last=first + step - 1))


def as_text(value: object) -> str:
    """Return a value as Salesforce's Bulk API takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return f"{naive.isoformat()}Z"
    return "" if value is None else str(value)


def append(path: Path, rows: list[list[str]]) -> None:
    """Add rows to a CSV file."""
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def write_files(folder: Path, day: date, chunks: Iterator[Table]) -> int:
    """Write all rows into one file and each batch into its own; return the number of rows."""
    (folder / BATCHES).mkdir()
    everything = folder / f"feature_backfill_{day:%Y%m%d}.csv"
    written = 0
    for table in chunks:
        header = [name.lower() for name in table.column_names[1:]]
        for number, group in groupby(table.rows, key=lambda row: int(row[0])):
            rows = [[as_text(value) for value in row.values()[1:]] for row in group]
            records = f"records_{written + 1}-{written + len(rows)}"
            batch = folder / BATCHES / f"feature_backfill_batch_{number:03d}_{records}.csv"
            append(batch, [header, *rows])
            append(everything, rows if written else [header, *rows])
            written += len(rows)
    return written


def put_in_place(new: Path, folder: Path) -> None:
    """Move a finished export to its folder, whole, and remove the one that was there."""
    with TemporaryDirectory(dir=folder.parent, prefix=".export-") as trash:
        old = Path(trash, "old")
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise


def export(arguments: argparse.Namespace) -> None:
    """Write the export, or raise Stop and leave everything as it was."""
    folder = arguments.output_dir.resolve()
    values = CURRENT if arguments.undo else EXPECTED
    check_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        dbt_reader(arguments) as read,
        TemporaryDirectory(dir=folder.parent, prefix=".export-") as workshop,
    ):
        properties, batches, day = read_facts(read)
        new = Path(workshop, "new")
        new.mkdir()
        written = write_files(new, day, read_chunks(read, values, properties, batches))
        if written != properties:
            raise Unclear("The backfill was built anew meanwhile: nothing was exported, try again.")
        put_in_place(new, folder)
    say(f"{folder}: {properties:,} properties of {day} in {batches:,} batches.")


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code; the last sentence says what to do."""
    arguments = make_parser().parse_args(argv)
    try:
        export(arguments)
    except Stop as stop:
        print(stop, file=sys.stderr, flush=True)
        return stop.code
    except OSError as error:
        print(f"{error}: nothing was exported.", file=sys.stderr, flush=True)
        return Failed.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
