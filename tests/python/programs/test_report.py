"""The report: it says what the marts say, on both engines, and everyone can use it."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from html import unescape
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import export_feature_backfill
import pytest
import report as program
import yaml
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt_reader import GUARD, Stop, rows_of
from engines import INCIDENT, Engine, Project, create_table, run_program, simulate_sync
from mapping import PRODUCTS
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium_axe_python import Axe
from source_tables import SOURCE_TABLES

MARTS = "crm.sfdc_dbx"
Report = dict[str, Any]
Run = Callable[..., int]

# Everything that a page can show, with names as nobody wants them.
FULL = yaml.safe_load("""
nasty: &nasty "<script>alert('&\\"$x$')</script>"
long: &long Verification_of_a_very_long_name_a_very_long_name_a_very_long_name_a_very_long_name
guard: &guard
  {is_tripped: false, verdict: The guard is open., built_at: &now 2025-11-22T12:00:00Z,
  is_too_old: false, max_age_hours: 26, asked_day: "", salesforce_url: "https://example.my.salesforce.com"}
build: &build
  {as_of_date: 2025-11-21, built_at: *now, properties: 20, mismatched: 7, mismatched_exceptions: 2,
  records_to_update: 5, mismatched_on_the_day: 3, mismatched_on_other_days: 4, exceptions: 61,
  issues: 1, properties_to_create: 1}
mismatches_by_product:
  - &kinds {product: *nasty, missing_in_salesforce: 3, left_on_in_salesforce: 2,
      never_set_in_salesforce: 1, dates_differ: 1, mismatched: 7}
  - {<<: *kinds, product: *long}
mismatches_by_day:
  - &day {is_day: true, created_on: 2025-11-21, mismatched: 7, properties: 2000, fraud: 7, iv: 1,
      idv: 0, idv_only: 0, payroll_linking: 0, bank_linking: 0, vor: 0}
  - {<<: *day, is_day: false, created_on: 2025-10, mismatched: 1, properties: 9}
mismatches_by_age: [{<<: *day, mismatched_for: 8 to 30 days}]
records_to_look_at:
  - &finding {mart: exceptions, reason: blank_sync_key, records: 60, mismatched: 2,
      what_to_do: *nasty, salesforce_id: 'a"/<b>', property_name: *nasty,
      snappt_property_id_c: "4", is_new_property: false}
  - {<<: *finding, salesforce_id: a02, property_name: null}
  - {<<: *finding, reason: sync_key_taken, salesforce_id: null, is_new_property: true, records: 1}
  - {<<: *finding, mart: issues, salesforce_id: a03}
offered_to_census:
  - {label: *nasty, url: "https://example.com/?a=1&b=2", relation: sync, offered: 7, mismatched: 5}
  - {label: No link, url: "javascript:alert()", relation: *long, offered: 1, mismatched: 0}
source_ages:
  - &old {title: Salesforce replica, freshness: old, minutes_old: 4200, newest_at: *now,
      warn_after: 1440, error_after: null, is_ahead: false}
  - {<<: *old, title: Features table, freshness: unknown, newest_at: null, error_after: 10080}
accuracy_by_day:
  - &run {measured_at: *now, properties: 20, mismatched: 0, share_right: 1.0}
  - {<<: *run, share_right: null}
  - {<<: *run, measured_at: 2025-11-23T12:00:00Z, share_right: 0.65}
last_rise: [{rose_at: *now, mismatched: 7, minutes_to_zero: null}]
adoption:
  - &adoption {product: *nasty, properties_on: 19, share_of_properties: 0.95, newly_on_7_days: 1,
      newly_on_30_days: 2, newly_on_90_days: 3}
  - {<<: *adoption, product: *long}
mismatch_rows: 4670
rejections:
  records: 60
  wrong: 60
  reasons: [[*nasty, 59, 2], [*long, 1, 0]]
  other_reasons: 5
  properties: [[[{salesforce_id: a04, property_name: *nasty, product: *long}], *nasty]]
