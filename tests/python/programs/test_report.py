"""The report: it says what the marts say, on both engines, and everyone can use it."""

import contextlib
import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import report as program
from conftest import (
    INCIDENT,
    SOURCE_TABLES,
    Engine,
    Project,
    run_program,
    simulate_sync,
)
from dbt_reader import Stop
from report import ALL, Adoption, Facts, Finding, Rejections, Report, Run, Source, Summary
from report import Sync as SyncRow
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium_axe_python import Axe

MARTS = "crm.sfdc_dbx"
NOW = datetime(2025, 11, 22, 12, 0, tzinfo=UTC)
DAY = date(2025, 11, 21)
NASTY = "<script>alert('&\"$x$')</script>"
LONG = "Verification_of_" + "a_very_long_name_" * 20


def run(hour: float, properties: int, mismatched: int, **more: object) -> Run:
    """Return a run, so many hours after the first one."""
    usual = {"is_guard_tripped": False, "is_rise": False, "minutes_to_zero": None}
    return Run(NOW + timedelta(hours=hour - 2), properties, mismatched, **usual | more)


FACTS = Facts(
    built_at=NOW - timedelta(hours=1),
    as_of_date=DAY,
    asked_day=None,
    salesforce_url="https://example.my.salesforce.com",
    records_to_update=5,
    properties_to_create=1,
    is_tripped=False,
    verdict="The guard is open.",
)
FRESH = [
    Source("Salesforce replica", NOW - timedelta(hours=7), 24),
    Source("Features table", NOW, 72, 168),
]
# Everything that a page can show, with names as nobody wants them.
FULL = Report(
    read_at=NOW,
    facts=FACTS,
    summary=[
        Summary("all", ALL, 20, 3, 2, 1, 7),
        Summary("as_of_date", ALL, 5, 3, 0, 0, 3),
        Summary("before", ALL, 15, 0, 2, 1, 4),
        *(
            Summary("all", product, 20, 3, 2, 1, 7)
            for product in (NASTY, LONG, "ＩＤ確認", *(f"Product {number}" for number in range(5)))
        ),
    ],
    wrong_by_day={
        None: Counter({ALL: 1, LONG: 1}),
        **{DAY - timedelta(days=9 * n): Counter({ALL: n, NASTY: n, LONG: 1}) for n in range(1, 20)},
    },
    wrong_by_age={"8 to 30 days": Counter({ALL: 7, NASTY: 7, LONG: 7}), "Unknown": Counter()},
    created={DAY - timedelta(days=9 * n): 2_000 for n in range(1, 20)},
    runs=[
        run(0, 20, 0),
        run(1, 0, 0, is_guard_tripped=True),
        run(2, 20, 7, is_rise=True),
    ],
    adoption=[Adoption(NASTY, 19, 0.95, 1, 2, 3), Adoption(LONG, 0, 0.0, 0, 0, 0)],
    findings=[
        Finding("exceptions", "blank_sync_key", f"Fill {NASTY}.", 60, 2, 'a"/<b>', NASTY, None),
        Finding("exceptions", "blank_sync_key", f"Fill {NASTY}.", 60, 2, "a02", None, None),
        Finding("exceptions", "sync_key_taken", "Correct it.", 1, 0, None, LONG, "123"),
        Finding("issues", "no_feature_row", "Add it.", 1, 0, "a03", NASTY, "4"),
    ],
    syncs=[
        SyncRow(NASTY, "https://example.com/?a=1&b=2", "product_property_feature_sync", 7, 5),
        SyncRow("No link", f"javascript:{NASTY}", LONG, 1, None),
    ],
    sources=[
        Source("Salesforce replica", NOW - timedelta(hours=70), 24),
        Source("Features table", None, 72, 168),
    ],
    mismatch_rows=4_670,
    rejections=Rejections(60, [(NASTY, 59, 2), (LONG, 1, 0)], 60, [("a04", NASTY, LONG, NASTY)]),
)
# Nothing is wrong and nothing needs attention.
GOOD = replace(
    FULL,
    facts=replace(FACTS, records_to_update=0, properties_to_create=0),
    summary=[Summary("all", product, 20, 0, 0, 0, 0) for product in (ALL, "Fraud Detection")],
    wrong_by_day={},
    wrong_by_age={},
    findings=[],
    sources=FRESH,
    mismatch_rows=0,
    rejections=None,
)


