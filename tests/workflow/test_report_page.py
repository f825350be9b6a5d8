"""`snakemake --report`: one self-contained page, opened in a browser without network."""

import json
import os
import shutil
import subprocess

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from synscale.report import captions
from synscale.report.claims_table import effect_text
from synscale.study.load import load_study
from synscale.study.models import Figures, Tables
from tests.support.workflow import SMOKE as SMOKE_FILE

pytestmark = pytest.mark.slow
SMOKE = load_study(SMOKE_FILE)
SHOWN = [
    name
    for part in (SMOKE.figures, SMOKE.tables)
    for name in type(part).model_fields
    if getattr(part, name) is not None
]
ITEMS = captions.paper_items()
PACKAGES = ("chromium", "chromium-driver")


def test_edited_study_gives_no_report(finished, tmp_path):
    copy = finished.copy(tmp_path / "workflow")
    copy.edit("title: Smoke", "title: Another")
    output = copy.run("--report", "report.html", check=False)
    assert "edited since its results were written; run snakemake" in output


def test_provenance_tells_versions_commit_study_and_results(finished):
    record = json.loads((finished.folder / "provenance/smoke.json").read_text(encoding="utf-8"))
    assert record["study"] == finished.study.read_text(encoding="utf-8")
    assert {"python", "snakemake", "torch", "diffusers", "open_clip_torch", "timm", "numpy"} <= set(
        record["versions"]
    )
    assert "pin of" not in "".join(record["versions"].values())
    assert record["commit"] == "not known: no git checkout"  # `finished` runs on a copy
    assert {row["path"].split("/")[-1] for row in record["results"]} == {
        f"{name}.csv" for name in SHOWN
    }


def install_browser() -> None:
    """Debian's Chromium and its driver, installed where they are missing: continuous integration
    starts on a bare machine.
    """
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip(
            "no chromium and chromedriver here, and no root to install them: "
            f"apt-get install {' '.join(PACKAGES)}"
        )
    install = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        install,
        ["apt-get", "update"],
        install,
    ):  # a bare machine has no package lists yet
        done = subprocess.run(command, capture_output=True, text=True, env=quiet)
        if command is install and done.returncode == 0:
            return
    pytest.fail(
        f"{' '.join(install)}: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-2000:]}",
        pytrace=False,
    )


@pytest.fixture(scope="module")
def browser():
    install_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "--headless=new",
        "--no-sandbox",  # root, as continuous integration is, gets no sandbox
        "--disable-dev-shm-usage",
        "--window-size=1500,900",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    # Selenium looks for a driver on the network unless it has the path of one.
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


class Page:
    """The report as a reader uses it: a menu of sections, in each its results, of each a view (eye)
    and a description (sign).
    """

    def __init__(self, browser, path):
        self.browser, self.folder, self.shown = browser, path.parent, set()
        browser.get(path.as_uri())
        self.wait("nav a")

    def wait(self, css: str, **seconds):
        """The first element that fits and is seen, once there is one."""

        def displayed(driver):
            elements = driver.find_elements(By.CSS_SELECTOR, css)
            return next((element for element in elements if element.is_displayed()), None)

        return WebDriverWait(self.browser, 20).until(displayed, f"nothing fits {css!r}")

    def click(self, text: str, css: str = "nav ul a") -> None:
        next(
            element
            for element in self.browser.find_elements(By.CSS_SELECTOR, css)
            if element.text.strip() == text
        ).click()

    def sections(self) -> list[str]:
        self.browser.find_element(
            By.CSS_SELECTOR, "nav ol a"
        ).click()  # the house: back to the menu
        self.wait("nav ul a")
        return [
            element.text.strip()
            for element in self.browser.find_elements(By.CSS_SELECTOR, "nav ul a")
        ]

    def open(self, section: str) -> dict[str, object]:
        """Results of a section: label -> row."""
        self.sections()
        self.click(section)
        self.wait("nav tbody tr")
        return {
            row.text.strip(): row
            for row in self.browser.find_elements(By.CSS_SELECTOR, "nav tbody tr")
        }

    def view(self, row) -> None:
        row.find_element(By.CSS_SELECTOR, "a[iconname=eye]").click()

    def description(self, row) -> str:
        row.find_element(By.CSS_SELECTOR, "a[iconname=information-circle]").click()
        return self.wait("nav li.prose").text


@pytest.fixture(scope="module")
def page(finished, browser, tmp_path_factory):
    reported = finished.copy(tmp_path_factory.mktemp("report") / "workflow")
    reported.run("--report", "report.html")
    return Page(browser, reported.folder / "report.html")