read_at: *now
""")
NASTY, GUARD_ROW, BUILD = FULL.pop("nasty"), FULL["guard"], FULL["build"]
NOTHING = {name: 0 if type(value) is int else value for name, value in BUILD.items()}
# Nothing is wrong and nothing needs attention.
GOOD = FULL | {
    **{name: [] for name in program.ANALYSES if name.startswith(("mismatches", "records"))},
    "build": NOTHING | {"properties": 20},
    "source_ages": [FULL["source_ages"][0] | {"freshness": "fresh"}],
    "mismatch_rows": 0,
    "rejections": None,
}
TRIPPED = FULL | {"guard": GUARD_ROW | {"is_tripped": True, "verdict": "0 of 0."}}


def page_of(report: Report) -> str:
    """Return the page of a report."""
    return program.render(report, "page_mismatches.csv")[0]


def text_of(html: str) -> str:
    """Return what a piece of the page says."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def said(page: str, *names: str) -> list[str]:
    """Return what the elements with these ids say."""
    return [
        text_of(re.search(rf'<(\w+)[^>]* id="{name}".*?</\1>', page, re.S)[0]) for name in names
    ]


def table(page: str, name: str) -> list[list[str]]:
    """Return the cells of a table's body."""
    body = page.partition(f'id="{name}"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [text_of(cell[1]) for cell in re.finditer(r"<t[hd]\b.*?>(.*?)</t[hd]>", row, re.S)]
        for row in body.split("</tr>")[:-1]
    ]


def shown(engine: Engine, analysis: str, variables: str = INCIDENT[1]) -> list[Report]:
    """Return the rows of an analysis."""
    command = ("show", "--select", analysis, "--limit", "-1", "--vars", variables)
    result = engine.dbt(*command)
    assert result.success, (result.exception, engine.output)
    return rows_of(result.result.results[0].agate_table)


# --- What the queries find --------------------------------------------------------------------


