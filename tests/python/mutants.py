"""Break the models and macros one place at a time and see the tests notice: `make mutants`.

    python tests/python/mutants.py [words of a mutant's file or reason …]

Each mutant is a clone of the last commit with one change. First `dbt build` runs in it on the
incident, with every unit and data test before the sync; a mutant that survives, or that only a
command or the proof can notice, is given to pytest.
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
    *("-k", "not databricks"),
)
TESTS = "bad_rows guard incident oracle simulated_sync sources census_config export project".split()
# Where `dbt build` is unlikely to notice a change, the tests that are; all others come after them.
FIRST = {
    "analyses/": "sources",
    "dbt_project": "guard",
    "macros/as_of_date": "simulated_sync",
    "macros/census_sync_config": "census_config",
    "macros/check_sources": "sources",
    "macros/check_vars": "project",
    "macros/adapters/simulate": "simulated_sync",
    "macros/find_salesforce": "sources",
    "macros/generate_schema": "project",
    "macros/is_before_sync": "incident",
    "macros/on_run_end": "incident guard",
    "macros/optional_column": "sources",
    "macros/print_grants": "sources",
    "macros/seed_once": "incident project",
    "macros/show_tables": "sources",
    "models/staging/stg_rds": "sources",
    "tests/": "incident guard",
    "tests/assert_everything": "bad_rows",
    "tests/assert_nothing_differs": "oracle",
}
VARS = "dbt_project.yml"
AS_OF_DATE = "macros/as_of_date.sql"
CLEAN_ID = "macros/clean_id.sql"
STRIP_BLANKS = "macros/adapters/strip_blanks.sql"
SIMULATED = "macros/adapters/simulate_census_sync.sql"
CHECK_SOURCES = "macros/check_sources.sql"
CHECK_VARS = "macros/check_vars.sql"
CONFIG = "macros/census_sync_config.sql"
FIND = "macros/find_salesforce_table.sql"
GRANTS = "macros/print_grants.sql"
GUARD = "macros/guard.sql"
KIND = "macros/mismatch_kind.sql"
MAPPING = "macros/product_features.sql"
MATERIALIZATION = "macros/cross_catalog_materialization.sql"
OPTIONAL = "macros/optional_column.sql"
RUN_END = "macros/on_run_end.sql"
SCHEMA_NAME = "macros/generate_schema_name.sql"
SEED = "macros/seed_once.sql"
SHOW = "macros/show_tables.sql"
STAGING = "models/staging/"
BASE = f"{STAGING}base/base_salesforce__product_properties.sql"
FEATURES = f"{STAGING}stg_sfdc_dbx__product_features.sql"
APPLICATION = f"{STAGING}stg_rds__properties.sql"
INTERMEDIATE = "models/intermediate/int_"
LATEST = f"{INTERMEDIATE}product_features_latest.sql"
VALIDATED = f"{INTERMEDIATE}product_properties_validated.sql"
COMPARED = f"{INTERMEDIATE}product_properties_compared.sql"
UNPIVOTED = f"{INTERMEDIATE}product_properties_unpivoted.sql"
NEW = f"{INTERMEDIATE}properties_not_in_salesforce.sql"
CENSUS = "models/marts/census/product_property_"
SYNC, RECENT, BACKFILL = (f"{CENSUS}feature_{n}.sql" for n in ("sync", "recent", "backfill"))
CREATE = f"{CENSUS}create.sql"
MONITORING = "models/marts/monitoring/"
SUMMARY = f"{MONITORING}feature_sync_summary.sql"
MISMATCHES = f"{MONITORING}feature_mismatches.sql"
EXCEPTIONS = f"{MONITORING}product_property_sync_exceptions.sql"
ISSUES = f"{MONITORING}feature_matching_issues.sql"
ADOPTION = f"{MONITORING}product_adoption.sql"
HISTORY = f"{MONITORING}feature_accuracy_history.sql"
TIME_TO_ZERO = f"{MONITORING}feature_time_to_zero.sql"
PROOF = "tests/assert_nothing_differs_else_see_feature_mismatches.sql"
IS_OPEN = "tests/assert_guard_is_open.sql"
GENERIC = "tests/generic/"
COMPARE = "analyses/compare_salesforce_catalogs.sql"


class Mutant(NamedTuple):
    """One change of one file: the first occurrence of a text after another one."""

    file: str
    old: str
    new: str
    after: str = ""


LIVE = "guard_is_open(live=true)"
MUTANTS = (
    # The mapping
    Mutant(MAPPING, '"connected_payroll_enabled_c"', '"bank_linking_enabled_c"'),
    Mutant(MAPPING, '"source_prefix": "iv"', '"source_prefix": "idv"'),
    Mutant(MAPPING, '"start_date": "vor_start_date_c"', '"start_date": "vor_updated_date_c"'),
    Mutant(
        MAPPING,
        "product.start_date, product.updated_date]",
        "product.updated_date, product.start_date]",
    ),
    Mutant(
        MAPPING, '"enabled", "enabled_at", "updated_at"', '"enabled_at", "enabled", "updated_at"'
    ),
    Mutant(MAPPING, "greatest(", "least("),
    Mutant(MAPPING, '"of": "of", ', ""),
    Mutant(MAPPING, '~ "__c"', '~ "_c"'),
    Mutant(MAPPING, "return(column | capitalize)", "return(column)"),
    Mutant(MAPPING, 'var("feature_date_type")', '"timestamp"'),
    Mutant(MAPPING, 'endswith("_date_c")', 'endswith("_start_date_c")'),
    Mutant(MAPPING, "_enabled, false) as", "_enabled, true) as"),
    Mutant(MAPPING, "_enabled, false) as", "_enabled) as"),
    Mutant(MAPPING, '_enabled_at") }} as', '_updated_at") }} as'),
    Mutant(MAPPING, '_updated_at") }} as', '_enabled_at") }} as'),
    Mutant(MAPPING, ">= timestamp '1700", "> timestamp '1700"),
    Mutant(MAPPING, "{{ column }} >= timestamp '1700-01-01' and ", ""),
    Mutant(MAPPING, "< timestamp '4001", "<= timestamp '4001"),
    Mutant(MAPPING, "'4001-01-01'", "'4000-12-31'"),
    # The clock, the ids and the optional columns
    Mutant(AS_OF_DATE, '"current_date")', '"current_date - 1")'),
    Mutant(AS_OF_DATE, "%H:%M:%S.%f", "00:00:00"),
    Mutant(AS_OF_DATE, 'var("as_of_date") or not execute', "not execute"),
    Mutant(AS_OF_DATE, "where at_build.is_mismatched", "where true"),
    Mutant(CLEAN_ID, "between '!' and '~'", ">= '!'"),
    Mutant(CLEAN_ID, "between '!'", "between ' '"),
    Mutant(CLEAN_ID, "between '!'", "between ' '", after="substr("),
    Mutant(CLEAN_ID, "    and substr({{ text }}, -1) between '!' and '~'\n", "\n"),
    Mutant(CLEAN_ID, "> 4", "> 3"),
    Mutant(CLEAN_ID, "lower({{ strip_blanks(text) }})", "{{ strip_blanks(text) }}"),
    Mutant(CLEAN_ID, "('', 'null'", "('null'"),
    Mutant(CLEAN_ID, "'null', ", ""),
    Mutant(CLEAN_ID, "'none', ", ""),
    Mutant(CLEAN_ID, ", 'nan'", ""),
    Mutant(CLEAN_ID, "then {{ strip_blanks(text) }}", "then {{ text }}"),
    Mutant(STRIP_BLANKS, r"\\p{Z}", " ", after="duckdb__"),
    Mutant(STRIP_BLANKS, r"\\p{Cc}", "", after="duckdb__"),
    Mutant(STRIP_BLANKS, r"\\p{Cf}", "", after="duckdb__"),
    Mutant(STRIP_BLANKS, r"+|[\\p{Z}", "+|[ ", after="duckdb__"),
    Mutant(STRIP_BLANKS, "'', 'g'", "''"),
    Mutant("macros/sync_key_identity.sql", "key if var", "key if not var"),
    Mutant(OPTIONAL, '(none, "none")', "(none,)"),
    Mutant(OPTIONAL, ', false)"', ', true)"'),
    Mutant(OPTIONAL, 'else "false"', 'else "true"'),
    Mutant(OPTIONAL, '"rds": ["rds_deleted_column"]', '"rds": []'),
    Mutant(OPTIONAL, 'optional_column("salesforce_freshness_column") or ', ""),
    Mutant(OPTIONAL, 'var("salesforce_freshness_table") or ', ""),
    # Staging
    Mutant(BASE, "clean_id('snappt_property_id_c')", "'snappt_property_id_c'"),
    Mutant(BASE, "clean_id('reverse_etl_id_c')", "'reverse_etl_id_c'"),
    Mutant(BASE, "optional_column('salesforce_last_modified_column') or ", ""),
    Mutant(BASE, "cast({{ product.updated_date }}", "cast({{ product.start_date }}"),
    Mutant(f"{STAGING}stg_salesforce__product_properties.sql", "where not is_deleted", ""),
    Mutant(FEATURES, "clean_id('property_id')", "'property_id'"),
    Mutant(FEATURES, "cast({{ prefix }}_enabled_at", "cast({{ prefix }}_updated_at"),
    Mutant(APPLICATION, "if optional_column('rds_deleted_column')", "if false"),
    Mutant(APPLICATION, ", 'false') =", ", 'true') ="),
    # What cannot be synced, and the latest feature row
    Mutant(VALIDATED, "{{ sync_key_identity('reverse_etl_id_c') }}", "reverse_etl_id_c"),
    Mutant(
        VALIDATED, "{{ sync_key_identity('records.reverse_etl_id_c') }}", "records.reverse_etl_id_c"
    ),
    Mutant(VALIDATED, "ref('stg_", "ref('base_", after="sync_keys as ("),
    Mutant(VALIDATED, "count(*) > 1", "count(*) > 2"),
    Mutant(VALIDATED, "count(*) > 1", "count(*) > 0"),
    Mutant(VALIDATED, "then 'blank_sync_key'", "then null"),
    Mutant(VALIDATED, "is null then 'blank_property_id'", "= '' then 'blank_property_id'"),
    Mutant(VALIDATED, "left join duplicate", "inner join duplicate"),
    Mutant(LATEST, "count(*) > 1", "count(*) > 2"),
    Mutant(
        LATEST, "{{ newest_update() }} desc nulls last", "{{ newest_update() }} desc nulls first"
    ),
    Mutant(LATEST, "{{ newest_update() }} desc nulls last", "{{ newest_update() }} nulls last"),
    Mutant(LATEST, "{{ newest_update() }} desc nulls last,\n", ""),
    Mutant(LATEST, "{{ column }} desc nulls last", "{{ column }} nulls last"),
    Mutant(LATEST, "{{ column }} desc nulls last", "{{ column }} desc nulls first"),
    Mutant(LATEST, "inner join duplicate", "left join duplicate"),
    Mutant(LATEST, "features.property_id <> coalesce(duplicate_ids.property_id, '')", "true"),
    Mutant(
        LATEST,
        "features.property_id <> coalesce(duplicate_ids.property_id, '')",
        "duplicate_ids.property_id is null",
    ),
    Mutant(LATEST, "where recency = 1", "where recency <= 2"),
    # The comparison
    Mutant(COMPARED, "left join features", "inner join features"),
    Mutant(COMPARED, "on properties.snappt_property_id_c", "on properties.reverse_etl_id_c"),
    Mutant(COMPARED, "}} is distinct from current_", "}} <> current_"),
    Mutant(COMPARED, "        or {% endif %}", "        and {% endif %}"),
    Mutant(COMPARED, "        or {{ dates_differ(product) }}\n", ""),
    Mutant(COMPARED, "property_id is not null as has", "property_id is null as has"),
    Mutant(KIND, "not coalesce({{ current }}, false)", "not {{ current }}"),
    Mutant(KIND, "then 'missing_in_salesforce'", "then 'left_on_in_salesforce'"),
    Mutant(KIND, "{{ current }} and not {{ product.flag }} then", "{{ current }} then"),
    Mutant(KIND, "is null then 'never_set", "= false then 'never_set"),
    Mutant(KIND, "then 'dates_differ'", "then null"),
    Mutant(KIND, "is distinct from", "<>"),
    Mutant(KIND, "is distinct from", "<>", after="or cast("),
    Mutant(KIND, "cast({{ product.start_date }} as date)", "{{ product.start_date }}"),
    Mutant(KIND, "cast({{ product.updated_date }} as date)", "{{ product.updated_date }}"),
    Mutant(
        UNPIVOTED,
        "{{ product.updated_date }} as updated_at",
        "{{ product.start_date }} as updated_at",
    ),
    Mutant(MATERIALIZATION, '"view" if has_moved else "table"', '"table" if has_moved else "view"'),
    Mutant(MATERIALIZATION, 'return("table" if', 'return("view" if'),
    # What the guard counts
    Mutant(GUARD, "        is_mismatched\n        or", "       "),
    Mutant(GUARD, "        or not has_feature_row\n", ""),
    Mutant(GUARD, "        or sync_exception is not null\n", ""),
    Mutant(GUARD, "count(sync_exception)", "count(*)"),
    Mutant(GUARD, "sync_exception is null and not has_feature_row", "not has_feature_row"),
    Mutant(GUARD, "sync_exception is null and is_mismatched", "is_mismatched"),
    Mutant(GUARD, "sync_exception is null and {{ is_switched_off }}", "{{ is_switched_off }}"),
    Mutant(GUARD, "product.flag ~ ' and not ' ~ product.flag", "product.flag"),
    Mutant(GUARD, "count(property_id)", "count(*)"),
    Mutant(GUARD, "greatest(", "least("),
    Mutant(GUARD, "count(*) - count(", "count("),
    Mutant(
        GUARD,
        "count(case when {{ prefix }}{{ product.flag }} then 1 end)",
        "count({{ prefix }}{{ product.flag }})",
    ),
    Mutant(f"{MONITORING}feature_sync_guard.sql", ", prefix='current_'", ""),
    # Its limits
    Mutant(GUARD, "feature_rows < guard", "feature_rows <= guard"),
    Mutant(GUARD, "salesforce_records = exceptions", "salesforce_records = 0"),
    Mutant(GUARD, "salesforce_records = exceptions", "salesforce_records < exceptions"),
    Mutant(GUARD, "and not {{ var('allow_mass_create') }}", "and true"),
    Mutant(GUARD, "salesforce_records - exceptions - unmatched", "salesforce_records - unmatched"),
    Mutant(GUARD, "        < guard_min_match", "        <= guard_min_match"),
    Mutant(GUARD, "exceptions > guard", "exceptions >= guard"),
    Mutant(GUARD, "unset_records > guard", "unset_records >= guard"),
    Mutant(GUARD, "var('allow_new_field') or", "false or"),
    Mutant(GUARD, " or var('sync_max_rows') is not none", ""),
    Mutant(GUARD, "flags_to_switch_off >= guard", "flags_to_switch_off > guard"),
    Mutant(GUARD, "flags_to_switch_off > guard", "flags_to_switch_off >= guard"),
    Mutant(GUARD, "and flags_to_switch_off > guard", "or flags_to_switch_off > guard"),
    Mutant(GUARD, "and not {{ var('allow_mass_switch_off') }}", "and true"),
    Mutant(GUARD, "properties_to_create > guard", "properties_to_create >= guard"),
    Mutant(
        GUARD, "and not {{ var('allow_mass_create') }}", "and true", after="properties_to_create >"
    ),
    Mutant(GUARD, "false as has_too_many_creations", "true as has_too_many_creations"),
    Mutant(GUARD, "has_too_few_feature_rows\n        or ", ""),
    Mutant(GUARD, "        or has_nothing_to_compare\n", ""),
    Mutant(GUARD, "        or has_too_few_matches\n", ""),
    Mutant(GUARD, "        or has_too_many_exceptions\n", ""),
    Mutant(GUARD, "        or has_new_field\n", ""),
    Mutant(GUARD, "        or has_too_many_switch_offs\n", ""),
    Mutant(GUARD, "        or has_too_many_creations as", "        as"),
    Mutant(GUARD, "{% if live -%}", "{% if false -%}"),
    Mutant(GUARD, "(select is_tripped from {{", "(select false from {{"),
    Mutant(
        GUARD,
        "not (select is_tripped from {{ ref('feature_sync_guard') }})",
        "not exists (select 1 from {{ ref('feature_sync_guard') }} where is_tripped)",
    ),
    Mutant(
        GUARD,
        "facts.has_too_few_matches or facts.has_nothing_to_compare",
        "facts.has_too_few_matches",
    ),
    Mutant(GUARD, "if is_passed or not facts.is_tripped", "if not facts.is_tripped"),
    Mutant(GUARD, "if facts.has_too_many_switch_offs", "if not facts.has_too_many_switch_offs"),
    Mutant(VARS, "guard_min_feature_rows: 20000", "guard_min_feature_rows: 0"),
    Mutant(VARS, "guard_min_match_share: 0.9", "guard_min_match_share: 0"),
    Mutant(VARS, "guard_max_exception_share: 0.01", "guard_max_exception_share: 1"),
    Mutant(VARS, "guard_max_unset_share: 0.5", "guard_max_unset_share: 1"),
    Mutant(VARS, "guard_max_create_share: 0.1", "guard_max_create_share: 1"),
    Mutant(VARS, "guard_max_disable_share: 0.05", "guard_max_disable_share: 1"),
    # What Census reads
    Mutant(SYNC, "    is_mismatched\n    and", "   "),
    Mutant(SYNC, "    and sync_exception is null\n", ""),
    Mutant(SYNC, f"    and {{{{ {LIVE} }}}}\n", ""),
    Mutant(SYNC, LIVE, "guard_is_open()"),
    Mutant(SYNC, "'{{ invocation_id }}'", "''"),
    Mutant(SYNC, "limit {{ var('sync_max_rows') }}\n", ""),
    Mutant(RECENT, ">= {{", "> {{"),
    Mutant(RECENT, "<= {{", "< {{"),
    Mutant(RECENT, "cast(created_at", "cast(last_modified_at"),
    Mutant(RECENT, "    and sync_exception is null\n", ""),
    Mutant(RECENT, LIVE, "guard_is_open()"),
    Mutant(BACKFILL, "as date) = {{", "as date) >= {{"),
    Mutant(BACKFILL, "backfill_date()", "as_of_date()"),
    Mutant(BACKFILL, "        and sync_exception is null\n", ""),
    Mutant(BACKFILL, "        and {{ guard_is_open() }}\n", ""),
    Mutant(BACKFILL, "ceil(", "floor("),
    Mutant(BACKFILL, "order by reverse_etl_id_c", "order by snappt_property_id_c"),
    Mutant(CREATE, "new_properties=ref('int_properties_not_in_salesforce')", ""),
    Mutant(CREATE, "    where not is_sync_key_taken\n", ""),
    Mutant(CREATE, "on properties.property_id", "on properties.sync_key"),
    Mutant(CREATE, "left join features", "inner join features"),
    Mutant(CREATE, ", 80)", ", 81)"),
    Mutant(CREATE, LIVE, "guard_is_open()"),
    Mutant(NEW, "        not exists (", "        exists ("),
    Mutant(NEW, "if var('recreate", "if not var('recreate"),
    Mutant(NEW, '{{ var("sync_key_prefix") }}', "prop-"),
    Mutant(NEW, "{{ sync_key_identity('reverse_etl_id_c') }}", "reverse_etl_id_c"),
    Mutant(NEW, "{{ sync_key_identity('properties.sync_key') }}", "properties.sync_key"),
    # What people read
    Mutant(MISMATCHES, "where mismatch_kind is not null", "where true"),
    Mutant(MISMATCHES, "greatest(", "least("),
    Mutant(SUMMARY, "as date) > {{", "as date) < {{"),
    Mutant(SUMMARY, "as date) = {{", "as date) <= {{"),
    Mutant(SUMMARY, "count(sync_exception)", "count(*)"),
    Mutant(SUMMARY, "true in ({{ flags }})", "true in ({{ current_flags }})"),
    Mutant(SUMMARY, "count(coalesce({{ kinds }}))", "count(*)"),
    Mutant(SUMMARY, "((cohort), ())", "((cohort))"),
    Mutant(EXCEPTIONS, "where sync_exception is not null", "where true"),
    Mutant(EXCEPTIONS, "where is_sync_key_taken", "where true"),
    Mutant(EXCEPTIONS, "true as is_mismatched", "false as is_mismatched"),
    Mutant(EXCEPTIONS, "when 'duplicate_sync_key'", "when 'blank_property_id'"),
    Mutant(ISSUES, "        not has_feature_row\n        and", "       "),
    Mutant(ISSUES, "        and snappt_property_id_c is not null\n", ""),
    Mutant(ISSUES, "try_cast(snappt_property_id_c as decimal(38, 0))", "null"),
    Mutant(ISSUES, "lower(snappt_property_id_c)", "snappt_property_id_c"),
    Mutant(
        ISSUES,
        "        or {% endif %}\n        {%- endfor %} as has",
        "        and {% endif %}\n        {%- endfor %} as has",
    ),
    Mutant(ISSUES, "where records.salesforce_id is null", "where true"),
    Mutant(ISSUES, "        has_product_on\n        and", "       "),
    Mutant(ISSUES, "and salesforce_id not in", "and salesforce_id in"),
    Mutant(ISSUES, "['enabled_at', 'updated_at']", "['updated_at']"),
    Mutant(ISSUES, "{{ date }} is not null and ", ""),
    Mutant(ADOPTION, "case when is_enabled then cast", "case when true then cast"),
    Mutant(ADOPTION, "1, 7)", "1, 4)"),
    Mutant(ADOPTION, "started_date <= {{", "started_date < {{"),
    Mutant(ADOPTION, "case when started_date <= {{ as_of_date() }} then", "case when true then"),
    Mutant(ADOPTION, "on_date >= {{", "on_date > {{"),
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
    Mutant(SHOW, 'if var("as_of_date") and', "if false and"),
    Mutant(SHOW, "count(distinct salesforce_id)", "count(*)"),
    Mutant(COMPARE, "is distinct from copied", "<> copied"),
    Mutant(COMPARE, "full outer join", "left join"),
    Mutant(COMPARE, "when {{ both }} and", "when"),
    Mutant("analyses/did_the_sync_arrive_right.sql", "= 'as_of_date'", "= 'all'"),
    # The proof and the other tests
    Mutant(PROOF, "    is_mismatched\n    and sync_exception is null", "    is_mismatched"),
    Mutant(PROOF, "where is_tripped", "where false"),
    Mutant(PROOF, "}}, not {{", "}}, {{"),
    Mutant(PROOF, "        or {% endif %}", "        and {% endif %}"),
    Mutant(PROOF, "left join features", "inner join features"),
    Mutant(PROOF, "[product.start_date, product.updated_date]", "[product.start_date]"),
    Mutant(PROOF, "cast({{ column }} as date)", "{{ column }}"),
    Mutant(PROOF, "'totals', 'new_properties'", "'totals'"),
    Mutant("macros/is_before_sync.sql", 'flags.WHICH == "build"', "false"),
    Mutant("macros/is_before_sync.sql", 'flags.WHICH == "build"', "true"),
    Mutant("selectors.yml", "value: after_sync", "value: before_sync"),
    Mutant(IS_OPEN, "    verdicts <> 1\n    or", "   "),
    Mutant(IS_OPEN, "    or open_verdicts <> 1\n", ""),
    Mutant("macros/runs_after_census_relations.sql", "census_relations() -%}", "[] -%}"),
    Mutant("tests/assert_everything_can_be_synced.sql", "severity='warn'", "severity='error'"),
    Mutant(
        "tests/assert_every_count_of_mismatches_agrees.sql",
        "listed is distinct",
        "false and listed is distinct",
    ),
    Mutant(
        "tests/assert_backfill_batches_are_full.sql",
        "batches.batch_rows <> totals.batch_size",
        "false",
    ),
    Mutant(
        "tests/assert_adoption_adds_up_to_the_summary.sql",
        "    in_summary.should_be_on <> coalesce",
        "    in_summary.should_be_on < coalesce",
    ),
    Mutant(
        f"{GENERIC}keeps_every_record.sql",
        "counts.row_count <> totals",
        "counts.row_count < totals",
    ),
    Mutant(
        f"{GENERIC}keeps_every_record.sql",
        "    or counts.distinct_keys <> totals.salesforce_records\n",
        "",
    ),
    Mutant(
        f"{GENERIC}valid_sync_keys.sql", "{{ sync_key_identity(column_name) }}", "{{ column_name }}"
    ),
    Mutant(f"{GENERIC}valid_sync_keys.sql", "count(*) > 1", "count(*) > 2"),
    Mutant(
        f"{GENERIC}valid_sync_keys.sql",
        "{{ strip_blanks(sync_key_identity(column_name)) }} = ''",
        "false",
    ),
    Mutant(
        f"{GENERIC}valid_sync_keys.sql", "    or {{ sync_key_identity(column_name) }} is null\n", ""
    ),
    Mutant(f"{GENERIC}one_row_per.sql", "count(*) > 1", "count(*) > 2"),
    Mutant(f"{GENERIC}one_row_per.sql", "or {{ column }} is null", "or false"),
    Mutant(f"{GENERIC}one_row_per.sql", "end) < count(*)", "end) < 0"),
    # Before and after a run
    Mutant(CHECK_VARS, '"[A-Za-z0-9_-]+", text', '".+", text'),
    Mutant(CHECK_VARS, '"[A-Za-z0-9_]+", text', '".+", text'),
    Mutant(CHECK_VARS, "){2}", "){0,2}"),
    Mutant(CHECK_VARS, "kind[-1] | int <= value", "0 <= value"),
    Mutant(CHECK_VARS, "1 <= value", "0 <= value", after='kind == "count or null"'),
    Mutant(CHECK_VARS, "0 <= value <= 36500", "value <= 36500"),
    Mutant(CHECK_VARS, "<= 36500", "<= 365000"),
    Mutant(CHECK_VARS, 'value in ["date", "timestamp"]', "value is string"),
    Mutant(CHECK_VARS, "is_right = value is boolean", "is_right = value is not none"),
    Mutant(CHECK_VARS, "0 <= value <= 1 ", "0 <= value "),
    Mutant(CHECK_VARS, "0 <= value <= 1 ", "value <= 1 "),
    Mutant(CHECK_VARS, "https://[", "https?://["),
    Mutant(CHECK_VARS, '"[A-Za-z0-9 .@_+-]+"', '".+"'),
    Mutant(CHECK_VARS, '                and value | reject("string") | list | length == 0\n', ""),
    Mutant(CHECK_VARS, "if given not in known", "if false"),
    Mutant(CHECK_VARS, '"dev_schema"] + own_vars', '"dev_schema"]'),
    Mutant(CHECK_VARS, ' and var("own_vars") is not string', ""),
    Mutant(CHECK_VARS, "score > best.score", "score < best.score"),
    Mutant(CHECK_VARS, '(var("salesforce_freshness_table") is none) !=', "false and"),
    Mutant(CHECK_VARS, '"allow_mass_create", "allow_new_field"]', '"allow_mass_create"]'),
    Mutant(CHECK_VARS, "if var(override) and", "if false and"),
    Mutant(CHECK_VARS, "year % 100 != 0", "true"),
    Mutant(CHECK_VARS, "year % 400 == 0", "false"),
    Mutant(CHECK_VARS, "year > 0 and", "true and"),
    Mutant(SCHEMA_NAME, "not in var", "in var"),
    Mutant(SCHEMA_NAME, 'var("production_schema") | lower', 'var("production_schema")'),
    Mutant(SCHEMA_NAME, "if schema | lower in", "if schema in"),
    Mutant(SCHEMA_NAME, ', production_schema ~ "_staging"]', "]"),
    Mutant(SCHEMA_NAME, " and node.config.meta.rows", ""),
    Mutant(CHECK_SOURCES, ', "updated_at": "time"}', "}"),
    Mutant(CHECK_SOURCES, ', "bigint"]', "]"),
    Mutant(CHECK_SOURCES, "table.database not in visible", "false"),
    Mutant(CHECK_SOURCES, "not found[table | string]", "false"),
    Mutant(CHECK_SOURCES, "if column in optional else", "if false else"),
    Mutant(CHECK_SOURCES, "not in types[kind]", "in []"),
    Mutant(CHECK_SOURCES, '["build", "run", "test"]', '["build", "run"]'),
    Mutant(CHECK_SOURCES, 'column.endswith("_enabled")', '"_enabled" in column'),
    Mutant(CHECK_SOURCES, "column[:-8] not in prefixes", "column[:-8] in prefixes"),
    Mutant(SEED, 'flags.WHICH != "seed"', "false"),
    Mutant(SEED, "if columns != model", "if columns == model"),
    Mutant(SEED, " if model.config.meta.rows else none", ""),
    Mutant(SEED, "if found != model.config.meta.rows", "if found > model.config.meta.rows"),
    Mutant(RUN_END, '"error", "skipped"', '"error"'),
    Mutant(RUN_END, '"error", "skipped"', '"skipped"'),
    Mutant(RUN_END, "not facts or facts.is_tripped", "not facts"),
    Mutant(RUN_END, '["warn", "error"]', '["error"]'),
    Mutant(
        RUN_END,
        'var("sync_max_rows") or facts.records_to_update | int',
        "facts.records_to_update | int",
    ),
    Mutant(RUN_END, '== "fail"', '== "error"'),
    # What is run by hand
    Mutant(FIND, "in found %}", "not in found %}"),
    Mutant(FIND, "if loaded_at and loaded_at | lower in columns", "if loaded_at"),
    Mutant(FIND, "if catalog != configured", "if catalog == configured"),
    Mutant(FIND, "{% if not found %}", "{% if found %}"),
    Mutant(GRANTS, 'if table.database == "hive', 'if table.database != "hive'),
    Mutant(GRANTS, "in grants | unique", "in grants"),
    Mutant(GRANTS, '"[A-Za-z0-9 .@_+-]+"', '".+"'),
    Mutant(CONFIG, "field == sync.sync_key", "loop.first"),
    Mutant(CONFIG, '"sync_null_values": true', '"sync_null_values": false'),
    Mutant(CONFIG, "validate_only=true", "validate_only=false"),
    Mutant(CONFIG, "(destination_connection_id is none) ==", "false and"),
    Mutant(CONFIG, "or id < 1", "or id < 0"),
    Mutant(CONFIG, "[a-z0-9]+(_[a-z0-9]+)*", ".+"),
    Mutant(SIMULATED, "records.records_with_key > 1", "false"),
    Mutant(SIMULATED, "sent.rows_with_key > 1", "false"),
    Mutant(SIMULATED, '{{ clean_id("reverse_etl_id_c") }}', "reverse_etl_id_c"),
    Mutant(SIMULATED, '            where not {{ is_deleted("records.") }}\n', ""),
    Mutant(SIMULATED, "where outcome = 'created'", "where true"),
    Mutant(SIMULATED, "relation != relations[2] or", "false or"),
)


def changed(mutant: Mutant, folder: Path) -> str:
    """Return the text of the file with the change; ValueError when nothing would change."""
    text = (folder / mutant.file).read_text()
    before, after, rest = text.partition(mutant.after) if mutant.after else ("", "", text)
    if mutant.old not in rest:
        raise ValueError(f"{mutant.old!r} is not in {mutant.file} any more: correct the mutant")
    return before + after + rest.replace(mutant.old, mutant.new, 1)


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
        shutil.copytree(seeded, folder, symlinks=True)
        (folder / mutant.file).write_text(changed(mutant, seeded))
        starts = [start for start in FIRST if mutant.file.startswith(start)]
        if not starts and run(folder, "dbt", "build", "--fail-fast", *INCIDENT).returncode:
            return failed_in_dbt(folder / "target" / "run_results.json")
        first = " ".join(FIRST[start] for start in starts).split()
        tests = sorted(TESTS, key=lambda test: test not in first)
        result = run(
            folder,
            *PYTEST,
            *(str(next(Path("tests/python").glob(f"*/test_{test}.py"))) for test in tests),
        )
        if result.returncode == 0:
            return None
        failed = re.search(r"^(?:SUB)?(?:FAILED|ERROR).* (tests/\S+)", result.stdout, re.M)
        return f"pytest {failed[1] if failed else 'cannot run: ' + result.stdout[-300:]}"


def failed_in_dbt(run_results: Path) -> str:
    """Name a test that failed in `dbt build`, or else a node with an error."""
    if not run_results.exists():
        return "dbt, which cannot compile it"
    failed = [
        (result["status"], result["unique_id"].split(".", 2)[2])
        for result in json.loads(run_results.read_text())["results"]
        if result["status"] in ("fail", "error")
    ]
    return " ".join(min(failed, key=lambda one: one[0] != "fail"))


def main(words: list[str]) -> int:
    """Run the mutants that have a word in their file or change; all without words."""
    chosen = [m for m in MUTANTS if not words or any(word in " ".join(m) for word in words)]
    with TemporaryDirectory() as place:
        seeded = Path(place, "seeded")
        subprocess.run(["git", "clone", "--quiet", ROOT, seeded], check=True)
        for mutant in MUTANTS:
            changed(mutant, seeded)
        (seeded / ".venv").symlink_to(ROOT / ".venv")
        shutil.copy(ROOT / "profiles.yml", seeded)
        shutil.copytree(ROOT / "dbt_packages", seeded / "dbt_packages")
        if (seed := run(seeded, "dbt", "seed", *INCIDENT)).returncode:
            print(seed.stdout)
            return 1
        (seeded / "target" / "run_results.json").unlink()
        outcomes: Counter[str] = Counter()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            killers = pool.map(lambda mutant: killer(mutant, seeded), chosen)
            for mutant, by in zip(chosen, killers, strict=True):
                change = f"{mutant.old.strip()} → {mutant.new.strip() or 'nothing'}"
                fate = "SURVIVED" if by is None else "killed  "
                print(f"{fate}  {mutant.file}: {change}  [{by or ''}]", flush=True)
                outcomes["survived" if by is None else by.split()[0]] += 1
    print(f"{len(chosen)} mutants:", ", ".join(f"{n} {by}" for by, n in outcomes.most_common()))
    return 1 if outcomes["survived"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
