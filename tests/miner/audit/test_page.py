"""The audit page in a real browser: every key, reload, import; needs chromium."""

import json
import shutil

import pytest

from miner.audit.folder import FOLDER, render, write_audit
from miner.core.store import Store
from tests.miner.finished import finished

selenium = pytest.importorskip("selenium", reason="pip install -e '.[dev]'")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromium-driver"),
]


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.add_argument("--window-size=1280,800")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=Service(DRIVER)) as driver:
        yield driver


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """OUT is moved after the audit was drawn."""
    path = tmp_path_factory.mktemp("page")
    write_audit(finished(path / "out"), 20, "concept", 0)
    return shutil.copytree(path / "out" / FOLDER, path / "moved here" / FOLDER)


@pytest.fixture
def page(browser, folder):
    browser.get((folder / "index.html").as_uri())

    def forgotten(page):
        page.execute_script("localStorage.clear()")
        page.refresh()
        return not page.find_element("id", "auditor").get_attribute("value")

    WebDriverWait(browser, 30).until(forgotten)
    browser.find_element("id", "auditor").send_keys("Ann" + Keys.ENTER)
    return browser


def reloaded(page, holds):
    """Chromium hands what a page stored to the next one when it finds the time."""

    def tried(page):
        page.refresh()
        return holds()

    WebDriverWait(page, 30).until(tried)


def press(page, *keys):
    for key in keys:
        page.find_element("tag name", "body").send_keys(key)


def text(page, element):
    return page.find_element("id", element).text


def stored(page):
    found = page.execute_script(
        "return Object.entries(localStorage).find(([k]) => k.startsWith('histomine-audit-')"
        " && k.endsWith('-Ann'))"
    )
    return json.loads(found[1]) if found else []


def test_every_verdict_goes_on_and_can_be_undone(page):
    assert text(page, "count").startswith("1 of 24; 0 judged")
    press(page, "1", "2", "3", "4")
    assert [j["verdict"] for j in stored(page)] == [
        "right", "roughly_right", "wrong_object", "wrong_extent",
    ]  # fmt: skip
    assert text(page, "count").startswith("5 of 24; 4 judged")
    press(page, "z")
    assert len(stored(page)) == 3
    assert text(page, "count").startswith("4 of 24; 3 judged")


def test_scores_are_hidden_until_judged(page):
    assert not page.find_element("id", "told").is_displayed()
    press(page, "1", Keys.ARROW_LEFT)
    assert page.find_element("id", "told").is_displayed()


def test_judgements_survive_a_reload_and_auditors_are_apart(page):
    press(page, "1", "3")
    reloaded(page, lambda: text(page, "count").startswith("3 of 24; 2 judged"))
    name = page.find_element("id", "auditor")
    name.clear()
    name.send_keys("Bob" + Keys.ENTER)
    assert text(page, "count").startswith("1 of 24; 0 judged")


def test_nobody_judges_without_a_name(page):
    name = page.find_element("id", "auditor")
    name.clear()
    name.send_keys(Keys.ENTER)
    press(page, "1")
    assert "who judges" in text(page, "note")


def test_keys_of_mask_opacity_search_and_help(page):
    mask = page.find_element("id", "mask")
    press(page, " ")
    assert mask.value_of_css_property("visibility") == "hidden"
    press(page, " ")
    assert mask.value_of_css_property("visibility") == "visible"
    press(page, "f")
    assert mask.get_attribute("class") == "fill"
    press(page, "-", "-")
    assert float(mask.value_of_css_property("opacity")) == pytest.approx(0.8)
    press(page, "+")
    assert float(mask.value_of_css_property("opacity")) == pytest.approx(0.9)
    press(page, "?")
    assert page.find_element("id", "keys").is_displayed()
    page.find_element("id", "close").click()
    press(page, "/")
    concept = text(page, "concept")
    page.find_element("id", "query").send_keys(concept)
    found = page.find_elements("css selector", "#found button")
    assert found
    found[-1].click()
    assert text(page, "concept") == concept or concept in text(page, "caption")
    at = text(page, "count").split(" ")[0]
    press(page, Keys.ARROW_RIGHT)
    assert text(page, "count").split(" ")[0] != at
    press(page, Keys.ARROW_LEFT)
    assert text(page, "count").split(" ")[0] == at


