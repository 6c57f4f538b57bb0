"""Shared by the programs that read the warehouse, which they do through dbt."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agate import Table
from dbt.cli.main import dbtRunner

HEADING = re.compile(r"(Encountered an error:|\w+ Error( in .*)?)$")

Row = dict[str, Any]
# Takes the arguments that follow `dbt show` and returns the tables by the name of the analysis.
Show = Callable[..., dict[str, Table]]


class Stop(Exception):
    """The program cannot do its work: a sentence for people and an exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        """Take the sentence, and 1 or 2 as the exit code."""
        super().__init__(message)
        self.code = code


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments of `open_warehouse`; each program adds its own."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--project-dir", type=Path, default=".", help="the dbt project (default: this folder)")
    add("--target", help="dbt's target (default: the profile's)")
    add("--vars", help="dbt's vars, as YAML")
    return parser


@contextlib.contextmanager
def open_warehouse(arguments: argparse.Namespace) -> Iterator[Show]:
    """Yield a function that runs `dbt show`, which prints nothing.

    What dbt cannot read raises Stop with one sentence.
    """
    # dbt writes here, because the project may be read-only, and its target/ is the build's.
    with TemporaryDirectory() as folder:
        with contextlib.suppress(OSError):  # reuses the build's parsed project
            target = arguments.project_dir / os.environ.get("DBT_TARGET_PATH", "target")
            shutil.copy(target / "partial_parse.msgpack", folder)
        quiet = ["--quiet", "--log-level", "none", "--log-level-file", "none", "--log-path", folder]
        options = ["--limit", "-1", "--no-write-json", "--target-path", folder]
        options += ["--target", arguments.target] if arguments.target else []
        options += ["--vars", arguments.vars] if arguments.vars else []

        def show(*what: str) -> dict[str, Table]:
            command = [*quiet, "--no-use-colors", "show", *what, *options]
            with contextlib.chdir(arguments.project_dir):
                result = dbtRunner().invoke(command)
            if not result.success:
                raise Stop(explain(result.exception), 2)
            return {shown.node.name: shown.agate_table for shown in result.result.results}

        yield show


def explain(error: BaseException | None) -> str:
    """Return one sentence about a dbt error, which can be a page long."""
    lines = [line.strip() for line in str(error).splitlines()]
    reason = next((line for line in lines if line and not HEADING.match(line)), "no reason given")
    if holder := re.search(r"Conflicting lock is held in .*?\(PID \d+\)", reason):
        advice = "Another program has the warehouse file open: wait until it ends, then try again."
        return f"{advice} ({holder[0]})"
    hints = {
        "profile": " Is there a profiles.yml? If not: cp profiles.yml.example profiles.yml",
        "exist": " Has dbt build run?",
        "cannot be found": " Has dbt build run?",
    }
    hint = next((hint for word, hint in hints.items() if word in reason.lower()), "")
    return f"dbt cannot read the warehouse: {reason}{hint}"


def rows_of(table: Table) -> list[Row]:
    """Return the rows of a table, each by column name, with plain values."""
    names = [name.lower() for name in table.column_names]
    return [dict(zip(names, map(plain, row.values()), strict=True)) for row in table.rows]


def read(show: Show, *names: str) -> list[list[Row]]:
    """Return the rows of each of some analyses, which one command reads."""
    tables = show("--select", *names)
    return [rows_of(tables[name]) for name in names]


def plain(value: object) -> object:
    """Return a value from agate as plain Python: whole numbers as int, times in UTC."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return value


def as_text(value: object) -> str:
    """Return a value for a CSV file, as Salesforce's Bulk API takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"{value.replace(tzinfo=None).isoformat()}Z"
    return "" if value is None else str(value)


def run(work: Callable[[], str], unwritten: str) -> int:
    """Do the work of a program, print its last sentence and return its exit code.

    `unwritten` names the output in the message when the disk or a folder refuses it.
    """
    try:
        print(work(), flush=True)
    except Stop as stop:
        print(stop, file=sys.stderr, flush=True)
        return stop.code
    except OSError as error:
        print(f"{error}: {unwritten}", file=sys.stderr, flush=True)
        return 1
    return 0
