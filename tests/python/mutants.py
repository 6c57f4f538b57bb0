"""Break the models and macros one place at a time and see the tests notice: `make mutants`.

    python tests/python/mutants.py [words of a mutant's file or reason …]

Each mutant is a clone of the last commit with one change. First `dbt build` runs in it on the
incident, with every unit and data test before the sync; a mutant that survives is given to pytest.
Prints who killed it. Exit code 1 when one survives, or when a change no longer applies.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
INCIDENT = ("--vars", "as_of_date: 2025-11-21")
PYTEST = (
    *("pytest", "--exitfirst", "--numprocesses=0", "-p", "no:cacheprovider"),
    *("-k", "not databricks and not readme and not runbook"),
)
TESTS = "oracle incident guard project sources simulated_sync census_config bad_rows export".split()
# Which tests are likely to find it; all others come after them.
FIRST = {
    "macros/check_vars": "project",
    "macros/generate_schema": "project",
    "macros/check_sources": "sources",
    "macros/find_salesforce": "sources",
    "macros/optional_column": "sources",
    "macros/census_sync_config": "census_config",
    "macros/adapters/simulate": "simulated_sync",
}
STAGING = "models/staging/stg_"
SALESFORCE = f"{STAGING}salesforce__product_properties.sql"
FEATURES = f"{STAGING}sfdc_dbx__product_features.sql"
FEATURES_TOTALS = f"{STAGING}sfdc_dbx__totals.sql"
SALESFORCE_TOTALS = f"{STAGING}salesforce__totals.sql"
COMPARED = "models/intermediate/int_product_property_features.sql"
FLAGS = "models/intermediate/int_product_property_feature_flags.sql"
CENSUS = "models/marts/census/product_property_feature_"
BACKFILL, RECENT, SYNC = (f"{CENSUS}{name}.sql" for name in ("backfill", "recent", "sync"))
MONITORING = "models/marts/monitoring/"
GUARD = "macros/judge.sql"
SUMMARY = f"{MONITORING}feature_sync_summary.sql"
MISMATCHES = f"{MONITORING}feature_mismatches.sql"
ADOPTION = f"{MONITORING}product_adoption.sql"
HISTORY = f"{MONITORING}feature_accuracy_history.sql"
TIME_TO_ZERO = f"{MONITORING}feature_time_to_zero.sql"
IDS = f"{STAGING}salesforce__property_ids.sql"
NEW = "models/intermediate/int_properties_not_in_salesforce.sql"
CREATE = "models/marts/census/product_property_create.sql"
EXCEPTIONS = f"{MONITORING}product_property_sync_exceptions.sql"
NOTHING_IS_LOST = "tests/every_salesforce_row_is_candidate_or_exception.sql"
MAPPING = "macros/product_features.sql"


class Mutant(NamedTuple):
    """One change of one file: the first occurrence of a text after another one."""

    file: str
    old: str
    new: str
    after: str = ""


OPEN = "    and {{ guard_is_open() }}\n"
MUTANTS = (
    # The mapping
    Mutant(MAPPING, '"connected_payroll_enabled_c"', '"bank_linking_enabled_c"'),
    Mutant(MAPPING, '"source_prefix": "iv"', '"source_prefix": "idv"'),
    Mutant(MAPPING, '"start_date": "vor_start_date_c"', '"start_date": "vor_updated_date_c"'),
    Mutant(
        MAPPING,
        "product.flag, product.start_date, product.updated_date",
        "product.flag, product.updated_date, product.start_date",
    ),
    Mutant(
        MAPPING, '"enabled", "enabled_at", "updated_at"', '"enabled_at", "enabled", "updated_at"'
    ),
    Mutant(MAPPING, "greatest(", "least("),
    Mutant(MAPPING, '"of": "of", ', ""),
    Mutant(MAPPING, '~ "__c"', '~ "_c"'),
    # The clock and the ids
    Mutant("macros/as_of_date.sql", "current_date", "current_date - 1"),
    Mutant("macros/clean_id.sql", "'% %' then trim(", "'% %' then rtrim("),
    Mutant("macros/clean_id.sql", "'% %'", "'% '"),
    Mutant("macros/clean_id.sql", ", '')", ", 'none')"),
    Mutant("macros/is_live.sql", "not coalesce", "coalesce"),
    Mutant("macros/is_live.sql", ", false)", ", true)"),
    Mutant("macros/is_live.sql", 'else "true"', 'else "false"'),
    Mutant("macros/optional_column.sql", '(none, "none")', "(none,)"),
    # Staging
    Mutant(SALESFORCE, "    where {{ is_live() }}\n", ""),
    Mutant(SALESFORCE, "    where {{ is_live() }}\n", "", after="sync_keys as ("),
    Mutant(SALESFORCE, "count(*) > 1", "count(*) > 2"),
    Mutant(SALESFORCE, "count(*) > 1", "count(*) > 0"),
    Mutant(SALESFORCE, "clean_id('snappt_property_id_c')", "clean_id('reverse_etl_id_c')"),
    Mutant(SALESFORCE, "then 'blank_sync_key'", "then null"),
    Mutant(SALESFORCE, "is null then 'blank_property_id'", "= '' then 'blank_property_id'"),
    Mutant(SALESFORCE, "left join duplicate", "inner join duplicate"),
    Mutant(SALESFORCE, "{{ product.updated_date }} as {{", "{{ product.start_date }} as {{"),
    Mutant(FEATURES, "count(*) > 1", "count(*) > 2"),
    Mutant(
        FEATURES, "{{ newest_update() }} desc nulls last", "{{ newest_update() }} desc nulls first"
    ),
    Mutant(FEATURES, "{{ newest_update() }} desc nulls last", "{{ newest_update() }} nulls last"),
    Mutant(FEATURES, "{{ column }} desc nulls last", "{{ column }} nulls last"),
    Mutant(FEATURES, "{{ column }} desc nulls last", "{{ column }} desc nulls first"),
    Mutant(FEATURES, "case when duplicate_ids.property_id is null then", "case when true then"),
    Mutant(FEATURES, "where recency = 1", "where recency <= 2"),
    Mutant(FEATURES, "{{ prefix }}_enabled_at as {{", "{{ prefix }}_updated_at as {{"),
    # The comparison
    Mutant(COMPARED, "where sync_exception is null", "where true"),
    Mutant(MAPPING, "_enabled, false) as", "_enabled, true) as"),
    Mutant(MAPPING, "_enabled, false) as", "_enabled) as"),
    Mutant(MAPPING, "_enabled_at as {{ product.start", "_updated_at as {{ product.start"),
    Mutant(MAPPING, "_updated_at as {{ product.updated", "_enabled_at as {{ product.updated"),
    Mutant(COMPARED, "left join features", "inner join features"),
    Mutant(COMPARED, "on properties.snappt_property_id_c", "on properties.reverse_etl_id_c"),
    Mutant(COMPARED, "}} is distinct from current_", "}} <> current_"),
    Mutant(COMPARED, "        or {% endif %}", "        and {% endif %}"),
    Mutant(COMPARED, "        or {{ dates_differ(product) }}\n", ""),
    Mutant(COMPARED, "property_id is not null as has", "property_id is null as has"),
    Mutant("macros/dates_differ.sql", "is distinct from", "<>"),
    Mutant("macros/dates_differ.sql", "is distinct from", "<>", after="or cast("),
    Mutant(
        "macros/dates_differ.sql",
        "cast({{ product.start_date }} as date)",
        "{{ product.start_date }}",
    ),
    Mutant(
        "macros/dates_differ.sql",
        "cast({{ product.updated_date }} as date)",
        "{{ product.updated_date }}",
    ),
    # The flags
    Mutant(FLAGS, "not coalesce(is_enabled_in_salesforce, false)", "not is_enabled_in_salesforce"),
    Mutant(FLAGS, "then 'missing_in_salesforce'", "then 'left_on_in_salesforce'"),
    Mutant(
        FLAGS, "is_enabled_in_salesforce and not is_enabled then", "is_enabled_in_salesforce then"
    ),
    Mutant(FLAGS, "is null then 'never_set", "= false then 'never_set"),
    Mutant(FLAGS, "when has_date_mismatch then 'dates_differ'", "when has_date_mismatch then null"),
    Mutant(
        FLAGS, "{{ product.updated_date }} as updated_at", "{{ product.start_date }} as updated_at"
    ),
    # What Census reads
    Mutant("macros/guard_is_open.sql", "not (select", "(select"),
    Mutant(SYNC, "    and {{ guard_is_open('judged') }}\n", ""),
    Mutant(SYNC, "    is_mismatched\n", "    not is_mismatched\n"),
    Mutant(SYNC, "limit {{ var('sync_max_rows') }}\n", ""),
    Mutant(SYNC, "order by reverse_etl_id_c\n", ""),
    Mutant(RECENT, OPEN, ""),
    Mutant(RECENT, ">= {{", "> {{"),
    Mutant(RECENT, "<= {{", "< {{"),
    Mutant(RECENT, "cast(created_at", "cast(last_modified_at"),
    Mutant(BACKFILL, "    " + OPEN, ""),
    Mutant(BACKFILL, "as date) = {{", "as date) >= {{"),
    Mutant(BACKFILL, "ceil(", "floor("),
    Mutant(BACKFILL, "order by reverse_etl_id_c", "order by snappt_property_id_c"),
    # The guard
    Mutant(GUARD, "feature_rows < guard", "feature_rows <= guard"),
    Mutant(GUARD, "feature_rows < guard", "feature_rows > guard"),
    Mutant(GUARD, "salesforce_properties = 0", "salesforce_properties < 0"),
    Mutant(GUARD, "        < guard_min_match", "        <= guard_min_match"),
    Mutant(GUARD, "flags_to_switch_off >= guard", "flags_to_switch_off > guard"),
    Mutant(GUARD, "flags_to_switch_off > guard", "flags_to_switch_off >= guard"),
    Mutant(GUARD, "flags_to_switch_off > guard", "flags_to_switch_off < guard"),
    Mutant(GUARD, "        and not allow_mass_switch_off as", "        as"),
    Mutant(GUARD, " and not {{ product.flag }} then", " then"),
    Mutant(GUARD, "has_too_few_feature_rows or", "has_too_few_feature_rows and"),
    Mutant(GUARD, "matches or has_too_many", "matches and has_too_many"),
    Mutant(GUARD, "when not has_feature_row then", "when has_feature_row then"),
    Mutant(GUARD, "        or not has_feature_row\n", ""),
    Mutant(GUARD, "        is_mismatched\n        or", "       "),
    Mutant(FEATURES_TOTALS, "clean_id('property_id')", "'property_id'"),
    Mutant(SALESFORCE_TOTALS, "where {{ is_live() }}", "where true"),
    Mutant(SALESFORCE_TOTALS, "when {{ product.flag }} then", "when true then"),
    Mutant(NOTHING_IS_LOST, "and candidates = 0", "and candidates < 0"),
    # What people read
    Mutant(MISMATCHES, "where mismatch_kind is not null", "where true"),
    Mutant(MISMATCHES, "greatest(", "least("),
    Mutant(SUMMARY, "as date) > {{", "as date) < {{"),
    Mutant(SUMMARY, "as date) = {{", "as date) <= {{"),
    Mutant(SUMMARY, "count({{ name }})", "count(*)"),
    Mutant(SUMMARY, "count({{ name }})", "count(*)", after="union all"),
    Mutant(SUMMARY, "        cohort,\n        reverse_etl_id_c\n", "        cohort\n"),
    Mutant(SUMMARY, "(cohort, product), (product)", "(cohort, product)"),
    Mutant(SUMMARY, "((cohort), ())", "((cohort))"),
    Mutant(SUMMARY, "'left_on_in_salesforce'\"", "'never_set_in_salesforce'\""),
    Mutant(EXCEPTIONS, "where sync_exception is not null", "where true"),
    Mutant(EXCEPTIONS, "when 'duplicate_sync_key'", "when 'blank_property_id'"),
    Mutant(ADOPTION, "case when is_enabled then cast", "case when true then cast"),
    Mutant(ADOPTION, "1, 7)", "1, 4)"),
    Mutant(ADOPTION, "started_date <= {{", "started_date < {{"),
    Mutant(ADOPTION, "case when started_date <= {{ as_of_date() }} then", "case when true then"),
    Mutant(ADOPTION, "on_date >= {{", "on_date > {{"),
    Mutant(ADOPTION, "[7, 30, 90]", "[6, 30, 90]"),
    Mutant(ADOPTION, "max(all_properties)", "max(properties_on)"),
    Mutant(ADOPTION, "'unknown'", "'all'"),
    Mutant(ADOPTION, "    or started_month = 'all'\n", ""),
    Mutant(HISTORY, "full_refresh=false", "full_refresh=true"),
    Mutant(HISTORY, "where cohort = 'all'", "where true"),
    Mutant(HISTORY, "where run_id not in", "where run_id in"),
    Mutant(HISTORY, "{%- if is_incremental() %}", "{%- if false %}"),
    Mutant(HISTORY, "guard.is_tripped as", "not guard.is_tripped as"),
    Mutant(TIME_TO_ZERO, "mismatched, 1, 0)", "mismatched, 1)"),
    Mutant(TIME_TO_ZERO, "        and not is_guard_tripped\n", ""),
    Mutant(TIME_TO_ZERO, "measured_at < zeros", "measured_at <> zeros"),
    Mutant(TIME_TO_ZERO, "history.product = zeros.product", "true"),
    Mutant(TIME_TO_ZERO, "mismatched > history", "mismatched >= history"),
    # New properties
    Mutant(IDS, "clean_id('snappt_property_id_c')", "clean_id('id')"),
    Mutant(IDS, "if var('recreate", "if not var('recreate"),
    Mutant(IDS, "select distinct", "select"),
    Mutant(NEW, "    not exists (", "    exists ("),
    Mutant(NEW, "and not exists (", "or not exists ("),
    Mutant(NEW, '{{ var("sync_key_prefix") }}', "prop-"),
    Mutant(CREATE, "on properties.property_id", "on properties.sync_key"),
    Mutant(CREATE, "left join features", "inner join features"),
    Mutant(CREATE, ", 80)", ", 81)"),
    Mutant(CREATE, "where {{ guard_is_open() }}", "where true"),
    Mutant("tests/the_guard_is_open.sql", '["build", "test"]', "[]"),
    # Before a run
    Mutant("macros/check_vars.sql", "0 <= value <= 1", "0 <= value"),
    Mutant("macros/check_vars.sql", "kind[-1] | int <= value", "0 <= value"),
    Mutant("macros/check_vars.sql", '"[A-Za-z0-9_-]+", text', '".+", text'),
    Mutant("macros/check_vars.sql", "given not in kinds and", "false and"),
    Mutant("macros/check_vars.sql", 'if var("allow_mass_switch_off") and', "if false and"),
    Mutant("macros/check_vars.sql", "year % 400 == 0", "false"),
    Mutant("macros/generate_schema_name.sql", "not in var", "in var"),
    Mutant("macros/check_sources.sql", "{% if not relation %}", "{% if false %}"),
    Mutant("macros/check_sources.sql", "not in types[kind]", "in []"),
    Mutant("macros/find_salesforce_table.sql", "in found %}", "not in found %}"),
    Mutant("macros/census_sync_config.sql", "field == sync.sync_key", "loop.first"),
    Mutant("macros/adapters/simulate_census_sync.sql", "records.records_with_key > 1", "false"),
    Mutant("macros/adapters/simulate_census_sync.sql", "where outcome = 'created'", "where true"),
)


def clone(mutant: Mutant, folder: Path, seeded: Path) -> None:
    """Make a clone with the change and with a seeded warehouse; ValueError when nothing changes."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for name in ("dbt_packages", "profiles.yml", "warehouse"):
        place = folder / name
        if (seeded / name).is_dir():
            shutil.copytree(seeded / name, place, dirs_exist_ok=True)
        else:
            shutil.copy(seeded / name, place)
    path = folder / mutant.file
    text = path.read_text()
    head, separator, tail = text.partition(mutant.after) if mutant.after else ("", "", text)
    if mutant.old not in tail:
        raise ValueError(f"{mutant.old!r} is not in {mutant.file} any more: correct the mutant")
    path.write_text(head + separator + tail.replace(mutant.old, mutant.new, 1))


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a clone, with the tools of the virtual environment."""
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def killer(mutant: Mutant, seeded: Path) -> str | None:
    """Name the first test that fails in the mutant, or None when it survives."""
    with TemporaryDirectory() as place:
        folder = Path(place, "project")
        clone(mutant, folder, seeded)
        if run(folder, "dbt", "build", *INCIDENT).returncode:
            results = Path(folder, "target", "run_results.json")
            if not results.exists():
                return "dbt, which cannot compile it"
            failed = [
                (result["status"], result["unique_id"].split(".")[2])
                for result in json.loads(results.read_text())["results"]
                if result["status"] in ("fail", "error")
            ]
            return " ".join(min(failed, key=lambda one: one[0] != "fail"))
        first = [test for start, test in FIRST.items() if mutant.file.startswith(start)]
        tests = sorted(TESTS, key=lambda test: test not in first)
        result = run(folder, *PYTEST, *(f"tests/python/test_{test}.py" for test in tests))
        if result.returncode == 0:
            return None
        failed = re.search(r"^(?:SUB)?(?:FAILED|ERROR)\S* (\S+)", result.stdout, re.M)
        return (
            f"pytest {failed[1]}" if failed else f"pytest, which cannot run: {result.stdout[-300:]}"
        )


def main(words: list[str]) -> int:
    """Run the mutants that have a word in their file or change; all without words."""
    chosen = [m for m in MUTANTS if not words or any(word in " ".join(m) for word in words)]
    with TemporaryDirectory() as place:
        seeded = Path(place, "seeded")
        subprocess.run(["git", "clone", "--quiet", ROOT, seeded], check=True)
        shutil.copy(ROOT / "profiles.yml", seeded)
        shutil.copytree(ROOT / "dbt_packages", seeded / "dbt_packages")
        if (seed := run(seeded, "dbt", "seed")).returncode:
            print(seed.stdout)
            return 1
        outcomes: Counter[str] = Counter()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for mutant, by in zip(
                chosen, pool.map(lambda m: killer(m, seeded), chosen), strict=True
            ):
                change = f"{mutant.old.strip()} → {mutant.new.strip() or 'nothing'}"
                fate = "SURVIVED" if by is None else "killed  "
                print(f"{fate}  {mutant.file}: {change}  [{by or ''}]", flush=True)
                outcomes["survived" if by is None else by.split()[0]] += 1
    print(f"{len(chosen)} mutants:", ", ".join(f"{n} {by}" for by, n in outcomes.most_common()))
    return 1 if outcomes["survived"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