def page_of(report: Report) -> str:
    """Return the page of a report."""
    return program.render(report, "page_mismatches.csv")


def write_report(engine: Engine, page: Path, *more: str) -> int:
    """Run the program for a built project and return its exit code."""
    return run_program(program, engine, "--output", str(page), *more)


def text_of(html: str) -> str:
    """Return what a piece of the page says."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def element(page: str, name: str) -> str:
    """Return the HTML of the element with an id, with its children."""
    return re.search(rf'<(\w+)[^>]* id="{name}".*?</\1>', page, re.S)[0]


def said(page: str, *names: str) -> list[str]:
    """Return what the elements with these ids say."""
    return [text_of(element(page, name)) for name in names]


def table(page: str, name: str) -> list[list[str]]:
    """Return the cells of a table's body."""
    body = element(page, name).partition("<tbody>")[2]
    return [
        [text_of(cell[1]) for cell in re.finditer(r"<t[hd]\b.*?>(.*?)</t[hd]>", row, re.S)]
        for row in body.split("</tr>")[:-1]
    ]


def count(engine: Engine, relation: str) -> str:
    """Return how many rows a relation has, as the page writes it."""
    return f"{engine.query(f'select count(*) from {relation}')[0][0]:,}"


def check_mismatches(page: str, engine: Engine) -> None:
    """Compare the mismatches by product, by day and by age with the marts."""
    kinds = ("missing_in_salesforce", "left_on_in_salesforce", "never_set_in_salesforce")
    counts = ", ".join(f"count(case when mismatch_kind = '{kind}' then 1 end)" for kind in kinds)
    products = engine.query(
        f"select product, {counts}, count(*) from {MARTS}.feature_mismatches "
        "group by product order by count(*) desc, product"
    )
    assert table(page, "mismatch-table") == [
        [
            product,
            ", ".join(
                f"{n:,} {kind}" for n, kind in zip(by_kind, program.KINDS, strict=False) if n
            ),
            f"{total:,}",
        ]
        for product, *by_kind, total in products
    ]
    days = dict(
        engine.query(
            "select cast(created_at as date), count(distinct salesforce_id) "
            f"from {MARTS}.feature_mismatches group by cast(created_at as date)"
        )
    )
    shown = table(page, "day-table")
    assert [int(row[2].split()[0].replace(",", "")) for row in shown] == sorted(
        days.values(), reverse=True
    )[: program.MOST_DAYS]
    assert all(f"{days[datetime.strptime(row[0], '%d %B %Y').date()]:,}" in row[2] for row in shown)
    others = [int(row[2].replace(",", "")) for row in table(page, "month-table")]
    assert sum(others) == sum(sorted(days.values(), reverse=True)[program.MOST_DAYS :])
    ages = (
        "floor((unix_timestamp(timestamp '2025-11-22 00:00:00') - unix_timestamp(since)) / 86400)"
        if not isinstance(engine, Project)
        else "floor(date_diff('second', since, timestamp '2025-11-22 00:00:00') / 86400.0)"
    )
    rows = engine.query(
        f"select {ages} from (select min(mismatched_since_at) as since "
        f"from {MARTS}.feature_mismatches group by salesforce_id) as properties"
    )
    by_age = Counter(
        next(age for age, limit in program.AGES.items() if days < limit) for (days,) in rows
    )
    assert {row[0]: row[2] for row in table(page, "age-table")} == {
        age: f"{by_age[age]:,}" for age in by_age
    }


# --- Without a browser ------------------------------------------------------------------------


