"""The report agrees with the marts on both engines, and everyone can use it."""

import csv
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from html import unescape
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import report as program
import yaml
from dbt_reader import Stop, rows_of
from engines import INCIDENT, Engine, Project, run_program, simulate_sync
from mapping import PRODUCTS
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium_axe_python import Axe
from source_tables import SOURCE_TABLES

MARTS = "crm.sfdc_dbx"
Report = dict[str, Any]

# Everything that a page can show, with names as nobody wants them.
FULL = yaml.safe_load("""
nasty: &nasty "<script>alert('&\\"$x$')</script>"
long: &long Verification_of_a_very_long_name_a_very_long_name_a_very_long_name_a_very_long_name
guard: {is_tripped: false, verdict: It is open., salesforce_url: "https://x.my.salesforce.com"}
build: {as_of_date: 2025-11-21, built_at: &now 2025-11-22T12:00:00Z, properties: 20, mismatched: 7,
  mismatched_exceptions: 2, records_to_update: 5, mismatched_on_the_day: 3,
  mismatched_on_other_days: 4, exceptions: 61, properties_to_create: 1}
mismatches_by_product:
  - &kinds {product: *nasty, missing_in_salesforce: 3, left_on_in_salesforce: 2,
      never_set_in_salesforce: 1, dates_differ: 1, mismatched: 7}
  - {<<: *kinds, product: *long}
mismatches_by_day:
  - &day {is_day: true, created_on: 2025-11-21, mismatched: 7, properties: 2000, fraud: 7, iv: 1}
  - {<<: *day, is_day: false, created_on: 2025-10, mismatched: 1, properties: 9}
mismatches_by_age: [{<<: *day, mismatched_for: 8 to 30 days}]
mismatches_by_cause:
  - {<<: *day, cause: changed_in_salesforce, first_seen_at: *now, last_modified_at: *now}
sync_exceptions:
  - &record {sync_exception: blank_sync_key, records: 60, mismatched: 2, what_to_do: *nasty,
      salesforce_id: 'a"/<b>', property_name: *nasty, is_new_property: false}
  - {<<: *record, salesforce_id: a02, property_name: null}
  - {<<: *record, sync_exception: sync_key_taken, salesforce_id: null, snappt_property_id_c: "4",
      is_new_property: true, records: 1}
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
repairs: {repaired: 9, median_minutes: 45, longest_minutes: 150, still_open: 2, open_since: *now}
adoption:
  - {product: *long, properties_on: 19, share_of_properties: 0.95, newly_on_7_days: 1,
      newly_on_30_days: 2, newly_on_90_days: 3}
mismatch_rows: 4670
rejections: {records: 60, wrong: 60, other_reasons: 5, reasons: [[*nasty, 59, 2], [*long, 1, 0]],
  properties: [[[{salesforce_id: a04, property_name: *nasty, product: *long}], *nasty]]}
read_at: *now
""")
NASTY = FULL.pop("nasty")
NONE_WRONG = {product.source_prefix: 0 for product in PRODUCTS}
for name in ("mismatches_by_day", "mismatches_by_age", "mismatches_by_cause"):
    FULL[name] = [NONE_WRONG | row for row in FULL[name]]
NOTHING = {name: 0 if type(value) is int else value for name, value in FULL["build"].items()}
# Nothing is wrong and nothing needs attention.
GOOD = FULL | {
    **{name: [] for name in FULL if name.startswith(("mismatches_by", "sync_exceptions"))},
    "build": NOTHING | {"properties": 20},
    "source_ages": [FULL["source_ages"][0] | {"freshness": "fresh"}],
    "mismatch_rows": 0,
    "rejections": None,
}
TRIPPED = FULL | {"guard": FULL["guard"] | {"is_tripped": True, "verdict": "0 of 0."}}


def page_of(report: Report) -> str:
    """Return the page of a report."""
    return program.render(report, "page_mismatches.csv")[0]


def text_of(html: str) -> str:
    """Return the text of a piece of the page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def table(page: str, name: str) -> list[list[str]]:
    """Return the cells of a table's body."""
    body = page.partition(f'id="{name}"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [text_of(cell[1]) for cell in re.finditer(r"<t[hd]\b.*?>(.*?)</t[hd]>", row, re.S)]
        for row in body.split("</tr>")[:-1]
    ]


