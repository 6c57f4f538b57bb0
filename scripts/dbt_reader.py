"""What the programs that read the warehouse share: they read it through dbt."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from agate import Table
from dbt.cli.main import dbtRunner
from dbt_common.events.base_types import EventMsg

# One row: is_tripped, and the guard's verdict in words.
GUARD = """
    {%- set facts = guard_facts() %}
    select
        {{ not facts or facts.is_tripped }} as is_tripped,
        {{ dbt.string_literal(dbt.escape_single_quotes(guard_verdict(facts))) }} as verdict
"""

Read = Callable[[str], list[Mapping[str, Any]]]


class Stop(Exception):
    """The program cannot do its work: a sentence for people and an exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        """Take the sentence, and 1 or 2 as the exit code."""
        super().__init__(message)
        self.code = code


def project(text: str) -> Path:
    """Return the folder of a dbt project, or say why it is none."""
    if not Path(text, "dbt_project.yml").is_file():
        raise argparse.ArgumentTypeError(f"{text} has no dbt_project.yml: give a dbt project")
    return Path(text)


def dbt_vars(text: str) -> str:
    """Return dbt's vars, or say why they are none."""
    try:
        is_mapping = isinstance(yaml.safe_load(text), dict)
    except (yaml.YAMLError, ValueError) as error:  # 2025-11-31 is a ValueError
        raise argparse.ArgumentTypeError(f"{text} is not YAML: {error}") from None
    if not is_mapping:
        raise argparse.ArgumentTypeError(f"{text} is not a YAML mapping such as 'name: value'")
    return text


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments of `open_warehouse`; each program adds its own."""
    for stream in (sys.stdout, sys.stderr):  # a terminal may know fewer characters than a name has
        stream.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--project-dir", type=project, default=".", help="the dbt project (default: this folder)")
    add("--target", help="dbt's target (default: the profile's)")
    add("--vars", type=dbt_vars, help="dbt's vars, as YAML")
    return parser


def rows_of(table: Table) -> list[Mapping[str, Any]]:
    """Return the rows of a table, each by column name in lower case."""
    names = [name.lower() for name in table.column_names]
    return [dict(zip(names, row.values(), strict=True)) for row in table.rows]


@contextlib.contextmanager
def open_warehouse(arguments: argparse.Namespace) -> Iterator[Read]:
    """Yield a function that runs a query, a dbt template, and returns its rows by column name.

    dbt prints nothing. A query that dbt cannot run raises Stop with dbt's message.
    """
    errors: list[str] = []

    def keep(event: EventMsg) -> None:
        if event.info.level == "error":
            errors.append(event.info.msg)

    # A folder of its own, because the project's may be read-only, and its target/ is the build's.
    with TemporaryDirectory() as folder:
        with contextlib.suppress(OSError):  # what the build has parsed need not be parsed again
            target = arguments.project_dir / os.environ.get("DBT_TARGET_PATH", "target")
            shutil.copy(target / "partial_parse.msgpack", folder)
        quiet = ["--quiet", "--log-level", "none", "--log-level-file", "none", "--log-path", folder]
        options = ["--limit", "-1", "--no-write-json", "--target-path", folder]
        options += ["--target", arguments.target] if arguments.target else []
        options += ["--vars", arguments.vars] if arguments.vars else []

        def read(query: str) -> list[Mapping[str, Any]]:
            show = ["--no-use-colors", "show", "--inline", query]
            with contextlib.chdir(arguments.project_dir):
                result = dbtRunner(callbacks=[keep]).invoke([*quiet, *show, *options])
            if not result.success:
                message = "\n".join(errors) or str(result.exception)
                hint = "Has dbt build run?"
                if "profile" in message.lower():
                    hint = "Is there a profiles.yml? If not: cp profiles.yml.example profiles.yml"
                raise Stop(f"dbt cannot read the warehouse. {hint}\n{message}", 2)
            return rows_of(result.result.results[0].agate_table)

        yield read


def run(work: Callable[[], str], unwritten: str) -> int:
    """Do the work of a program, print its last sentence and return its exit code.

    `unwritten` says what was not written if the disk, or a folder, refuses it.
    """
    try:
        print(work(), flush=True)
    except Stop as stop:
        print(stop, file=sys.stderr, flush=True)
        return stop.code
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"{error}: {unwritten}", file=sys.stderr, flush=True)
        return 1
    return 0
