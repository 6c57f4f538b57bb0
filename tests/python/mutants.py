"""Break the project one place at a time and check that a test fails: `make mutants`.

    python tests/python/mutants.py [words of a mutant …] [--after the_output_of_a_stopped_run.txt]

Each operator is applied to every place of models, macros and tests that it fits, except comments
and quoted text. A mutant is a copy of the built incident, as of the last commit, with one change.
`dbt build` of the affected nodes runs first; a mutant that survives goes to those tests of pytest
that TESTS has for its file. Exit code 1 when one survives that is not EQUIVALENT.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from dbt.cli.main import dbtRunner

ROOT = Path(__file__).parents[2]
FILES = ("models/**/*.sql", "macros/**/*.sql", "tests/**/*.sql")
INCIDENT = ("--vars", "as_of_date: 2025-11-21")
BUILD = ("--log-level", "none", "--log-level-file", "none", "--no-print", "build", "--fail-fast")
AFFECTED = ("--select", "state:modified+", "--state", "state")
PYTEST = ["--exitfirst", "--numprocesses=0", "--hypothesis-profile=mutants"]
ROWS = r"^(?!macros/operations|.*(run_end|vars|freshness|columns_of|catalog|schema|seed))"
# The tests that are to find a change, by the files: those that take longest come last.
TESTS = (
    (r"simulate|backfill", "simulated_sync|nothing_writes|test_bad_rows"),
    (r"sync_config|product_feat", "census_config"),
    (r"schema_name|cross_catalog", "careless|other_sources|renews_relations|same_rows"),
    (r"seed_once", "seed_that|before_the_seeds|nothing_writes"),
    (ROWS, "test_bad_rows|data_test"),
    (r"freshness|run_end|check_sources", "freshness|an_hour|wrong_with_vars|before_the_seeds"),
    (r"guard|compare_p|run_end|assert_|product_property_f|create|_log", "test_guard"),
    (r"mismatch|_log|run_end|assert_no|before_sync|compare_p", "test_history"),
    (r"sources|print_|find_|columns_of|optional|staging|check_|visible", "test_sources|wrong_with"),
    (r"print_grants|census_sync_config|columns_of", "page_can_be_typed|renews_relations"),
    (
        r"monitoring|show_tables|verdict|as_of",
        "the_figures|terminal_say|after_a_sync|odd_|another_f",
    ),
    (r"run_end|assert_|sync|check_", "loop_from_incident|that_failed"),
    (ROWS, "dates and waves"),
    (r"backfill", "test_export"),
    (r"guard|compare_p|as_of|backfill|recent|macros/mismatch|assert_", "test_oracle"),
    (r"models|columns_of|guard|compare_p|clean|product_feat", "databricks.*(unit|same_rows_while)"),
)
# Comments, quoted text and assignments stay as they are.
LEFT_ALONE = r"""{#.*?#}|--[^\n]*|"[^"]*"|'[^']*'|{%-? set \w+ ="""
OPPOSITE = {
    **{"=": "<>", "<>": "=", "==": "!=", "!=": "==", ">": ">=", ">=": ">", "<": "<=", "<=": "<"},
    **{"true": "false", "false": "true", "and": "or", "or": "and", "min": "max", "max": "min"},
    **{"greatest": "least", "least": "greatest", "ceil": "floor", "full outer join": "left join"},
    **{"left join": "inner join", "inner join": "left join", "0": "1", "1": "2"},
    **{"is ": "is not ", "is not ": "is "},
}
PARENTHESES = r"(?:[^()]|\((?:[^()]|\([^()]*\))*\))*"  # two deep
ARGUMENT = rf"(?P<argument>{PARENTHESES}?)"
# A text and its replacement; an empty one stands for the opposite, the argument or nothing.
OPERATORS = (
    (r"\b(left|inner|full outer) join\b", ""),
    (r"\b(and|or|true|false)\b", ""),
    (r"(?<= )(<>|!=|==|=|<=|>=|<|>)(?= )", ""),
    (r"\b(greatest|least|min|max|ceil)(?=\()", ""),
    (rf"\b(coalesce|greatest|least)\({ARGUMENT},{PARENTHESES}\)", ""),
    # A cast of NULL, or to a timestamp, changes no row: it only gives a column its type.
    (rf"\b(cast|try_cast)\((?!null){ARGUMENT} as (?!{{{{ dbt.type_time){PARENTHESES}\)", ""),
    (rf"(?<!macro )\b(lower|strip_blanks|clean_id)\({ARGUMENT}\)", ""),
    (r"\bcount\((?!\*)[^()]+\)", "count(*)"),
    (r"\bis distinct from\b", "<>"),
    (r"\b(is|is not) (?=null|none)", ""),
    (r"\bnot (?!null|none)", ""),
    (r"\b(where|having)\b", r"\1 true or"),
    (r"(?<=\n) +(and|or) [^\n]+\n", ""),
    (r" desc\b", ""),
    (r"\bnulls last\b", "nulls first"),
    (r"\bselect distinct\b", "select"),
    (r"(?<=[=<>+-] )[01]\b", ""),
    (r"({%-? (?:el)?if )(?!not )", r"\1not "),
    (r"(?<= if )(?=[^{%\n]* else )", "not "),
)
# Mutants that change nothing, as they are printed, and why.
IDS = "int_ids_in_another_format: min(case when salesforce_ids ="
EQUIVALENT = {
    # only fewer rows for the guard, which counts none of the others
    "product_property_feature_sync: where not has_feature_row: where → where true or",
    # only slower
    "int_product_features_latest: having count(*) > 1: having → having true or",
    "int_product_features_latest: having count(*) > 1: > → >=",
    # groups with one such id
    f"{IDS} 1 then property_id end) as snappt_property_id_c,: min → max",
    f"{IDS} 0 then property_id end) as other_property_id: min → max",
}


class Mutant(NamedTuple):
    """One change of one file."""

    file: Path  # in the project
    before: str
    start: int
    old: str
    new: str

    @property
    def change(self) -> str:
        """The line and its change, as EQUIVALENT names it; two lines if the first is one word."""
        begin = self.before.rfind("\n", 0, self.start + 1) + 1
        first, second = [*self.before[begin:].split("\n"), ""][:2]
        line = first if " " in first.strip() else f"{first} {second.strip()}"
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.file.stem}: {line.strip()}: {old} → {new}"

    def __str__(self) -> str:
        *lines, last = self.before[: self.start].split("\n")
        return f"{self.change} ({len(lines) + 1}:{len(last) + 1})"