def rows_of_analyses(project: Project, *names: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that analyses show, by name."""
    shown = project.dbt("show", "--select", *names, "--limit", "-1", *INCIDENT)
    assert shown.success, project.output
    return {each.node.name: rows_of(each.agate_table) for each in shown.result.results}


def missing(text: str, facts: str) -> list[str]:
    """Return the facts, one a line, that a text does not hold."""
    return [fact for fact in facts.strip().splitlines() if fact not in text]


def test_the_page_the_csv_and_the_terminal_say_what_the_marts_say(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    html = tmp_path / "new folder" / "a page#1.html"
    assert run_program(program, engine, "--output", str(html)) == 0
    assert "a page#1.html: Salesforce is wrong about 2,815 of" in capsys.readouterr().out
    page = html.read_text(encoding="utf-8")
    facts = """
■ To be repaired Salesforce is wrong about 2,815 of 17,102 properties A sync repairs all of them.
1,226 were created on 21 November 2025, the other 1,589 on other days.
350 properties to be created in Salesforce For 21 November 2025, as of the build of
22 November 2025, 00:20 UTC . Old after 24 hours.
21 November 2025, 21:38 UTC . Old after 3 days.
cannot be synced 0 ● In order to be created in Salesforce 350 ▲ Attention the guard Open ● In order
IDV Only Mode 14 missing, 50 left on, 48 never set 112
ID Verification 7, Connected Payroll 5, Bank Linking 4 1,226 of 1,296 2025-11-20
Created in Wrong products Wrong 2025-11 Fraud Detection 7, Income Verification 13,
Verification of Rent 26 1,425 Created after the product's last change Fraud Detection 1,216,
ID Verification 6, Connected Payroll 5, Bank Linking 5 1,235 Unknown
0 differences were repaired; 4,661 are open, the oldest since the build of
product_property_feature_sync 2,815 2,815
product_property_feature_recent 1,716 1,249
product_property_feature_backfill 1,296 1,226
product_property_create 350 all new
lists every record and product that differs: 4,661 rows.
"""
    assert missing(text_of(page), facts) == []
    days, months = table(page, "day-table"), table(page, "month-table")
    wrong, of = zip(*(row[2].replace(",", "").split(" of ") for row in days + months), strict=True)
    assert (sum(map(int, wrong)), sum(map(int, of))) == (2815, 17102)
    assert 'href="./a%20page%231_mismatches.csv"' in page
    with (html.parent / "a page#1_mismatches.csv").open(encoding="utf-8-sig", newline="") as file:
        names = [row["property_name"] for row in csv.DictReader(file, strict=True)]
    assert len(names) == 4661
    assert not [name for name in names if len(name) > 12 and name in page]

    assert engine.dbt("run-operation", "show_mismatches_by_day", *INCIDENT).success, engine.output
    lines = dict(re.findall(r"^\| ([0-9a-z].*?) +\| +(\d+) ", engine.output, re.M))
    labels = [label for label, *_ in days + table(page, "age-table")]
    assert list(lines) == [*labels, "source_changed", "created_without", "unknown"]
    assert lines["2025-11-21"] == "1226"
    assert list(lines.values())[10:] == ["1229", "33", "89", "1464", "1425", "1235", "267"]
    assert labels[4:10] == sorted(labels[4:10], reverse=True)  # five each, the newest first
    if not isinstance(engine, Project):
        assert engine.dbt("run-operation", "show_feature_sync_summary", *INCIDENT).success
        assert re.search(r"\ball\b.* All products .*17,?102 .*2,?815", engine.output)
        return
    other_day = ("--vars", "as_of_date: 2025-11-20")
    assert not engine.dbt("run-operation", "show_mismatches_by_day", *other_day).success
    assert "The marts are about 2025-11-21, not 2025-11-20. Run dbt build" in engine.output
    assert run_program(program, engine, "--output", str(html), *other_day) == 1
    assert "The last build is for 2025-11-21. Build 2025-11-20 first:" in capsys.readouterr().err
    assert html.read_text(encoding="utf-8") == page


def test_the_page_after_a_sync_and_an_edit_and_when_nothing_is_offered(
    loop: Project, tmp_path: Path
) -> None:
    salesforce = SOURCE_TABLES["product_property_c"]
    page, file = tmp_path / "p.html", tmp_path / "rejected.jsonl"
    are_on = f"select id, reverse_etl_id_c from {salesforce} where fraud_detection_enabled_c"
    keys = dict(loop.query(f"{are_on} order by id limit 47"))
    blanked, edited = tuple(keys)[:7], tuple(keys)[7:]
    records = [("key 2", "Locked."), ("", NASTY), ("key 3", ""), (keys[edited[0]], "Locked.")]
    rejected = [{"key": key, "status": "rejected", "message": why} for key, why in records]
    file.write_text("\n".join(map(json.dumps, rejected)))

    assert simulate_sync(loop, "relation: product_property_feature_sync"), loop.output
    build = ("--select", "+feature_mismatch_log", "product_property_sync_exceptions", *INCIDENT)
    assert loop.dbt("run", *build).success, loop.output
    names = """(['=1', '+1', '-1', '@A', '\t=1', '\r=1', 'Oak, "Elm"'])[1 + rowid % 7]"""
    edit = f"fraud_detection_enabled_c = false, last_modified_date = now(), name = {names}"
    loop.query(f"update {salesforce} set reverse_etl_id_c = null where id in {blanked}")
    loop.query(f"update {salesforce} set {edit} where id in {edited}")
    assert loop.dbt("run", *build).success, loop.output
    assert run_program(program, loop, "--output", str(page), "--records", str(file)) == 0
    html = page.read_text(encoding="utf-8")
    facts = """
Blank sync key: 7 records
40 properties were right at an earlier build and edited in Salesforce since, last on
Cause Wrong products Wrong Edited in Salesforce Fraud Detection 40 40
4 records did not reach Salesforce, among them 1 of the 40 properties that are wrong.
"""
    assert missing(text_of(html), facts) == []
    assert "None/" not in html  # no links to Salesforce, whose address is not configured
    assert [row[1:3] for row in table(html, "history-table")][-1] == ["2,815", "17,102"]
    assert re.search(r"4,\d\d\d differences were repaired, half of them within .* all within", html)
    reasons = [["Locked.", "2", "1"], [NASTY, "1", "0"], ["no message", "1", "0"]]
    assert table(html, "reason-table") == reasons
    assert table(html, "rejected-table")[0][1:] == ["Fraud Detection", "Locked."]
    data = (tmp_path / "p_mismatches.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfsnappt_property_id_c,reverse_etl_id_c,salesforce_id,")
    rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    shown = {"'=1", "'+1", "'-1", "'@A", "'\t=1", "'\r=1", 'Oak, "Elm"'}
    assert {row["property_name"] for row in rows} == shown

    loop.query(f"update {MARTS}.feature_sync_guard set built_at = timestamp '2025-11-20'")
    found = rows_of_analyses(loop, "verdict", "offered_to_census")
    assert found["verdict"][0]["is_tripped"]
    assert found["verdict"][0]["verdict"].startswith("The last build began at 2025-11-20 00:00 UTC")
    offered = {row["relation"]: row["offered"] for row in found["offered_to_census"]}
    assert offered.pop("product_property_feature_backfill") == 1296
    assert set(offered.values()) == {0}


def test_odd_times_an_empty_table_and_a_long_history(loop: Project) -> None:
    """Shows the worst build of each day and the last; ignores infinity and future times."""
    times = "'2025-11-20', (now() + interval '2' day)::text, null, '20225-01-01', '-infinity'"
    *others, last = (product.feature_columns[2] for product in PRODUCTS)
    history = f"{MARTS}.feature_accuracy_history"
    # Twice a day for 100 days: one wrong, then none; once 400 wrong, and once a tripped guard.
    loop.query(f"""
        update {SOURCE_TABLES["product_property_w_features"]}
            set {" = null, ".join(others)} = null, {last} = ([{times}])[1 + rowid % 5]::timestamp;
        delete from {SOURCE_TABLES["product_property_c"]};
        delete from {history};
        insert into {history}
            (run_id, measured_at, product, properties, mismatched, is_guard_tripped)
        select 'run ' || n, timestamp '2026-01-01' + interval (12 * n) hour, 'All products', 1000,
            case when n = 51 then 400 else (n + 1) % 2 end, n = 101
        from range(200) as builds(n)
    """)
    found = rows_of_analyses(loop, "accuracy_by_day", "source_ages")
    builds = found["accuracy_by_day"]
    assert Counter(build["share_right"] for build in builds) == {0.999: 88, 0.6: 1, None: 1, 1: 1}
    assert builds[-1]["share_right"] == 1
    replica, _, features = found["source_ages"]
    assert (replica["freshness"], features["freshness"]) == ("empty", "old")
    assert (f"{features['newest_at']:%F}", features["is_ahead"]) == ("2025-11-20", True)


def test_what_the_data_holds_is_never_markup() -> None:
    page = page_of(FULL)
    policy = """content="default-src 'none'; style-src 'unsafe-inline'">"""
    assert f'<meta http-equiv="Content-Security-Policy" {policy}' in page
    assert unescape(page).count(NASTY) == 9
    assert not re.findall(r"<script|(?:src|srcset|action|xmlns)=|@import|url\(|\"javascript", page)
    assert set(re.findall(r"https?://[^\s\"<]+", page)) == {
        "https://example.com/?a=1&amp;b=2",
        "https://x.my.salesforce.com/a%22%2F%3Cb%3E",
        "https://x.my.salesforce.com/a02",
        "https://x.my.salesforce.com/a04",
    }
    without = FULL | {"guard": FULL["guard"] | {"salesforce_url": ""}}
    assert "x.my.salesforce.com" not in page_of(without)


def test_the_page_is_right_at_the_edges() -> None:
    (old, _), (*_, run) = FULL["source_ages"], FULL["accuracy_by_day"]
    empty = GOOD | {"source_ages": [old | {"freshness": "empty", "is_ahead": True}]}
    empty |= {"accuracy_by_day": [], "build": NOTHING | {"properties_to_create": 350}}
    stuck = FULL | {"build": FULL["build"] | {"records_to_update": 0}}
    facts = [
        (FULL, """■ To be repaired Salesforce is wrong about 7 of 20 properties A sync repairs 5 of
cannot be synced. 3 were created on 21 November 2025, the other 4 on other days.
Features table ○ unknown Old after 24 hours. Too old after 7 days.
60 records did not reach Salesforce, among them 60 of the 7 properties that are wrong.
And 5 more reasons. The properties that are wrong and were rejected 1 of 60.
1 only dates
Blank sync key: 60 records, 2 wrong
Sync key taken: 1 new property
were repaired, half of them within 45 minutes and all within 2 hours; 2 are open, the oldest since
A cross: the guard was tripped"""),
        (GOOD, """● In order Salesforce is right about all 20 properties
has only a header, because nothing differs"""),
        (TRIPPED, """■ Stopped Nothing is offered to Census 0 of 0. For 21 November
properties wrong, of 20 7 ▲ Not reliable while the guard is tripped"""),
        (GOOD | {"source_ages": [old], "accuracy_by_day": [run]}, """Salesforce replica: 2 days old
▲ Attention Nothing to repair in 20 properties, but 1 thing needs attention
65.0 % 100 % 60 % 23 Nov 2025"""),
        (empty, """Salesforce replica: the table is empty Salesforce replica: a time lies in
350 properties to be created
Salesforce holds no property that can be compared.
No build has been measured yet."""),
        (stuck, "7 of 20 properties No sync can repair this: the records cannot be synced."),
    ]  # fmt: skip
    for report, expected in facts:
        text = text_of(page_of(report))
        assert missing(text, expected) == []
        assert not {"nan", "None"} & set(text.split())
        assert text.count("Not reliable while the guard") == (7 if report is TRIPPED else 0)


def test_figures_are_never_rounded_up_and_a_line_breaks_where_nothing_is_known() -> None:
    shares = {1: "100.0 %", 0.9999: "99.9 %", 0.0001: "below 0.1 %", 0: "0.0 %", None: "unknown"}
    assert {share: program.percent(share) for share in shares} == shares
    words = {0: "less than a minute", 119: "119 minutes", 2879: "47 hours", 2880: "2 days"}
    assert {minutes: program.duration(minutes) for minutes in words} == words
    history = program.sparkline([1, None, 0.5])
    assert (history.floor, history.path) == (0.45, "M0.00 0.00H50.00M100.00 90.91")
    assert history.points[:2] == [(0, 0), (50, None)]
    assert program.sparkline([1]).points == [(100, 0)]


def test_a_page_of_two_builds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    guards = ({"asked_day": "", "built_at": build} for build in count())
    monkeypatch.setattr(program, "read", lambda *_: [[next(guards)], [FULL["build"]]])
    monkeypatch.setattr(program, "rows_of", lambda _: [{}])
    table = SimpleNamespace(rows=[])
    with pytest.raises(Stop, match="dbt build replaced the marts meanwhile"):
        program.read_report(lambda _, *names: dict.fromkeys(names, table), None)


def test_a_file_that_cannot_be_written_leaves_the_older_one(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("older")
    with pytest.raises(ZeroDivisionError):
        program.replace_file(tmp_path / "page.html", lambda _: 1 / 0, "utf-8")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


def test_a_malformed_file_of_records_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    malformed = ["", "no JSON", "[" * 100_000, "[]", '{"key": "a"}', "\udcff"]
    rejected = {"key": "key 1", "status": "rejected", "message": "Locked."}
    for line in malformed + [json.dumps(rejected | {name: None}) for name in rejected]:
        text = f"{json.dumps(rejected)}\n{line}\n"
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(Stop, match=r"records.jsonl, line 2: expected a JSON object") as stop:
            program.read_rejections(file, [])
        assert stop.value.code == 2
    with pytest.raises(Stop, match=r"missing.jsonl cannot be read: No such file or directory"):
        program.read_rejections(tmp_path / "missing.jsonl", [])


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


def show(
    browser: Chrome, folder: Path, report: Report = FULL, width: int = 1280, scheme: str = "light"
) -> str:
    """Open a page with all details open, at a width of so many pixels; return its address."""
    (folder / "page.html").write_text(page_of(report), encoding="utf-8")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get((folder / "page.html").as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    return browser.current_url


# It returns what sticks out on the right, and the figures that are hidden.
CUT_OFF = """
    const edge = document.documentElement.clientWidth;
    const outside = [...document.querySelectorAll('body *:not(.skip)')].filter(
      e => e.getBoundingClientRect().right > edge + 0.5 || e.scrollWidth > edge);
    const counts = [...document.querySelectorAll('.count, .number, .history b')].filter(
      e => !e.closest('thead') && e.textContent && !e.checkVisibility());
    return [document.documentElement.scrollWidth - edge, outside, counts]
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_read_the_page_in_both_colour_schemes_and_on_a_phone(
    browser: Chrome, tmp_path: Path, scheme: str
) -> None:
    for report, width in ((FULL, 390), (FULL, 1280), (TRIPPED, 1280), (GOOD, 390)):
        show(browser, tmp_path, report, width, scheme)
        colour = browser.execute_script("return getComputedStyle(document.body).color")
        assert (colour == "rgb(29, 33, 38)") == (scheme == "light")
        assert browser.execute_script(CUT_OFF) == [0, [], []]
        axe = Axe(browser)
        axe.inject()
        violations = axe.run()["violations"]
        assert not violations, axe.report(violations)


def test_the_page_asks_the_network_for_nothing(browser: Chrome, tmp_path: Path) -> None:
    browser.get_log("performance")
    url = show(browser, tmp_path)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each for each in messages if each["method"] == "Network.requestWillBeSent"]
    assert {each["params"]["request"]["url"] for each in sent} == {url}
    assert browser.get_log("browser") == []


def test_the_page_needs_no_javascript(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.refresh()
    details = browser.find_elements(By.TAG_NAME, "details")
    for summary in browser.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    is_open = [each.get_attribute("open") for each in details]
    text = browser.find_element(By.TAG_NAME, "body").text
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert is_open == ["true"] * 3
    assert all(figure in text for figure in ("7 of 2,000", "1 of 9", "65.0 %", "1 of 60."))


def test_the_keyboard_reaches_everything(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path)
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
    rejected = ["The properties that are wrong and were rejected", "a04"]
    links = ["page_mismatches.csv", NASTY, 'a"/<b>', "a02"]
    assert reached[1:] == [*rejected, "The other days, by month", *links, "Accuracy as a table"]