def test_zooming_moving_and_fitting(page):
    view, stage = page.find_element("id", "view"), page.find_element("id", "stage")
    place = "return arguments[0].style.transform"
    press(page, "0")
    fitted = page.execute_script(place, view)
    webdriver.ActionChains(page).scroll_from_origin(
        webdriver.common.actions.wheel_input.ScrollOrigin.from_element(stage), 0, -300
    ).perform()
    closer = page.execute_script(place, view)
    webdriver.ActionChains(page).drag_and_drop_by_offset(stage, 40, 20).perform()
    assert len({fitted, closer, page.execute_script(place, view)}) == 3
    press(page, "0")
    assert page.execute_script(place, view) == fitted


def test_an_outline_can_be_given_up(page):
    press(page, "c")
    stage = page.find_element("id", "stage")
    webdriver.ActionChains(page).move_to_element(stage).click().perform()
    press(page, Keys.ESCAPE)
    assert page.find_elements("css selector", "#drawn *") == []
    press(page, "1")
    assert "outline" not in stored(page)[0]


def test_a_redrawn_outline_goes_with_the_verdict(page):
    press(page, "c")
    stage = page.find_element("id", "stage")
    for x, y in ((-60, -60), (60, -60), (60, 60)):
        webdriver.ActionChains(page).move_to_element_with_offset(stage, x, y).click().perform()
    press(page, Keys.ENTER)
    (judgement,) = stored(page)
    assert judgement["verdict"] == "wrong_extent"
    assert len(judgement["outline"]) == 3
    press(page, "2")
    assert stored(page)[0]["outline"] == judgement["outline"]


def test_judgements_come_back_from_a_file(page, tmp_path):
    press(page, "1", "4")
    lines = stored(page)
    page.execute_script("localStorage.clear()")
    reloaded(page, lambda: not stored(page))
    file = tmp_path / "j.jsonl"
    file.write_text("\n".join(json.dumps(j) for j in [*lines, {"audit": "other"}]) + "\nnonsense")
    page.find_element("id", "file").send_keys(str(file))
    WebDriverWait(page, 10).until(
        lambda page: "2 judgements imported, 2 lines are not" in text(page, "note")
    )
    assert [j["verdict"] for j in stored(page)] == ["right", "wrong_extent"]


def test_the_page_fits_a_phone_and_logs_no_error(page):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert [line for line in page.get_log("browser") if line["level"] == "SEVERE"] == []


def test_two_thousand_items_are_one_picture_at_a_time(browser, folder, tmp_path):
    """What the page costs stays that of one item; `tests.bench.page` takes the time."""
    data = (folder / "index.html").read_text().split('id="data">', 1)[1].split("</script>", 1)[0]
    page = json.loads(data)
    items = [{**page["items"][i % 20], "item": f"{i:016x}"} for i in range(2000)]
    large = shutil.copytree(folder, tmp_path / "large")
    Store(large).write("index.html", render({"audit": "large", "items": items}).encode())
    browser.get((large / "index.html").as_uri())
    browser.find_element("id", "auditor").send_keys("Ann" + Keys.ENTER)
    elements = "return document.getElementsByTagName('*').length"
    before = browser.execute_script(elements)
    press(browser, *"1234" * 5)
    assert text(browser, "count").startswith("21 of 2000; 20 judged")
    assert browser.execute_script(elements) < before + 20
    assert browser.execute_script("return performance.memory.usedJSHeapSize") < 500e6


def test_axe_finds_nothing_serious(page):
    axe = pytest.importorskip("axe_selenium_python").Axe(page)
    axe.inject()
    found = [v for v in axe.run()["violations"] if v["impact"] in ("serious", "critical")]
    assert found == [], [v["id"] for v in found]
