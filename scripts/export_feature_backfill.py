"""Write the backfill to files: all properties in one file, and one file per batch.

    python scripts/export_feature_backfill.py --output-dir output/feature_backfill --target prod

    feature_backfill_20251121.csv
    feature_backfill_batches/feature_backfill_batch_001_records_1-50.csv
    feature_backfill_batches/...

With --undo the files hold what Salesforce held at the last build, for the same properties. Write
them before a sync; sync them to undo it.

The files are CSV (RFC 4180) in UTF-8, with the 23 fields of the Census mapping as header. Booleans
are true or false, dates yyyy-mm-dd, timestamps ISO 8601 in UTC, and empty means not set. The folder
is replaced as a whole or not at all, and only if it holds nothing but an earlier export.
Exit codes:

    0  the files are written
    1  nothing to export, the guard is tripped, or the folder holds something else
    2  wrong arguments, or dbt could not read the backfill
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

from dbt_reader import GUARD, Read, Stop, make_parser, open_warehouse, run

BATCHES = "feature_backfill_batches"
OURS = re.compile(
    rf"feature_backfill_\d{{8}}\.csv|{BATCHES}"
    rf"|{BATCHES}/feature_backfill_batch_\d{{3,}}_records_\d+-\d+\.csv"
)
CHUNK_ROWS = 20_000  # read at once; this bounds the memory
# The day comes from the rows themselves: the var may have changed since the last build.
FACTS = """
    select
        count(*) as properties,
        max(backfill.batch_number) as batches,
        cast(cast(min(at_build.created_at) as date) as {{ dbt.type_string() }}) as first_day,
        cast(cast(max(at_build.created_at) as date) as {{ dbt.type_string() }}) as last_day
    from {{ ref('product_property_feature_backfill') }} as backfill
    left join {{ ref('int_product_properties_at_build') }} as at_build
        on backfill.reverse_etl_id_c = at_build.reverse_etl_id_c
"""
EXPECTED = """
    select batch_number, {{ census_columns() | join(', ') }}
    from {{ ref('product_property_feature_backfill') }}
"""
CURRENT = """
    select batch_number, {{ census_expressions() | join(', ') }}
    from (
        select
            backfill.batch_number,
            backfill.snappt_property_id_c,
            backfill.reverse_etl_id_c
            {%- for column in census_columns()[2:] %},
            at_build.current_{{ column }} as {{ column }}
            {%- endfor %}
        from {{ ref('product_property_feature_backfill') }} as backfill
        left join {{ ref('int_product_properties_at_build') }} as at_build
            on backfill.reverse_etl_id_c = at_build.reverse_etl_id_c
    ) as current_values
"""
SOME_BATCHES = """
    where batch_number between {first} and {last}
    order by batch_number, reverse_etl_id_c
"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add(
        "--output-dir",
        type=Path,
        default="output/feature_backfill",
        help="the folder to write (default: %(default)s)",
    )
    add("--undo", action="store_true", help="write what Salesforce holds now, to go back to it")
    return parser.parse_args(argv)


def check_folder(folder: Path) -> None:
    """Raise Stop if the folder holds anything but an earlier export."""
    if folder.exists() and not folder.is_dir():
        raise Stop(f"{folder} is not a folder: give another --output-dir.")
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    if strange := sorted(name for name in names if not OURS.fullmatch(name)):
        raise Stop(
            f"{folder} holds {strange[0]}, which is not from an export, so it was left unchanged: "
            "give another --output-dir."
        )


def read_facts(read: Read) -> tuple[int, int, date]:
    """Return the number of properties, the number of batches and the day, or raise Stop."""
    (guard,) = read(GUARD)
    if guard["is_tripped"]:
        raise Stop(f"Nothing was exported. {guard['verdict']}")
    (facts,) = read(FACTS)
    if not facts["properties"]:
        raise Stop(
            "The backfill is empty, so nothing was exported. Build it for the day to repair: "
            "dbt build --vars 'as_of_date: YYYY-MM-DD'."
        )
    if not facts["first_day"] or str(facts["first_day"]) != str(facts["last_day"]):
        raise Stop("The backfill is older than the last build of the comparison: run dbt build.")
    day = date.fromisoformat(str(facts["first_day"]))
    return int(facts["properties"]), int(facts["batches"]), day


def read_chunks(read: Read, source: str, properties: int, batches: int) -> Iterator[list[dict]]:
    """Yield the rows in the order of batches and keys, whole batches at a time."""
    step = max(CHUNK_ROWS * batches // properties, 1)
    for first in range(1, batches + 1, step):
        yield read(source + SOME_BATCHES.format(first=first, last=first + step - 1))


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


def write_files(folder: Path, day: date, chunks: Iterator[list[dict]]) -> int:
    """Write all rows into one file and each batch into its own; return the number of rows."""
    (folder / BATCHES).mkdir()
    everything = folder / f"feature_backfill_{day:%Y%m%d}.csv"
    written = 0
    for chunk in chunks:
        for number, group in groupby(chunk, key=itemgetter("batch_number")):
            records = [{k: v for k, v in row.items() if k != "batch_number"} for row in group]
            header = list(records[0])
            rows = [[as_text(value) for value in record.values()] for record in records]
            name = f"records_{written + 1}-{written + len(rows)}"
            append(
                folder / BATCHES / f"feature_backfill_batch_{number:03d}_{name}.csv",
                [header, *rows],
            )
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


def export(arguments: argparse.Namespace) -> str:
    """Write the export and return a sentence about it, or raise Stop and leave all as it was."""
    folder = arguments.output_dir.resolve()
    source = CURRENT if arguments.undo else EXPECTED
    check_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        open_warehouse(arguments) as read,
        TemporaryDirectory(dir=folder.parent, prefix=".export-") as workshop,
    ):
        properties, batches, day = read_facts(read)
        new = Path(workshop, "new")
        new.mkdir()
        if write_files(new, day, read_chunks(read, source, properties, batches)) != properties:
            raise Stop("The backfill was rebuilt meanwhile, so nothing was exported: try again.", 2)
        put_in_place(new, folder)
    return f"{folder}: {properties:,} properties of {day} in {batches:,} batches."


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    arguments = parse(argv)
    return run(lambda: export(arguments), "nothing was exported.")


if __name__ == "__main__":
    sys.exit(main())
