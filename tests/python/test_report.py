"""The report: it says what the marts say, on both engines, and everyone can use it."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
import report as program
from conftest import (
    INCIDENT,
    SOURCE_TABLES,
    Engine,
    Project,
    one_reader,
    run_program,
    simulate_sync,
)
from report import Adoption, Guard, Report, Rise, Run, Source, Summary, Sync, SyncException
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium_axe_python import Axe

MARTS = "crm.sfdc_dbx"
NOW = datetime(2025, 11, 22, 12, 0, tzinfo=UTC)
NASTY = "<script>alert('&\"$x$')</script>"
LONG = "Verification_of_" + "a_very_long_name_" * 20
# All that can stand on a page, with names as nobody wants them.
FULL = Report(
    guard=Guard(is_tripped=False, verdict="The guard is open.", to_update=7, to_create=1),
    summary=[
        Summary(date(2025, 11, 21), "all", "All products", 20, 3, 2, 1, 7),
        Summary(date(2025, 11, 21), "as_of_date", "All products", 5, 3, 0, 0, 3),
        Summary(date(2025, 11, 21), "before", "All products", 15, 0, 2, 1, 4),
        *(
            Summary(date(2025, 11, 21), "all", product, 20, 3, 2, 1, 7)
            for product in (NASTY, LONG, "ＩＤ確認", *(f"Product {number}" for number in range(5)))
        ),
    ],
    runs=[
        Run(NOW - timedelta(hours=2), 20, 0, is_guard_tripped=False),
        Run(NOW - timedelta(hours=1), 0, 0, is_guard_tripped=True),
        Run(NOW, 20, 7, is_guard_tripped=False),
    ],
    rises=[Rise(NOW, 7, None)],
    adoption=[
        Adoption(NASTY, 19, 0.95, 1, 2, 3),
        Adoption(LONG, 0, 0.0, 0, 0, 0),
    ],
    exceptions=[
        SyncException("a01", NASTY, "blank_sync_key", f"Fill {NASTY}.", 60),
        *(SyncException(f"a{n}", LONG, "duplicate_sync_key", "Merge.", 60) for n in range(49)),
    ],
    syncs=[
        Sync(NASTY, "https://example.com/?a=1&b=2", "product_property_feature_sync", 7),
        Sync("No link", f"javascript:{NASTY}", LONG, 0),
    ],
    sources=[
        Source("Salesforce replica", NOW - timedelta(hours=7), 6, 24),
        Source("Features table", None, 72, 168),
    ],
)


def write_report(engine: Engine, page: Path, *more: str) -> int:
    """Run the program for a built project and return its exit code."""
    return run_program(program, engine, "--output", str(page), *more)


@pytest.fixture(autouse=True)
def _one_reader() -> Iterator[None]:
    with one_reader(program):
        yield


def text_of(html: str) -> str:
    """Return what a piece of the page says."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def element(page: str, name: str) -> str:
    """Return the HTML of the element with an id, with its children."""
    return re.search(rf'<(\w+) id="{name}".*?</\1>', page, re.S)[0]


def table(page: str, name: str) -> list[list[str]]:
    """Return the cells of a table's body."""
    body = element(page, name).partition("<tbody>")[2]
    return [
        [text_of(cell[1]) for cell in re.finditer(r"<t[hd]\b.*?>(.*?)</t[hd]>", row, re.S)]
        for row in body.split("</tr>")[:-1]
    ]


def numbers(rows: list[tuple]) -> list[list[str]]:
    """Return rows of a query as the page writes them."""
    return [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]


def mismatches(engine: Engine) -> list[list[str]]:
    """Return what the table of the mismatches has to say."""
    kinds = ("missing_in_salesforce", "left_on_in_salesforce", "never_set_in_salesforce")
    counts = ", ".join(f"count(case when mismatch_kind = '{kind}' then 1 end)" for kind in kinds)
    rows = engine.query(
        f"select product, {counts}, count(*) from {MARTS}.feature_mismatches "
        "group by product order by count(*) desc, product"
    )
    return numbers([tuple(row) for row in rows])


def counts(engine: Engine) -> dict[str, str]:
    """Return what the tiles at the top have to say."""
    marts = {
        "to-update": "product_property_feature_sync",
        "to-create": "product_property_create",
        "exceptions-in-all": "product_property_sync_exceptions",
    }
    return {
        name: f"{engine.query(f'select count(*) from {MARTS}.{mart}')[0][0]:,}"
        for name, mart in marts.items()
    }


