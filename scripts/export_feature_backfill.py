"""Write the backfill to files: all properties in one file, and one file per batch.

    python scripts/export_feature_backfill.py --output-dir output/feature_backfill --target prod

    feature_backfill_20251121.csv
    feature_backfill_batches/feature_backfill_batch_001_records_1-50.csv

With --undo the files hold the values that Salesforce held at the last build. Write them before a
sync; sync them to undo it.

The files are CSV (RFC 4180) in UTF-8 with the 23 fields of the Census mapping; empty means not set.
The folder is replaced as a whole or not at all, and only if it holds nothing but an earlier export.
Exit codes:

    0  the files are written
    1  an empty backfill, a tripped guard, a build for another day, or a folder with other files
    2  wrong arguments, or dbt could not read the backfill
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

from dbt_reader import Row, Show, Stop, as_text, make_parser, open_warehouse, read, run
from mapping import PRODUCTS

BATCHES = "feature_backfill_batches"
BATCH = r"feature_backfill_batch_\d{3,}_records_\d+-\d+\.csv"
OURS = re.compile(rf"feature_backfill_\d{{8}}\.csv|{BATCHES}(/{BATCH})?")
FIELDS = (
    *("snappt_property_id_c", "reverse_etl_id_c"),
    *(column for product in PRODUCTS for column in product.salesforce_columns),
)


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


def read_backfill(show: Show, undo: bool) -> list[Row]:
    """Return the rows in the order of batches and keys, or raise Stop."""
    (guard,), rows = read(show, "verdict", "feature_backfill")
    if guard["is_tripped"]:
        raise Stop(f"Nothing was exported. {guard['verdict']}")
    if not rows:
        raise Stop(
            "The backfill is empty, so nothing was exported. Build it for the day to repair: "
            "dbt build --vars 'as_of_date: YYYY-MM-DD'."
        )
    days = {row["created_on"] for row in rows}
    if len(days) > 1 or None in days:
        raise Stop("The backfill is older than the last build of the comparison: run dbt build.")
    built, asked = days.pop(), guard["asked_day"]
    if asked not in ("", str(built)):
        raise Stop(
            f"The backfill is for {built}. Build {asked} first: "
            f"dbt build --vars 'as_of_date: {asked}'"
        )
    if undo:
        rows = [row | {field: row[f"current_{field}"] for field in FIELDS[2:]} for row in rows]
    return rows


def write_csv(path: Path, rows: list[Row]) -> None:
    """Write the 23 fields of the rows below their names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows([as_text(row[field]) for field in FIELDS] for row in rows)


def write_files(folder: Path, rows: list[Row]) -> str:
    """Write all rows into one file and each batch into its own; return a sentence about them."""
    (folder / BATCHES).mkdir(parents=True)
    day, written, batches = rows[0]["created_on"], 0, 0
    write_csv(folder / f"feature_backfill_{day:%Y%m%d}.csv", rows)
    for number, group in groupby(rows, key=itemgetter("batch_number")):
        batch = list(group)
        name = f"batch_{number:03d}_records_{written + 1}-{written + len(batch)}.csv"
        write_csv(folder / BATCHES / f"feature_backfill_{name}", batch)
        written, batches = written + len(batch), batches + 1
    return f"{written:,} properties of {day} in {batches:,} batch{'es' * (batches != 1)}."


def export(arguments: argparse.Namespace) -> str:
    """Write the export and return a sentence, or raise Stop and leave the folder unchanged."""
    folder = arguments.output_dir.resolve()
    check_folder(folder)
    with open_warehouse(arguments) as show:
        rows = read_backfill(show, arguments.undo)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".export-") as staging_dir:
        new, old = Path(staging_dir, "new"), Path(staging_dir, "old")
        sentence = write_files(new, rows)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    return f"{folder}: {sentence}"


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--output-dir", type=Path, default="output/feature_backfill", help="where (%(default)s)")
    add("--undo", action="store_true", help="write what Salesforce held at the last build")
    arguments = parser.parse_args(argv)
    return run(lambda: export(arguments), "nothing was exported.")


if __name__ == "__main__":
    sys.exit(main())