def test_the_page_says_what_the_marts_say(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    html = tmp_path / "new folder" / "a page#1.html"
    assert write_report(engine, html) == 0
    page = html.read_text(encoding="utf-8")
    headline = "Salesforce is wrong about 2,815 of 17,102 properties"
    assert text_of(re.search("<h1>.*?</h1>", page)[0]) == headline
    assert capsys.readouterr().out.endswith(f"a page#1.html: {headline}\n")
    assert said(page, "state") == ["■ To be repaired"]
    assert "A sync repairs all of them. 1,226 were created on 21 November 2025, the other" in page
    assert "For 21 November 2025, as of the build of" in page
    check_mismatches(page, engine)
    assert table(page, "day-table")[0] == [
        "21 November 2025",
        "Fraud Detection 1,226, Income Verification 1,176, ID Verification 7, "
        "Connected Payroll 5, Bank Linking 4",
        "1,226 of 1,296",
    ]
    tiles = {
        "cannot-be-synced": "product_property_sync_exceptions",
        "to-create": "product_property_create",
        "matching-issues": "feature_matching_issues",
    }
    for tile, mart in tiles.items():
        assert said(page, tile) == [count(engine, f"{MARTS}.{mart}")]
    assert said(page, "wrong", "guard-state") == ["2,815", "Open"]
    assert "No feature row: 10 records" in text_of(element(page, "issue-list"))
    assert element(page, "issue-list").count("<li>") == program.MOST_EXAMPLES
    syncs = {sync.split()[-1]: cells for sync, *cells in table(page, "sync-table")}
    wrong = {"sync": "2,815", "recent": "1,249", "backfill": "1,226", "create": "all new"}
    assert {relation.rpartition("_")[2]: cells[1] for relation, cells in syncs.items()} == wrong
    for relation, cells in syncs.items():
        assert cells[0] == count(engine, f"{MARTS}.{relation}")
    fresh = text_of(page[page.index('id="freshness"') : page.index('class="tiles"')])
    assert "22 November 2025, 00:20 UTC" in fresh
    assert "21 November 2025, 21:38 UTC" in fresh
    assert re.search(r"Last build (less than a minute|\d+ minutes?) old, ● fresh", fresh)
    assert len(page) < 60_000
    names = engine.query(f"select property_name from {MARTS}.feature_mismatches limit 100")
    figures = page.replace(element(page, "issue-list"), "")
    assert not [name for (name,) in names if len(name) > 12 and name in figures]
    assert "prop_" not in page

    assert 'href="./a%20page%231_mismatches.csv"' in page
    assert f"{count(engine, f'{MARTS}.feature_mismatches')} rows." in page
    with (html.parent / "a page#1_mismatches.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    columns = ("salesforce_id", "product", "property_name", "mismatch_kind", "is_enabled")
    expected = engine.query(f"select {', '.join(columns)} from {MARTS}.feature_mismatches")
    assert sorted(tuple(row[column] for column in columns) for row in rows) == sorted(
        (*texts, str(is_enabled).lower()) for *texts, is_enabled in expected
    )
    assert sorted(path.name for path in html.parent.iterdir()) == [
        "a page#1.html",
        "a page#1_mismatches.csv",
    ]


def test_the_page_after_the_sync_and_when_the_guard_trips(loop: Project, tmp_path: Path) -> None:
    salesforce = SOURCE_TABLES["product_property_c"]
    some = f"select id from {salesforce} where not is_deleted and fraud_detection_enabled_c"
    for change in (
        f"reverse_etl_id_c = null where id in ({some} order by id limit 7)",
        f"snappt_property_id_c = null where id in ({some} order by id desc limit 3)",
    ):
        loop.query(f"update {salesforce} set {change}")
    assert simulate_sync(loop, "relation: product_property_feature_sync"), loop.output
    select = ("--select", "+feature_accuracy_history", "product_property_sync_exceptions")
    assert loop.dbt("run", *select, *INCIDENT).success, loop.output
    html = tmp_path / "page.html"
    without_age = ("--vars", "{as_of_date: 2025-11-21, salesforce_loaded_at_column: none}")
    assert write_report(loop, html, *without_age) == 0
    page = html.read_text(encoding="utf-8")
    assert said(page, "state") == ["▲ Attention"]
    assert "Salesforce replica ○ unknown old after 24 hours Features table" in text_of(page)
    wrong = loop.query(f"select count(distinct salesforce_id) from {MARTS}.feature_mismatches")[0][
        0
    ]
    assert wrong >= 3
    assert f"Salesforce is wrong about {wrong} of 17,102 properties" in page
    assert "No sync can repair this" in page
    exceptions = text_of(page[page.index('id="exception-list"') : page.index('id="issues"')])
    assert "Blank property id: 3 records, 3 wrong Fill in snappt_property_id_c" in exceptions
    assert "Blank sync key: 7 records," in exceptions
    assert "Sync key taken: 3 new properties" in exceptions
    assert said(page, "to-create", "cannot-be-synced") == ["350", "13"]
    history = table(page, "history-table")
    assert [row[1] for row in history] == [str(wrong), "2,815"]

    tripped = "is_tripped = true, has_too_few_feature_rows = true, feature_rows = 0"
    loop.query(f"update {MARTS}.feature_sync_guard set {tripped}")
    assert write_report(loop, html, *without_age) == 0
    page = html.read_text(encoding="utf-8")
    assert said(page, "state", "guard-state") == ["■ Stopped", "Tripped"]
    assert "Nothing reaches Census: the guard is tripped" in page
    assert 'class="lead">The guard is tripped and nothing is offered to Census: 0 feature' in page
    assert page.count("The guard is tripped and nothing") == 1
    assert text_of(page).count("Not reliable while the guard is tripped") == 4 + 5
    assert [row[1] for row in table(page, "sync-table") if "backfill" not in row[0]] == ["0"] * 3


def test_what_the_data_holds_is_never_markup() -> None:
    page = page_of(FULL)
    policy = """content="default-src 'none'; style-src 'unsafe-inline'">"""
    assert f'<meta http-equiv="Content-Security-Policy" {policy}' in page
    assert "<script" not in page
    assert 'href="javascript' not in page
    assert unescape(page).count(NASTY) >= 12
    assert not re.findall(r"(?:src|srcset|action|xmlns)=|@import|url\(", page)
    assert set(re.findall(r"https?://[^\s\"<]+", page)) == {
        "https://example.com/?a=1&amp;b=2",
        "https://example.my.salesforce.com/a%22%2F%3Cb%3E",
        *(f"https://example.my.salesforce.com/a0{number}" for number in (2, 3, 4)),
    }
    assert "example.my.salesforce.com" not in page_of(
        replace(FULL, facts=replace(FACTS, salesforce_url=None))
    )


@pytest.mark.parametrize(
    ("report", "words"),
    {
        "in order": (GOOD, ["● In order Salesforce is right about all 20 properties"]),
        "old replica": (
            replace(GOOD, sources=FULL.sources),
            [
                "▲ Attention Nothing to repair in 20 properties, but 1 thing needs attention",
                "somebody should look at this: Salesforce replica: 2 days old",
                "Features table ○ unknown",
            ],
        ),
        "too old": (
            replace(GOOD, sources=[Source("Features table", NOW - timedelta(days=8), 72, 168)]),
            ["▲ Attention", "8 days old, ■ too old", "too old after 168 hours"],
        ),
        "old build": (
            replace(GOOD, facts=replace(GOOD.facts, built_at=NOW - timedelta(hours=25))),
            ["▲ Attention", "Last build: 25 hours old"],
        ),
        "exceptions": (
            replace(GOOD, findings=FULL.exceptions),
            [
                "▲ Attention",
                "61 records cannot be synced",
                "And 58 more.",
                "60 records, 2 wrong",
                "1 new property",
                "cannot be synced, 0 of them wrong 61 ▲ Attention",
            ],
        ),
        "issues": (replace(GOOD, findings=FULL.issues), ["▲ Attention", "1 matching issue"]),
        "new properties": (
            replace(GOOD, facts=replace(GOOD.facts, properties_to_create=350)),
            [
                "▲ Attention",
                "350 properties to be created",
                "to be created in Salesforce 350 ▲ Attention",
            ],
        ),
        "two things": (
            replace(GOOD, findings=FULL.issues, sources=FULL.sources),
            ["but 2 things need attention"],
        ),
        "only exceptions are wrong": (
            replace(FULL, facts=replace(FACTS, records_to_update=0)),
            [
                "▲ Attention Salesforce is wrong about 7 of 20",
                "No sync can repair this",
                "cannot be synced, 7 of them wrong 61 ▲",
            ],
        ),
        "to be repaired": (
            FULL,
            [
                "■ To be repaired Salesforce is wrong about 7 of 20 properties",
                "A sync repairs 5 of them, and 2 cannot be synced. 3 were created on 21 November "
                "2025, the other 4 on other days.",
                "The other 10 days, by month",
                "Unknown",
                "4,670 rows",
                "65.0 %",
                "A cross:",
                "properties wrong, of 20 7 ■ To be repaired",
                "Never set off, and empty in Salesforce",
            ],
        ),
        "the guard": (
            replace(FULL, facts=replace(FACTS, is_tripped=True, verdict="0 of 0.")),
            [
                "■ Stopped Nothing reaches Census: the guard is tripped 0 of 0. For 21 November",
                "properties wrong, of 20 7 ▲ Not reliable while the guard is tripped",
                "the guard Tripped ■ Stopped",
                "Nothing is offered while the guard is tripped.",
            ],
        ),
        "no property": (
            replace(GOOD, summary=[Summary("all", ALL, 0, 0, 0, 0, 0)], adoption=[]),
            ["Salesforce holds no property that can be compared."],
        ),
        "one run": (replace(GOOD, runs=FULL.runs[-1:]), ["65.0 %"]),
        "no run": (replace(GOOD, runs=[]), ["No run has been measured yet."]),
        "only tripped runs": (replace(GOOD, runs=[FULL.runs[1]] * 2), ["unknown"]),
        "no sync": (replace(GOOD, syncs=[]), ["No exposure describes a sync."]),
        "nearly all": (
            replace(GOOD, runs=[run(2, 1_000_000, 1)]),
            ["99.9 %"],
        ),
        "healed": (
            replace(FULL, runs=[run(2, 20, 7, is_rise=True, minutes_to_zero=150)]),
            ["was 0 again after 2 hours."],
        ),
        "dates": (
            replace(FULL, summary=[*FULL.summary[:3], Summary("all", "Fraud", 20, 0, 0, 0, 4)]),
            ["4 only dates", "Only dates the flag is right, and one of its dates is not"],
        ),
        "rejected": (
            FULL,
            [
                "60 records did not reach Salesforce. Of the 7 properties that are wrong, 60 are",
                f"{NASTY} 59 2",
                "And 59 more.",
            ],
        ),
        "nothing rejected": (
            replace(GOOD, rejections=Rejections(0, [], 0, [])),
            ["0 records did not reach Salesforce."],
        ),
    }.values(),
)
def test_the_page_is_right_at_the_edges(report: Report, words: list[str]) -> None:
    text = text_of(page_of(report))
    assert not [sentence for sentence in words if sentence not in text]
    assert "nan" not in text.lower().split()
    assert ("right about all" in text) == (report.state == program.IN_ORDER)
    assert ("Rejected by Salesforce" in text) == bool(report.rejections)
    assert text.count("Not reliable while the guard is tripped") == 9 * report.facts.is_tripped


@pytest.mark.parametrize(
    ("report", "styles"),
    [
        (FULL, ["bad", "warn", "warn", "warn", "good"]),
        (GOOD, ["good"] * 5),
        (replace(FULL, facts=replace(FACTS, is_tripped=True)), ["warn"] * 4 + ["bad"]),
        (replace(FULL, facts=replace(FACTS, records_to_update=0)), ["warn"] * 4 + ["good"]),
    ],
)
def test_each_tile_has_the_colour_of_its_state(report: Report, styles: list[str]) -> None:
    assert re.findall(r'<div class="(\w+)"><dt>', page_of(report)) == styles


def test_of_many_reasons_the_most_frequent_are_listed() -> None:
    reasons = [(f"reason {number}", 1, 0) for number in range(25)]
    page = page_of(replace(FULL, rejections=Rejections(25, reasons, 0, [])))
    assert len(table(page, "reason-table")) == program.MOST_REASONS
    assert "And 5 more reasons, with 5 records." in text_of(page)


def test_a_long_history_is_thinned_and_hides_nothing_bad() -> None:
    runs = [
        run(n, 1000, 400 if n == 777 else n % 2, is_guard_tripped=n == 1500) for n in range(2000)
    ]
    report = replace(FULL, runs=runs)
    page = page_of(report)
    assert len(report.points) <= program.MOST_POINTS
    assert "2,000 runs. Each point is the worst of 21" in text_of(page)
    shown = table(page, "history-table")
    assert [row for row in shown if row[3] == "60.0 %"]
    assert [row for row in shown if row[3] == "unknown"]
    assert report.points[-1] == runs[-1]
    assert len(page) < 100_000


@pytest.mark.parametrize(
    ("hours", "is_by_time", "places"),
    [
        ([0, 1, 3, 4], True, [0, 25, 75, 100]),
        ([0, 24, 24.01, 100], False, [0, 100 / 3, 200 / 3, 100]),
        ([0, 0, 0], True, [100, 100, 100]),
        ([0, 5], False, [0, 100]),
        ([0], False, [100]),
    ],
)
def test_runs_close_together_are_drawn_in_equal_steps(
    hours: list[float], is_by_time: bool, places: list[float]
) -> None:
    runs = [run(hour, 10, 5) for hour in hours]
    course = program.course(runs)
    assert course.is_by_time == is_by_time
    assert [x for x, _ in course.places] == pytest.approx(places)
    assert course.floor == 0.45


def test_freshness_is_judged_by_its_limits() -> None:
    ages = {0: "fresh", 24: "fresh", 24.1: "old", 48: "old", 48.1: "too old", None: "unknown"}
    for age, word in ages.items():
        newest = None if age is None else NOW - timedelta(hours=age)
        assert Source("Salesforce replica", newest, 24, 48).state(NOW).word == word
    assert Source("Salesforce replica", NOW - timedelta(days=99), 24).state(NOW).word == "old"
    words = {0: "less than a minute", 1: "1 minute", 119: "119 minutes", 120: "2 hours"}
    words |= {2879: "47 hours", 2880: "2 days"}
    assert {age: program.duration(age) for age in words} == words


def test_an_age_is_that_at_the_end_of_the_day_or_at_the_build() -> None:
    ages = {"Unknown": None, "Less than a day": 23, "1 to 7 days": 24, "8 to 30 days": 8 * 24}
    ages["More than 30 days"] = 31 * 24
    for built_at, end in ((NOW, datetime(2025, 11, 22)), (NOW - timedelta(days=1),) * 2):
        rows = [
            {
                "salesforce_id": age,
                "product": product,
                "created_at": None,
                "mismatched_since_at": hours and end.replace(tzinfo=UTC) - timedelta(hours=hours),
            }
            for age, hours in ages.items()
            for product in ("Fraud Detection", "Bank Linking")
        ]
        by_day, by_age = program.count_wrong(rows, replace(FACTS, built_at=built_at))
        assert {age: group[ALL] for age, group in by_age.items()} == dict.fromkeys(ages, 1)
        assert by_day == {None: Counter({ALL: 5, "Fraud Detection": 5, "Bank Linking": 5})}


# --- Without a warehouse ----------------------------------------------------------------------

MISMATCH = {
    "salesforce_id": "a01",
    "reverse_etl_id_c": "key 1",
    "property_name": 'Oak, "Elm"\nHouse',
    "product": "Fraud Detection",
    "created_at": datetime(2025, 11, 21, 1, 2, 3, 4000),
    "mismatched_since_at": None,
    "is_enabled": True,
}
BUILT = {
    name: value for name, value in vars(FACTS).items() if name not in ("is_tripped", "verdict")
}
REJECTED = {"key": "key 1", "status": "rejected", "message": "Locked."}


def run_with(
    monkeypatch: pytest.MonkeyPatch, page: Path, *arguments: str, **answers: list[dict[str, Any]]
) -> int:
    """Run the program with these answers of the warehouse, by the name of the query."""
    rows = {
        program.GUARD: [{"is_tripped": False, "verdict": "Open."}],
        program.FACTS: [[BUILT]],
        program.SUMMARY: [vars(summary) for summary in FULL.summary],
        program.MISMATCHES: [MISMATCH],
    } | {getattr(program, name): answer for name, answer in answers.items()}

    def read(query: str) -> Sequence[dict[str, Any]]:
        answer = rows.get(query, [])
        if query == program.FACTS:  # one answer for each time that it is read
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer

    monkeypatch.setattr(program, "open_warehouse", lambda _: contextlib.nullcontext(read))
    return program.main(["--output", str(page), *arguments])


def test_the_csv_is_readable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run_with(monkeypatch, tmp_path / "page.html") == 0
    assert (tmp_path / "page_mismatches.csv").read_bytes().decode() == (
        "salesforce_id,reverse_etl_id_c,property_name,product,created_at,mismatched_since_at,"
        "is_enabled\r\n"
        'a01,key 1,"Oak, ""Elm""\nHouse",Fraud Detection,2025-11-21T01:02:03.004000Z,,true\r\n'
    )
    nothing = dict.fromkeys(MISMATCH)
    assert run_with(monkeypatch, tmp_path / "page.html", MISMATCHES=[nothing]) == 0
    assert (tmp_path / "page_mismatches.csv").read_text() == ",".join(MISMATCH) + "\n"
    assert "lists nothing: it has only a header." in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("code", "message", "facts"),
    [
        (
            1,
            "The last build is for 2025-11-21. Build 2025-11-20 first: "
            "dbt build --vars 'as_of_date: 2025-11-20'",
            [[BUILT | {"asked_day": "2025-11-20"}]],
        ),
        (2, "feature_sync_summary is empty: run dbt build.", [[]]),
        (
            2,
            "dbt build replaced the marts meanwhile: run this program again.",
            [[BUILT], [BUILT | {"built_at": NOW}]],
        ),
    ],
)
def test_a_build_that_is_not_the_right_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    code: int,
    message: str,
    facts: list,
) -> None:
    assert run_with(monkeypatch, tmp_path / "page.html", FACTS=facts) == code
    assert capsys.readouterr().err == f"{message}\n"
    assert not list(tmp_path.iterdir())