# --- Without a browser ------------------------------------------------------------------------


def test_the_page_says_what_the_marts_say(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert write_report(engine, tmp_path / "new folder" / "page.html") == 0
    page = (tmp_path / "new folder" / "page.html").read_text(encoding="utf-8")
    headline = "Salesforce is wrong about 2,815 of 17,102 properties"
    assert text_of(re.search("<h1>.*?</h1>", page)[0]) == headline
    assert capsys.readouterr().out.endswith(f"new folder/page.html: {headline}\n")
    assert "1,226 were created on 21 November 2025, the other 1,589 on other days" in page
    assert table(page, "mismatch-table") == mismatches(engine)
    assert {name: text_of(element(page, name)) for name in counts(engine)} == counts(engine)
    syncs = dict((relation, rows) for _, relation, rows in table(page, "sync-table"))
    assert len(syncs) == 4
    for relation, rows in syncs.items():
        assert rows == f"{engine.query(f'select count(*) from {MARTS}.{relation}')[0][0]:,}"
    newest = [row[1] for row in table(page, "freshness-table")]
    assert newest == ["22 November 2025, 00:20 UTC", "21 November 2025, 22:59 UTC"]
    assert len(page) < 100_000
    names = engine.query(f"select property_name from {MARTS}.feature_mismatches limit 100")
    assert not [name for (name,) in names if len(name) > 12 and name in page]
    assert "prop_" not in page


def test_what_the_data_holds_is_never_markup() -> None:
    page = program.render(FULL, NOW)
    assert "<script" not in page
    assert 'href="javascript' not in page
    assert unescape(page).count(NASTY) >= 8
    assert "10 more are in" in text_of(page)
    assert len(table(page, "exception-table")) == program.MOST_EXCEPTIONS
    assert "var(--blue)" in page
    assert not re.findall(r"(?:src|srcset|action|xmlns)=|@import|url\((?!#)", page)
    assert re.findall(r"https?://[^\s\"<]+", page) == ["https://example.com/?a=1&amp;b=2"]


@pytest.mark.parametrize(
    ("report", "said"),
    {
        "nothing is wrong": (
            replace(FULL, summary=[replace(row, mismatched=0) for row in FULL.summary]),
            ["Salesforce is right about all 20 properties", "No product differs anywhere."],
        ),
        "no property": (
            replace(
                FULL,
                guard=Guard(is_tripped=True, verdict="0 of 0.", to_update=0, to_create=0),
                summary=[Summary(NOW.date(), "all", "All products", 0, 0, 0, 0, 0)],
                adoption=[],
            ),
            ["Nothing may reach Census: the guard is tripped", "0 of 0.", "can be compared"],
        ),
        "one run": (replace(FULL, runs=FULL.runs[-1:]), ["65.0 %"]),
        "no run": (replace(FULL, runs=[], rises=[]), ["No run has been measured yet."]),
        "only tripped runs": (replace(FULL, runs=[FULL.runs[1]] * 2), ["not known"]),
        "no exception": (replace(FULL, exceptions=[]), ["None: every record in Salesforce"]),
        "no sync": (replace(FULL, syncs=[]), ["No exposure names a sync."]),
        "nearly all": (
            replace(FULL, runs=[Run(NOW, 1_000_000, 1, is_guard_tripped=False)]),
            ["99.9 %"],
        ),
        "healed": (replace(FULL, rises=[Rise(NOW, 7, 150)]), ["down to 0 again after 2 hours."]),
        "dates": (
            replace(
                FULL,
                summary=[
                    *FULL.summary[:3],
                    Summary(NOW.date(), "all", "Fraud Detection", 20, 0, 0, 0, 4),
                ],
            ),
            ["4 dates", "Dates: only a date differs."],
        ),
    }.values(),
)
def test_the_page_is_right_at_the_edges(report: Report, said: list[str]) -> None:
    text = text_of(program.render(report, NOW))
    assert not [sentence for sentence in said if sentence not in text]
    assert "nan" not in text.lower().split()


def test_a_long_history_is_thinned_and_hides_nothing_bad() -> None:
    runs = [
        Run(NOW + timedelta(hours=n), 1000, 400 if n == 777 else n % 2, is_guard_tripped=n == 1500)
        for n in range(2000)
    ]
    report = replace(FULL, runs=runs)
    page = program.render(report, NOW)
    assert len(report.points) <= program.MOST_POINTS
    assert "2,000 runs. Each point is the worst of 21" in text_of(page)
    shown = table(page, "history-table")
    assert [row for row in shown if row[3] == "60.0 %"]
    assert [row for row in shown if row[3] == "not known"]
    assert report.points[-1] == runs[-1]
    assert len(page) < 150_000


def test_freshness_is_judged_by_its_limits() -> None:
    ages = {0: "fresh", 6: "fresh", 6.1: "old", 24: "old", 24.1: "too old", None: "not known"}
    for age, state in ages.items():
        newest = None if age is None else NOW - timedelta(hours=age)
        assert Source("Salesforce replica", newest, 6, 24).state(NOW) == state
    ages = {
        0: "less than a minute",
        1: "1 minute",
        119: "119 minutes",
        120: "2 hours",
        2879: "47 hours",
        2880: "2 days",
    }
    assert {age: program.minutes(age) for age in ages} == ages


def test_a_replica_that_does_not_say_how_old_it_is(incident: Project, tmp_path: Path) -> None:
    arguments = ["--project-dir", str(incident.path), "--vars", "salesforce_loaded_at_column: none"]
    with program.dbt_reader(program.make_parser().parse_args(arguments)) as read:
        (replica, _) = read(program.SOURCES).rows
    assert replica.values()[1] is None


def test_a_page_that_cannot_be_written_leaves_the_older_one(
    incident: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(program, "read_report", lambda _: FULL)
    page = tmp_path / "page.html"
    page.write_text("older")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fails)
        assert write_report(incident, page) == 1
    assert "No space left on device: no report was written." in capsys.readouterr().err
    assert page.read_text() == "older"
    assert list(tmp_path.iterdir()) == [page]


def test_without_marts_the_program_says_what_to_do(
    empty_project: Project, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert write_report(empty_project, tmp_path / "page.html") == 2
    error = capsys.readouterr().err
    assert "dbt cannot read the relations: nothing was done." in error
    assert error.endswith("Has dbt build made the marts?\n")
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


def show(browser: Chrome, page: Path, width: int = 1100, scheme: str = "light") -> None:
    """Open a page at a width of so many pixels, in light or dark, with all details open."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")


def seen(browser: Chrome, selector: str) -> str:
    """Return the visible text of an element."""
    return browser.find_element(By.CSS_SELECTOR, selector).text


def seen_table(browser: Chrome, name: str) -> list[list[str]]:
    """Return the visible text of the cells of a table's body."""
    rows = browser.find_elements(By.CSS_SELECTOR, f"#{name} tbody tr")
    return [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")] for row in rows]


def drawn(browser: Chrome, section: str) -> list[str]:
    """Return the texts of the visible drawing of a section."""
    drawing = f"section[aria-labelledby={section}] svg text"
    texts = browser.find_elements(By.CSS_SELECTOR, drawing)
    return [text.text for text in texts if text.is_displayed()]


def requests(browser: Chrome) -> list[str]:
    """Return what pages have asked for since the last time."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each for each in messages if each["method"] == "Network.requestWillBeSent"]
    return [each["params"]["request"]["url"] for each in sent]


def check_figures(browser: Chrome, project: Project) -> None:
    """Compare what is seen with the marts."""
    expected = counts(project)
    assert {name: seen(browser, f"#{name}") for name in expected} == expected
    runs = project.query(
        f"select measured_at, mismatched, properties from {MARTS}.feature_accuracy_history "
        "where product = 'All products' order by measured_at desc"
    )
    right = [f"{1000 * (run[2] - run[1]) // run[2] / 10:.1f} %" for run in runs]
    assert seen_table(browser, "history-table") == [
        [f"{at.day} {at:%B %Y, %H:%M} UTC", f"{wrong:,}", f"{properties:,}", share]
        for (at, wrong, properties), share in zip(runs, right, strict=True)
    ]
    assert right[0] in drawn(browser, "history")
    adoption = project.query(
        "select product, properties_on, share_of_properties, newly_on_7_days, newly_on_30_days, "
        f"newly_on_90_days from {MARTS}.product_adoption where started_month = 'all' "
        "order by properties_on desc, product"
    )
    adoption = [(*row[:2], program.percent(row[2]), *row[3:]) for row in adoption]
    assert seen_table(browser, "adoption-table") == numbers(adoption)
    assert {row[2] for row in adoption} < set(drawn(browser, "adoption"))
    (verdict,) = project.query(f"select verdict from {MARTS}.feature_sync_guard")[0]
    assert seen(browser, "#guard-verdict") == verdict


def test_the_figures_are_seen_before_and_after_the_sync_and_when_the_guard_trips(
    loop: Project, browser: Chrome, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert write_report(loop, page) == 0
    show(browser, page)
    assert seen(browser, "h1") == "Salesforce is wrong about 2,815 of 17,102 properties"
    check_figures(browser, loop)
    assert seen_table(browser, "mismatch-table") == mismatches(loop)
    assert {row[-1] for row in mismatches(loop)} < set(drawn(browser, "mismatches"))

    for relation in ("product_property_create", "product_property_feature_sync"):
        assert simulate_sync(loop, f"relation: {relation}"), loop.output
    assert loop.dbt("run", "--select", "feature_accuracy_history+", *INCIDENT).success
    assert write_report(loop, page) == 0
    show(browser, page)
    assert seen(browser, "h1") == "Salesforce is right about all 17,452 properties"
    assert [seen(browser, f"#{name}") for name in counts(loop)] == ["0", "0", "0"]
    check_figures(browser, loop)
    assert drawn(browser, "mismatches") == []
    assert "fresh" in seen_table(browser, "freshness-table")[0][3]

    loop.query(f"delete from {SOURCE_TABLES['product_property_w_features']}")
    assert write_report(loop, page) == 0
    show(browser, page)
    assert seen(browser, "h1") == "Nothing may reach Census: the guard is tripped"
    assert seen(browser, "#guard-state") == "Tripped"
    check_figures(browser, loop)

    assert set(requests(browser)) == {page.as_uri()}
    assert browser.get_log("browser") == []


@pytest.fixture(scope="module")
def full_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page with all that can stand on one."""
    page = tmp_path_factory.mktemp("full") / "page.html"
    page.write_text(program.render(FULL, NOW), encoding="utf-8")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100])
def test_everyone_can_read_the_page(
    browser: Chrome, full_page: Path, width: int, scheme: str
) -> None:
    show(browser, full_page, width, scheme)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(wide) == 0
    colours = browser.execute_script(
        "const s = getComputedStyle(document.body);"
        "const t = getComputedStyle(document.querySelector('svg text'));"
        "return [s.backgroundColor, t.fill]"
    )
    light, dark = "rgb(255, 255, 255)", "rgb(20, 23, 27)"
    assert colours[0] == (light if scheme == "light" else dark)
    assert (colours[1] == "rgb(29, 33, 38)") == (scheme == "light")
    outside = (
        "return [...document.querySelectorAll('svg text')].filter(t =>"
        "t.getBoundingClientRect().right > document.documentElement.clientWidth).length"
    )
    assert browser.execute_script(outside) == 0
    axe = Axe(browser)
    axe.inject()
    violations = axe.run()["violations"]
    assert not violations, axe.report(violations)
    assert (
        len([svg for svg in browser.find_elements(By.TAG_NAME, "svg") if svg.is_displayed()]) == 3
    )


def test_the_keyboard_reaches_everything(browser: Chrome, full_page: Path) -> None:
    show(browser, full_page)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = false)")
    active = browser.switch_to.active_element
    active.send_keys(Keys.TAB)
    skip = browser.switch_to.active_element
    assert skip.text == "Skip to the figures"
    assert skip.rect["y"] >= 0
    skip.send_keys(Keys.ENTER)
    reached = []
    while (active := browser.switch_to.active_element).tag_name != "body" and len(reached) < 20:
        if active.tag_name == "summary":
            active.send_keys(Keys.ENTER)
            assert active.find_element(By.XPATH, "..").get_attribute("open")
        reached.append(active.accessible_name)
        active.send_keys(Keys.TAB)
    assert reached[1:] == [
        "Mismatches as a table",
        "Mismatches by product, table",
        "Accuracy as a table",
        "Accuracy, run by run, table",
        NASTY,
        "Adoption as a table",
        "Adoption, table",
    ]
    assert not browser.find_elements(By.TAG_NAME, "script")


def test_paper_is_light_and_keeps_each_figure_whole(browser: Chrome, full_page: Path) -> None:
    show(browser, full_page, scheme="dark")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    style = browser.execute_script(
        "return [getComputedStyle(document.body).backgroundColor,"
        "getComputedStyle(document.querySelector('figure')).breakInside]"
    )
    assert style == ["rgb(255, 255, 255)", "avoid"]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen"})