def mutants(project: Path) -> Iterator[Mutant]:
    """Yield every change of every file."""
    for file in sorted(file for pattern in FILES for file in project.glob(pattern)):
        text = file.read_text(encoding="utf-8")
        quiet = re.sub(LEFT_ALONE, lambda match: "\0" * len(match[0]), text, flags=re.S)
        for pattern, replacement in OPERATORS:
            for match in re.finditer(pattern, quiet):
                start, end = match.span()
                if "argument" in match.re.groupindex:
                    new = text[slice(*match.span("argument"))].strip()
                else:
                    new = match.expand(replacement) if replacement else OPPOSITE.get(match[0], "")
                yield Mutant(file.relative_to(project), text, start, text[start:end], new)


class Tests:
    """A plugin of pytest: the tests that are to find a mutant, and the one that does."""

    def __init__(self, mutant: Mutant) -> None:
        """Take the mutant, whose file chooses the tests."""
        path = mutant.file.as_posix()
        self.patterns = [tests for files, tests in TESTS if re.search(files, path)]
        self.failed = ""

    def turn(self, test: pytest.Item) -> tuple[bool, int]:
        """Return when a test is run: after the cheaper ones, on Databricks last."""
        turns = (n for n, names in enumerate(self.patterns) if re.search(names, test.nodeid))
        return "databricks" in test.nodeid, next(turns, len(TESTS))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose and sort the tests."""
        chosen = [test for test in items if self.turn(test)[1] < len(TESTS)]
        items[:] = sorted(chosen, key=self.turn)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the name of a failed test."""
        if report.failed:
            self.failed = report.nodeid.rpartition("/")[2]