def test_the_page_the_csv_and_the_terminal_say_what_the_marts_say(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    html = tmp_path / "new folder" / "a page#1.html"
    assert run_program(program, engine, "--output", str(html)) == 0
    page = html.read_text(encoding="utf-8")
    headline = "Salesforce is wrong about 2,815 of 17,102 properties"
    assert text_of(re.search("<h1>.*?</h1>", page)[0]) == headline
    assert capsys.readouterr().out.endswith(f"a page#1.html: {headline}\n")
    assert said(page, "state", "wrong", "guard-state") == ["■ To be repaired", "2,815", "Open"]
    assert said(page, "cannot-be-synced", "to-create", "matching-issues") == ["0", "350", "10"]
    assert "A sync repairs all of them. 1,226 were created on 21 November 2025, the other" in page
    assert table(page, "mismatch-table")[2] == [
        "IDV Only Mode",
        "14 missing, 50 left on, 48 never set",
        "112",
    ]
    days, months = table(page, "day-table"), table(page, "month-table")
    assert days[0] == [
        "2025-11-21",
        "Fraud Detection 1,226, Income Verification 1,176, ID Verification 7, "
        "Connected Payroll 5, Bank Linking 4",
        "1,226 of 1,296",
    ]
    assert [day[0] for day in days[4:]] == [  # five each, the newest first
        "2025-11-17",
        "2025-11-14",
        "2025-09-15",
        "2025-09-01",
        "2025-05-19",
        "2025-04-03",
    ]
    wrong, of = zip(*(row[2].replace(",", "").split(" of ") for row in days + months), strict=True)
    assert (sum(map(int, wrong)), sum(map(int, of))) == (2815, 17102)
    assert months[0][::2] == ["2025-11", "23 of 422"]
    ages = {row[0]: row[2] for row in table(page, "age-table")}
    assert list(ages.items()) == [
        ("the same day", "1,229"),
        ("1 to 7 days", "33"),
        ("8 to 30 days", "89"),
        ("more than 30 days", "1,464"),
    ]
    assert "No feature row: 10 records" in page
    assert page.count('class="example"') == 5
    assert {name.split("_")[-1]: cells for name, *cells in table(page, "sync-table")} == {
        "sync": ["2,815", "2,815"],
        "recent": ["1,716", "1,249"],
        "backfill": ["1,296", "1,226"],
        "create": ["350", "all new"],
    }
    assert "22 November 2025, 00:20 UTC . Old after 24 hours." in text_of(page)
    assert "21 November 2025, 21:38 UTC . Old after 3 days." in text_of(page)

    names = engine.query(f"select property_name, salesforce_id from {MARTS}.feature_mismatches")
    without_examples = re.sub('<p class="example">.*', "", page)
    assert not [name for name, _ in names if len(name) > 12 and name in without_examples]
    assert 'href="./a%20page%231_mismatches.csv"' in page
    assert f"{len(names):,} rows." in text_of(page)
    with (html.parent / "a page#1_mismatches.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert Counter(row["salesforce_id"] for row in rows) == Counter(each for _, each in names)
    assert len(list(html.parent.iterdir())) == 2

    assert engine.dbt("run-operation", "show_mismatches_by_day", *INCIDENT).success, engine.output
    lines = re.findall(r"^\| (\d{4}-\S+|the same day|\S+ .*days) +\| +(\d+) ", engine.output, re.M)
    assert lines == [
        *((day, wrong.split()[0].replace(",", "")) for day, _, wrong in days),
        *((age, wrong.replace(",", "")) for age, wrong in ages.items()),
    ]
    other_day = ("show_mismatches_by_day", "--vars", "as_of_date: 2025-11-20")
    assert not engine.dbt("run-operation", *other_day).success
    assert "The marts are about 2025-11-21, not 2025-11-20. Run dbt build" in engine.output


def test_the_page_after_the_sync_and_when_nothing_is_offered(loop: Project, tmp_path: Path) -> None:
    salesforce, guard = SOURCE_TABLES["product_property_c"], f"{MARTS}.feature_sync_guard"
    some = f"(select id from {salesforce} where fraud_detection_enabled_c order by id limit 7)"
    loop.query(f"update {salesforce} set reverse_etl_id_c = null where id in {some}")
    assert simulate_sync(loop, "relation: product_property_feature_sync"), loop.output
    select = ("--select", "+feature_accuracy_history", "product_property_sync_exceptions")
    assert loop.dbt("run", *select, *INCIDENT).success, loop.output

    def page_now() -> str:
        assert run_program(program, loop, "--output", str(tmp_path / "page.html")) == 0
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    page = page_now()
    assert "Blank sync key: 7 records" in page
    assert [row[2] for row in table(page, "history-table")] == ["17,102"] * 2
    assert table(page, "history-table")[1][1] == "2,815"
    loop.query(f"update {guard} set built_at = timestamp '2025-11-20'")
    page = page_now()
    assert said(page, "state") == ["■ Stopped"]
    assert "older than guard_max_age_hours (26): run dbt build." in page
    loop.query(f"update {guard} set is_tripped = true")
    page = page_now()
    assert said(page, "state", "guard-state") == ["■ Stopped", "Tripped"]
    assert 'class="lead">The guard is tripped and nothing is offered to Census' in page
    assert [row[1] for row in table(page, "sync-table") if "backfill" not in row[0]] == ["0"] * 3


def test_odd_times_and_empty_tables_are_named(engine: Engine) -> None:
    """DATE columns, the year 20225, infinity and tomorrow beside a good time, and no row at all."""
    features, replica = (
        SOURCE_TABLES[name] for name in ("product_property_w_features", "product_property_c")
    )
    times = ["date '2025-11-20'", "current_date + interval '2' day", "null"]
    if isinstance(engine, Project):
        times += ["date '20225-01-01'", "'infinity'::date", "'-infinity'::date"]
    changed = [f"cast(null as date) as {p.source_prefix}_updated_at" for p in PRODUCTS[1:]]
    others = [f"features.{name}" for p in PRODUCTS for name in p.feature_columns[:2]]
    odd = [f"select cast({time} as date) as fraud_updated_at" for time in times]
    create_table(
        engine,
        "crm.odd.product_property_w_features",
        f"select property_id, {', '.join(others + changed)}, odd.fraud_updated_at from (select *"
        f" from {features} limit 1) as features cross join ({' union all '.join(odd)}) as odd",
    )
    create_table(engine, "crm.odd.product_property_c", f"select * from {replica} where 1 = 0")
    variables = "{features_schema: odd, salesforce_catalog: crm, salesforce_schema: odd}"
    ages = shown(engine, "source_ages", variables)
    assert {
        row["title"]: (row["freshness"], row["newest_at"], row["is_ahead"]) for row in ages
    } == {
        "Features table": ("old", datetime(2025, 11, 20, tzinfo=UTC), True),
        "Salesforce replica": ("empty", None, None),
        "Last build": ("fresh", ages[1]["newest_at"], False),
    }


def test_the_history_shows_the_worst_build_of_each_day_and_the_last(loop: Project) -> None:
    history = f"{MARTS}.feature_accuracy_history"
    # Twice a day for 100 days: one wrong, then none; once 400 wrong, and once a tripped guard.
    loop.query(f"""
        delete from {history};
        insert into {history}
            (run_id, measured_at, product, properties, mismatched, is_guard_tripped)
        select 'run ' || n, timestamp '2026-01-01' + interval (12 * n) hour, 'All products', 1000,
            case when n = 51 then 400 else (n + 1) % 2 end, n = 101
        from range(200) as builds(n)
    """)
    builds = shown(loop, "accuracy_by_day")
    assert builds == sorted(builds, key=itemgetter("measured_at"))
    assert Counter(build["share_right"] for build in builds) == {0.999: 88, 0.6: 1, None: 1, 1: 1}
    assert builds[-1]["share_right"] == 1


# --- What the page says -----------------------------------------------------------------------


def test_what_the_data_holds_is_never_markup() -> None:
    page = page_of(FULL)
    policy = """content="default-src 'none'; style-src 'unsafe-inline'">"""
    assert f'<meta http-equiv="Content-Security-Policy" {policy}' in page
    assert unescape(page).count(NASTY) >= 12
    assert not re.findall(r"<script|(?:src|srcset|action|xmlns)=|@import|url\(|\"javascript", page)
    assert set(re.findall(r"https?://[^\s\"<]+", page)) == {
        "https://example.com/?a=1&amp;b=2",
        "https://example.my.salesforce.com/a%22%2F%3Cb%3E",
        *(f"https://example.my.salesforce.com/a0{number}" for number in (2, 3, 4)),
    }
    without = page_of(FULL | {"guard": GUARD_ROW | {"salesforce_url": ""}})
    assert "example.my.salesforce.com" not in without


def with_build(report: Report, **changed: object) -> Report:
    """Return the report with other figures of the build."""
    return report | {"build": report["build"] | changed}


EDGES = {
    "● In order Salesforce is right about all 20 properties": GOOD,
    "▲ Attention Nothing to repair in 20 properties, but 1 thing needs attention": GOOD
    | {"source_ages": FULL["source_ages"]},
    "Salesforce replica: 2 days old": GOOD | {"source_ages": FULL["source_ages"]},
    "Features table ○ unknown Old after 24 hours. Too old after 7 days.": FULL,
    "Salesforce replica: the table is empty Salesforce replica: a time lies in the future": GOOD
    | {"source_ages": [FULL["source_ages"][0] | {"freshness": "empty", "is_ahead": True}]},
    "▲ Attention Salesforce is wrong about 7 of 20 properties No sync can repair this: the records "
    "cannot be synced.": with_build(FULL, records_to_update=0),
    "■ To be repaired Salesforce is wrong about 7 of 20 properties A sync repairs 5 of them; 2 "
    "cannot be synced. 3 were created on 21 November 2025, the other 4 on other days.": FULL,
    "Blank sync key: 60 records, 2 wrong": FULL,
    "Sync key taken: 1 new property": FULL,
    "differs: 4,670 rows": FULL,
    "lists nothing: it has only a header": GOOD,
    "65.0 % 100 % 60 % 23 Nov 2025": FULL | {"accuracy_by_day": FULL["accuracy_by_day"][-1:]},
    "A cross: the guard was tripped": FULL,
    "1 only dates": FULL,
    "60 records did not reach Salesforce. Of the 7 properties that are wrong, 60 are": FULL,
    "And 5 more reasons.": FULL,
    "1 of 60.": FULL,
    "has not been 0 since": FULL,
    "350 properties to be created": with_build(GOOD, properties_to_create=350),
    "■ Stopped Nothing reaches Census: the guard is tripped 0 of 0. For 21 November": TRIPPED,
    "properties wrong, of 20 7 ▲ Not reliable while the guard is tripped": TRIPPED,
    "Salesforce holds no property that can be compared.": with_build(GOOD, properties=0),
    "No build has been measured yet.": GOOD | {"accuracy_by_day": []},
    "was 0 again after 2 hours.": GOOD
    | {"last_rise": [FULL["last_rise"][0] | {"minutes_to_zero": 150}]},
}


@pytest.mark.parametrize(("words", "report"), EDGES.items())
def test_the_page_is_right_at_the_edges(words: str, report: Report) -> None:
    text = text_of(page_of(report))
    assert words in text
    assert not {"nan", "None"} & set(text.split())
    assert text.count("Not reliable while the guard is tripped") == (9 if report is TRIPPED else 0)


def test_figures_are_never_rounded_up_and_a_line_breaks_where_nothing_is_known() -> None:
    shares = {1: "100.0 %", 0.9999: "99.9 %", 0.0001: "below 0.1 %", 0: "0.0 %", None: "unknown"}
    assert {share: program.percent(share) for share in shares} == shares
    words = {0: "less than a minute", 1: "1 minute", 119: "119 minutes", 120: "2 hours"}
    words |= {2879: "47 hours", 2880: "2 days"}
    assert {minutes: program.duration(minutes) for minutes in words} == words
    history = program.sparkline([1, None, 0.5])
    assert (history.floor, history.path) == (0.45, "M0.00 0.00H50.00M100.00 90.91")
    assert history.points[:2] == [(0, 0), (50, None)]
    assert program.sparkline([1]).points == [(100, 0)]


# --- Without a warehouse ----------------------------------------------------------------------

MISMATCH = {
    "reverse_etl_id_c": "key 1",
    "salesforce_id": "a01",
    "property_name": 'Oak, "Elm"\nHouse',
    "product": "Fraud Detection",
    "created_at": datetime(2025, 11, 21, 1, 2, 3, 4000, tzinfo=UTC),
    "mismatched_since_at": None,
    "is_enabled": True,
}
REJECTED = {"key": "key 1", "status": "rejected", "message": "Locked."}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a function that runs the program with other rows than those of FULL."""

    def run_with(*arguments: str, guards: tuple[Report, ...] = (), **others: list[Report]) -> int:
        rows = FULL | {"last_build": [BUILD], program.ADOPTION: [], program.LAST_RISE: []} | others
        rows[program.MISMATCHES] = others.get("MISMATCHES", [MISMATCH])
        guard = iter(guards or (GUARD_ROW,) * 2)

        def show(how: str, *what: str) -> dict[str, SimpleNamespace]:
            found = {name: [next(guard)] if name == GUARD else rows[name] for name in what}
            return {
                name: SimpleNamespace(rows=some, column_names=list(some[0]) if some else [])
                for name, some in found.items()
            }

        monkeypatch.setattr(program, "open_warehouse", lambda _: nullcontext(show))
        return program.main(["--output", str(tmp_path / "page.html"), *arguments])

    return run_with


def test_people_can_open_the_csv_in_excel(run: Run, tmp_path: Path) -> None:
    formulas = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]
    rows = [MISMATCH, *(MISMATCH | {"property_name": name} for name in formulas)]
    assert run(MISMATCHES=rows) == 0
    data = (tmp_path / "page_mismatches.csv").read_bytes()
    assert data.startswith(
        b"\xef\xbb\xbfreverse_etl_id_c,salesforce_id,property_name,product,created_at,"
        b"mismatched_since_at,is_enabled\r\n"
        b'key 1,a01,"Oak, ""Elm""\nHouse",Fraud Detection,2025-11-21T01:02:03.004000Z,,true\r\n'
    )
    _, _, *names = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    assert [row[2] for row in names] == [f"'{name}" for name in formulas]


def test_a_build_that_is_not_the_right_one_is_refused(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    asked, newer = GUARD_ROW | {"asked_day": "2025-11-20"}, GUARD_ROW | {"built_at": None}
    assert run(guards=(asked, asked)) == 1
    assert run(last_build=[BUILD | {"as_of_date": None}]) == 2
    assert run(guards=(GUARD_ROW, newer)) == 2
    assert capsys.readouterr().err.splitlines() == [
        "The last build is for 2025-11-21. Build 2025-11-20 first: "
        "dbt build --vars 'as_of_date: 2025-11-20'",
        "feature_sync_summary is empty: run dbt build.",
        "dbt build replaced the marts meanwhile: run this program again.",
    ]
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_written_leaves_the_older_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    page = tmp_path / "page.html"
    page.write_text("older")
    monkeypatch.setattr(program, "write_csv", fails)
    assert run() == 1
    assert capsys.readouterr().err.endswith(": no report was written.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert page.read_text() == "older"


def test_a_wrong_property_that_was_rejected_shows_its_reason(run: Run, tmp_path: Path) -> None:
    records = [
        REJECTED | {"key": "key 2"},
        REJECTED | {"key": "key 3", "message": NASTY},
        REJECTED | {"key": "", "status": "invalid", "message": ""},
        REJECTED,
    ]
    file = tmp_path / "records.jsonl"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    rows = [MISMATCH, MISMATCH | {"product": "Bank Linking"}]
    assert run("--records", str(file), MISMATCHES=rows) == 0
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    reasons = [["Locked.", "2", "1"], [NASTY, "1", "0"], ["invalid: no message", "1", "0"]]
    assert table(html, "reason-table") == reasons
    wrong = ['Oak, "Elm" House, a01', "Fraud Detection, Bank Linking", "Locked."]
    assert table(html, "rejected-table") == [wrong]
    assert "4 records did not reach Salesforce." in html


def test_a_malformed_file_of_records_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    malformed = ["", "no JSON", "[" * 100_000, "[]", '{"key": "a"}', "\udcff"]
    for line in malformed + [json.dumps(REJECTED | {name: None}) for name in REJECTED]:
        text = f"{json.dumps(REJECTED)}\n{line}\n"
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(Stop, match=r"records.jsonl, line 2: expected a JSON object") as stop:
            program.read_rejections(file, [])
        assert stop.value.code == 2
    with pytest.raises(Stop, match=r"missing.jsonl cannot be read: No such file or directory"):
        program.read_rejections(tmp_path / "missing.jsonl", [])


def sentence(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture, *more: str) -> str:
    """Return the one sentence of each program, the same for both, when dbt cannot read."""
    found = set()
    for reader, option in ((program, "--output"), (export_feature_backfill, "--output-dir")):
        DuckDBConnectionManager.close_all_connections()
        assert run_program(reader, project, option, str(tmp_path / "output"), *more) == 2
        found.add(capsys.readouterr().err)
    assert not (tmp_path / "output").exists()
    (line,) = found
    assert line.count("\n") == 1
    return line


def test_whatever_dbt_throws_is_one_sentence(
    incident: Project, empty_project: Project, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    tests = (tmp_path, capsys)
    assert "Has dbt build run?" in sentence(empty_project, *tests)
    assert "cp profiles.yml.example" in sentence(incident, *tests, "--target", "nowhere")
    assert "There is no var nonsense." in sentence(incident, *tests, "--vars", "nonsense: 1")
    file = incident.path / "warehouse" / "crm.duckdb"
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, file], **pipes) as holder:
        holder.stdout.readline()
        line = sentence(incident, *tests)
        holder.communicate(b"\n")
    assert line.startswith("Another program has the warehouse file open: wait until it ends")
    assert f"(PID {holder.pid})" in line


# --- In a browser -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """Yield Debian's Chromium, which `make browser` installs."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium and driver, "chromium and chromedriver are needed: make browser"
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = Chrome(options, Service(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a page with everything that a page can show, and others, by name."""
    folder = tmp_path_factory.mktemp("pages")
    reports = {"full": FULL, "good": GOOD, "tripped": TRIPPED}
    for name, report in reports.items():
        (folder / f"{name}.html").write_text(page_of(report), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in reports}


def show(browser: Chrome, page: Path, width: int = 1280, scheme: str = "light") -> None:
    """Open a page at a width of so many pixels, in light or dark, with all details open."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_read_the_page_in_both_colour_schemes(
    browser: Chrome, pages: dict[str, Path], scheme: str
) -> None:
    for name, width in (("full", 390), ("full", 1280), ("tripped", 1280), ("good", 390)):
        show(browser, pages[name], width, scheme)
        colour = browser.execute_script("return getComputedStyle(document.body).color")
        assert (colour == "rgb(29, 33, 38)") == (scheme == "light")
        axe = Axe(browser)
        axe.inject()
        violations = axe.run()["violations"]
        assert not violations, axe.report(violations)


def test_no_figure_is_cut_off_on_a_phone(browser: Chrome, pages: dict[str, Path]) -> None:
    for width in (390, 1280):
        show(browser, pages["full"], width)
        assert browser.execute_script(
            "const edge = document.documentElement.clientWidth;"
            "const outside = [...document.querySelectorAll('body *:not(.skip)')].filter("
            "  e => e.getBoundingClientRect().right > edge + 0.5 || e.scrollWidth > edge);"
            "const counts = [...document.querySelectorAll('.count, .number, .history b')].filter("
            "  e => !e.closest('thead') && e.textContent && !e.checkVisibility());"
            "return [document.documentElement.scrollWidth - edge, outside, counts]"
        ) == [0, [], []]


def test_the_page_asks_the_network_for_nothing(browser: Chrome, pages: dict[str, Path]) -> None:
    browser.get_log("performance")
    show(browser, pages["full"])
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each for each in messages if each["method"] == "Network.requestWillBeSent"]
    assert {each["params"]["request"]["url"] for each in sent} == {pages["full"].as_uri()}
    assert browser.get_log("browser") == []


def test_the_page_needs_no_javascript(browser: Chrome, pages: dict[str, Path]) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(pages["full"].as_uri())
    details = browser.find_elements(By.TAG_NAME, "details")
    for summary in browser.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    is_open = [each.get_attribute("open") for each in details]
    text = browser.find_element(By.TAG_NAME, "body").text
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert is_open == ["true"] * 3
    assert all(figure in text for figure in ("7 of 2,000", "1 of 9", "65.0 %", "1 of 60."))


def test_the_keyboard_reaches_everything(browser: Chrome, pages: dict[str, Path]) -> None:
    show(browser, pages["full"])
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = false)")
    browser.switch_to.active_element.send_keys(Keys.TAB)
    skip = browser.switch_to.active_element
    assert skip.text == "Skip to the figures"
    assert skip.rect["y"] >= 0
    skip.send_keys(Keys.ENTER)
    reached = []
    while (active := browser.switch_to.active_element).tag_name != "body" and len(reached) < 30:
        if active.tag_name == "summary":
            active.send_keys(Keys.ENTER)
            assert active.find_element(By.XPATH, "..").get_attribute("open")
        reached.append(active.accessible_name)
        active.send_keys(Keys.TAB)
    assert reached[1:] == [
        "The properties that are wrong and were rejected",
        "a04",
        "The other days, by month",
        "page_mismatches.csv",
        NASTY,
        'a"/<b>',
        "a02",
        "a03",
        "Accuracy as a table",
    ]