def test_the_day_that_was_built_may_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    facts = [[BUILT | {"asked_day": "2025-11-21"}]]
    assert run_with(monkeypatch, tmp_path / "page.html", FACTS=facts) == 0


@pytest.mark.parametrize("failing", ["disk is full", "page is a folder", "first page is a folder"])
def test_files_that_cannot_be_written_leave_the_older_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture, failing: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    page, table_file = tmp_path / "page.html", tmp_path / "page_mismatches.csv"
    if failing != "first page is a folder":
        table_file.write_text("older")
    if failing == "disk is full":
        page.write_text("older")
        monkeypatch.setattr(program, "write_csv", fails)
    else:
        page.mkdir()
    assert run_with(monkeypatch, page) == 1
    assert capsys.readouterr().err.endswith(": no report was written.\n")
    assert page.is_dir() or page.read_text() == "older"
    if failing == "first page is a folder":
        assert list(tmp_path.iterdir()) == [page]
    else:
        assert sorted(tmp_path.iterdir()) == [page, table_file]
        assert table_file.read_text() == "older"


def test_a_wrong_property_that_was_rejected_shows_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    others = [
        REJECTED | {"key": "key 2"},
        REJECTED | {"key": "key 3", "message": NASTY},
        REJECTED | {"key": "", "status": "invalid", "message": ""},
    ]
    file = tmp_path / "records.jsonl"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in [*others, REJECTED]))
    second = MISMATCH | {"product": "Bank Linking"}
    page = tmp_path / "page.html"
    assert run_with(monkeypatch, page, "--records", str(file), MISMATCHES=[MISMATCH, second]) == 0
    html = page.read_text(encoding="utf-8")
    assert table(html, "reason-table") == [
        ["Locked.", "2", "1"],
        [NASTY, "1", "0"],
        ["invalid: no message", "1", "0"],
    ]
    assert table(html, "rejected-table") == [
        ['Oak, "Elm" House, a01', "Fraud Detection, Bank Linking", "Locked."]
    ]
    assert "4 records did not reach Salesforce." in html


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no JSON",
        "[" * 100_000,
        "[]",
        "null",
        '{"key": "a", "status": "rejected"}',
        json.dumps(REJECTED | {"key": None}),
        json.dumps(REJECTED | {"message": 3}),
        json.dumps(REJECTED | {"status": None}),
        "\udcff",
    ],
)
def test_a_malformed_file_of_records_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "records.jsonl"
    text = f"{json.dumps(REJECTED)}\n{line}\n"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Stop, match=r"records.jsonl, line 2: expected a JSON object") as stop:
        program.read_rejections(file, [])
    assert stop.value.code == 2