def killer(mutant: Mutant) -> str:
    """Return what fails in the mutant in this folder, or an empty text when nothing does."""
    signal.alarm(240)  # ends this process, which counts as killed
    result = dbtRunner().invoke([*BUILD, *AFFECTED, *INCIDENT])
    signal.alarm(0)
    nodes = result.result.results if result.result else []
    if not result.success:
        bad = (run.node.name for run in nodes if run.status in ("fail", "error"))
        return f"dbt: {next(bad, 'cannot run')}"
    tests = Tests(mutant)
    if nodes or "operations" in mutant.file.parts:  # else the seeds may be what is wrong
        os.environ["BUILT_INCIDENT"] = str(Path.cwd())
    code = pytest.main(PYTEST, plugins=[tests])
    return f"pytest: {tests.failed or code}" if code not in (0, 5) else ""


def prepare(built: Path) -> None:
    """Make a folder for this process, import there what the tests import, and print nothing."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    folder = built.with_name(f"mutant_{os.getpid()}")
    shutil.copytree(built, folder)
    os.chdir(folder)
    pytest.main([*PYTEST, "--collect-only"])


def judge(mutant: Mutant, built: Path) -> str:
    """Return the killer of a mutant, which has a process and a fresh copy of the build."""
    folder = Path.cwd()
    shutil.rmtree(folder)
    shutil.copytree(built, folder)
    os.chdir(folder)
    rest = mutant.before[mutant.start + len(mutant.old) :]
    mutant.file.write_text(mutant.before[: mutant.start] + mutant.new + rest, encoding="utf-8")
    if not (child := os.fork()):
        try:
            Path("killer").write_text(killer(mutant), encoding="utf-8")
        finally:
            os._exit(0)  # else the child would go on as the pool's process
    os.waitpid(child, 0)
    found = Path("killer")
    return found.read_text(encoding="utf-8") if found.exists() else "dbt: does not end"


def build(folder: Path) -> None:
    """Clone the last commit and build the incident there, which is dbt's state for the mutants."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    profile = (folder / "profiles.yml.example").read_text(encoding="utf-8")
    limited = profile.replace("settings:", "settings:\n        memory_limit: 4GB")
    (folder / "profiles.yml").write_text(limited, encoding="utf-8")
    shutil.copytree(ROOT / "dbt_packages", folder / "dbt_packages")
    for command in ("seed", "build"):
        subprocess.run(["dbt", "--quiet", "--no-print", command, *INCIDENT], cwd=folder, check=True)
    (folder / "state").mkdir()
    shutil.copy(folder / "target" / "manifest.json", folder / "state")


def main() -> int:
    """Judge the mutants that have one of the words; all without words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only mutants that have one of these words")
    parser.add_argument("--after", type=Path, help="the output of a run that was stopped")
    arguments = parser.parse_args()
    before = arguments.after.read_text(encoding="utf-8") if arguments.after else ""
    killed = set(re.findall(r"^killed    (.*)  \[", before, re.M))
    outcomes: Counter[str] = Counter()
    with TemporaryDirectory() as place:
        built = Path(place, "built")
        build(built)
        every, words = list(mutants(built)), arguments.words or [""]
        random.Random(1).shuffle(every)  # a run that is stopped has judged a fair sample
        chosen = [m for m in every if any(w in str(m) for w in words) and str(m) not in killed]
        chosen = [m for m in chosen if m.change not in EQUIVALENT]
        pool = ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), prepare, (built,))
        judging = {pool.submit(judge, mutant, built): mutant for mutant in chosen}
        for future in as_completed(judging):
            mutant, by = judging[future], future.result()
            print(f"{'killed  ' if by else 'SURVIVED'}  {mutant}  [{by}]", flush=True)
            outcomes[by.partition(":")[0] or "survived"] += 1
    print(f"{len(chosen)} of {len(every)} mutants: {dict(outcomes)}")
    stale = EQUIVALENT - {mutant.change for mutant in every}
    print(*(f"No longer a mutant: {text}\n" for text in stale), sep="", end="")
    return 1 if stale or outcomes["survived"] else 0


if __name__ == "__main__":
    sys.exit(main())