def row_of(page, name):
    return page.open(ITEMS[name]["section"])[
        captions.label("Figure" if name in Figures.model_fields else "Table", name)
    ]


def show(page, name):
    """Open a figure or table, and see its caption next to it."""
    row = row_of(page, name)
    page.view(row)
    text = page.description(row)
    assert SMOKE.title in text
    assert "{" not in text
    page.shown.add(name)


def test_front_page_asks_the_question_and_lists_the_sections(page):
    assert "How much is one more synthetic training image worth" in page.wait("#app .prose").text
    table = page.wait("#app .prose table").text
    claims = pd.read_csv(page.folder / "tables/smoke/claims.csv")
    for _, row in claims.iterrows():
        assert row["claim"] in table and effect_text(row) in table
    image = page.wait("#app .prose img")
    assert image.get_property("naturalWidth") > 500
    title = page.browser.find_element(By.CSS_SELECTOR, "#app .prose h1")
    assert title.rect["y"] >= 0  # the page is taller than the window, and starts at its top
    page.wait("#rulegraph canvas, #rulegraph svg")
    assert set(page.sections()) >= {ITEMS[name]["section"] for name in SHOWN} | {"Provenance"}


def test_nothing_is_shown_that_the_study_does_not_have(page):
    assert (
        len(page.browser.execute_script("return Object.keys(results)")) == len(SHOWN) + 1
    )  # and the provenance


@pytest.mark.parametrize("name", [name for name in SHOWN if name in Figures.model_fields])
def test_every_figure_shows_with_its_caption(page, name):
    show(page, name)
    shown = page.wait("#app > div > div img")  # next to the menu, which has another image
    size = WebDriverWait(page.browser, 20).until(
        lambda driver: driver.execute_script(
            "const image = arguments[0];"
            "return image.complete && [image.naturalWidth, image.naturalHeight]",
            shown,
        )
    )
    assert min(size) > 50
    assert shown.rect["width"] > 50
    assert f"filename={name}.svg" in shown.get_attribute("src")[:200]
    # Not cut at the left, which the page does with what is wider than its place; the menu takes a
    # moment to settle.
    beside = (
        "const menu = document.querySelector('#app > div > nav');"
        "return arguments[0].getBoundingClientRect().left >= menu.getBoundingClientRect().right"
    )
    WebDriverWait(page.browser, 20).until(
        lambda driver: driver.execute_script(beside, shown), "the menu hides a part of the figure"
    )


@pytest.mark.parametrize("name", [name for name in SHOWN if name in Tables.model_fields])
def test_every_table_shows_with_its_caption(page, finished, name):
    show(page, name)
    page.browser.switch_to.frame(page.wait("iframe"))
    try:
        page.wait("td")
        lines = (
            (finished.folder / f"tables/smoke/{name}.md").read_text(encoding="utf-8").splitlines()
        )
        tables = len(page.browser.find_elements(By.TAG_NAME, "table"))
        rows = len(page.browser.find_elements(By.TAG_NAME, "tr"))
        assert rows + tables == sum(
            line.startswith("|") for line in lines
        )  # and a line of dashes in each table
        assert page.browser.find_element(By.TAG_NAME, "h1").text == lines[0].removeprefix("# ")
    finally:
        page.browser.switch_to.default_content()


def test_captions_hold_the_numbers_of_the_study(page):
    assert "3 sizes, 10 to 40 training images; 2 seeds at each size" in page.description(
        row_of(page, "supervised_scaling")
    )
    assert "one writer (130 images)" in page.description(row_of(page, "supervised_scaling"))


def test_provenance_shows_versions_and_the_study_file(page, finished):
    (row,) = page.open("Provenance").values()
    page.view(row)
    page.browser.switch_to.frame(page.wait("iframe"))
    try:
        page.wait("pre")
        text = page.browser.find_element(By.CSS_SELECTOR, "body").text
    finally:
        page.browser.switch_to.default_content()
    assert "diffusers" in text
    assert finished.study.read_text(encoding="utf-8").splitlines()[0] in text


def test_browser_reports_no_error_and_no_external_request(page):
    for name in SHOWN:
        if name not in page.shown:  # all are, where the tests above have run
            show(page, name)
    assert [entry for entry in page.browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    events = [
        json.loads(entry["message"])["message"] for entry in page.browser.get_log("performance")
    ]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert sum(url.startswith(("data:image/svg+xml", "data:text/html")) for url in asked) >= len(
        SHOWN
    )  # the log reports them
    assert [
        url[:100] for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))
    ] == []
