"""The report in a real browser: search, links from numbers, enlarging, phone, dark; chromium."""

import shutil

import pytest

from miner.report import write_report
from tests.miner.finished import finished

pytest.importorskip("selenium", reason="pip install -e '.[dev]'")
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.bench.screens import PHONE, WIDE, browser, set_up

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs chromium and chromium-driver",
    ),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    store = finished(tmp_path_factory.mktemp("browsed") / "out")
    write_report(store)
    return store


@pytest.fixture(scope="module")
def driver():
    with browser() as running:
        yield running


@pytest.fixture
def page(driver, report):
    set_up(driver, WIDE, dark=False)
    driver.get("about:blank")
    driver.get("file://" + report.path("report/index.html"))
    return driver


def cells(page):
    """Text of the cells shown, read in one script: the list is drawn anew while one looks."""
    return page.execute_script(
        "return [...document.querySelectorAll('#list tr')].slice(1)"
        ".map(row => [...row.querySelectorAll('td')].map(cell => cell.innerText.trim()))"
    )


def listed(page, number):
    """The cells once the page has followed a link to `number` rows."""
    WebDriverWait(page, 10).until(lambda _: len(cells(page)) == number)
    return cells(page)


def test_search_filters_by_concept_state_score_and_name(page):
    everything = int(page.find_element("id", "hits").text.split()[0])
    Select(page.find_element("id", "first")).select_by_value("nucleus")
    Select(page.find_element("id", "second")).select_by_value("written")
    found = cells(page)
    assert found
    assert {(row[0], row[1]) for row in found} == {("nucleus", "written")}
    assert len(found) < everything
    score = float(found[0][2])
    page.find_element("id", "least").send_keys(str(score - 0.001))
    assert all(float(row[2]) >= score - 0.001 for row in cells(page))
    page.find_element("id", "words").send_keys(found[0][4])
    assert {row[4] for row in cells(page)} == {found[0][4]}


def test_a_number_leads_to_its_rows(page):
    link = page.find_element("css selector", "#rows a[href*='reason=truncated']")
    number = int(link.text)
    assert number > 0
    link.click()
    found = listed(page, number)
    assert {(row[3], row[4]) for row in found} == {("unreadable", "truncated")}
    link = page.find_element("css selector", "#concepts a[href*='state=written']")
    number = int(link.text)
    page.execute_script("arguments[0].click()", link)
    assert {row[1] for row in listed(page, number)} == {"written"}


def test_a_picture_is_enlarged_and_its_mask_hidden(page):
    page.execute_script("document.querySelector('button.pic').click()")
    large = page.find_element("id", "large")
    WebDriverWait(page, 10).until(lambda _: large.is_displayed())
    assert large.find_elements("css selector", "svg path")
    assert large.rect["width"] > 500
    page.find_element("id", "close").click()
    WebDriverWait(page, 10).until(lambda _: not large.is_displayed())
    outline = page.find_element("css selector", ".pic path")
    page.execute_script("document.querySelector('input[value=fills]').click()")
    assert outline.value_of_css_property("stroke-opacity") == "0"
    page.execute_script("document.querySelector('input[value=none]').click()")
    assert outline.value_of_css_property("visibility") == "hidden"


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_every_column(page, dark):
    set_up(page, PHONE, dark)
    assert page.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    cut = page.execute_script(
        "return [...document.querySelectorAll('table.fold td')]"
        f".filter(c => c.getBoundingClientRect().right > {PHONE[0]}).length"
    )
    assert cut == 0


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious(page, dark):
    axe = pytest.importorskip("axe_selenium_python").Axe(page)
    set_up(page, WIDE, dark)
    axe.inject()
    found = [v for v in axe.run()["violations"] if v["impact"] in ("serious", "critical")]
    assert found == [], [(v["id"], [n["html"][:120] for n in v["nodes"][:3]]) for v in found]
    assert [line for line in page.get_log("browser") if line["level"] == "SEVERE"] == []