def test_without_the_file_of_records_there_is_no_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    missing = tmp_path / "missing.jsonl"
    assert run_with(monkeypatch, tmp_path / "page.html", "--records", str(missing)) == 2
    error = f"{missing} cannot be read: No such file or directory.\n"
    assert capsys.readouterr().err == error
    assert not list(tmp_path.iterdir())


def test_many_records_are_counted_and_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    with file.open("w") as lines:
        for number in range(20_000):
            record = REJECTED | {"key": f"key {number}", "message": f"{number} " + "x" * 400}
            print(json.dumps(record), file=lines)
    rows = [MISMATCH | {"salesforce_id": str(n), "reverse_etl_id_c": f"key {n}"} for n in range(99)]
    rejections = program.read_rejections(file, rows)
    assert rejections.records == 20_000
    assert len(rejections.reasons) == program.KEPT_REASONS + 1
    assert rejections.reasons[0] == ("Other reasons", 19_000, 0)
    assert max(len(reason) for reason, _, _ in rejections.reasons) == 300
    assert (len(rejections.properties), rejections.wrong) == (program.MOST_REJECTED, 99)


def test_without_marts_the_program_says_what_to_do(
    empty_project: Project, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert write_report(empty_project, tmp_path / "page.html") == 2
    assert "dbt cannot read the warehouse. Has dbt build run?" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


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
    reports = {
        "full": FULL,
        "good": GOOD,
        "tripped": replace(FULL, facts=replace(FACTS, is_tripped=True, verdict="0 of 0.")),
    }
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


def requests(browser: Chrome) -> list[str]:
    """Return what pages have asked for since the last time."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each for each in messages if each["method"] == "Network.requestWillBeSent"]
    return [each["params"]["request"]["url"] for each in sent]


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        *(("full", width, scheme) for width in (390, 1280) for scheme in ("light", "dark")),
        ("tripped", 390, "dark"),
        ("tripped", 1280, "light"),
        ("good", 390, "light"),
        ("good", 1280, "dark"),
    ],
)
def test_everyone_can_read_the_page(
    browser: Chrome, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    show(browser, pages[name], width, scheme)
    colour = browser.execute_script("return getComputedStyle(document.body).color")
    assert (colour == "rgb(29, 33, 38)") == (scheme == "light")
    axe = Axe(browser)
    axe.inject()
    violations = axe.run()["violations"]
    assert not violations, axe.report(violations)


@pytest.mark.parametrize("width", [360, 390, 1100, 1280])
def test_no_figure_is_cut_off(browser: Chrome, pages: dict[str, Path], width: int) -> None:
    for page in pages.values():
        show(browser, page, width)
        assert browser.execute_script(
            "const edge = document.documentElement.clientWidth;"
            "const outside = [...document.querySelectorAll('body *:not(.skip)')].filter("
            "  e => e.getBoundingClientRect().right > edge + 0.5 || e.scrollWidth > edge);"
            "const counts = [...document.querySelectorAll('.count, .number, .history b')].filter("
            "  e => !e.closest('thead') && e.textContent && !e.checkVisibility());"
            "const narrow = [...document.querySelectorAll('caption, .bar')].filter("
            "  e => e.clientWidth < 100);"
            "return [document.documentElement.scrollWidth - edge, outside, counts, narrow]"
        ) == [0, [], [], []]
        columns = {
            round(section.rect["x"])
            for section in browser.find_elements(By.CSS_SELECTOR, "section:not(.across)")
        }
        assert len(columns) == (2 if width >= 1100 else 1)


def test_the_page_asks_the_network_for_nothing(browser: Chrome, pages: dict[str, Path]) -> None:
    requests(browser)
    show(browser, pages["full"])
    assert set(requests(browser)) == {pages["full"].as_uri()}
    assert browser.get_log("browser") == []


def test_the_keyboard_reaches_everything(browser: Chrome, pages: dict[str, Path]) -> None:
    show(browser, pages["full"])
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = false)")
    active = browser.switch_to.active_element
    active.send_keys(Keys.TAB)
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
        "The other 10 days, by month",
        "page_mismatches.csv",
        NASTY,
        'a"/<b>',
        "a02",
        "a03",
        "Accuracy as a table",
    ]
    assert not browser.find_elements(By.TAG_NAME, "script")


def test_paper_is_light_and_keeps_each_figure_whole(
    browser: Chrome, pages: dict[str, Path]
) -> None:
    show(browser, pages["full"], scheme="dark")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    style = browser.execute_script(
        "return [getComputedStyle(document.body).backgroundColor,"
        "getComputedStyle(document.querySelector('.history')).breakInside,"
        "getComputedStyle(document.querySelector('details')).display]"
    )
    assert style == ["rgb(255, 255, 255)", "avoid", "none"]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen"})
