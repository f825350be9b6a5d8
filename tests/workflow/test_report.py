"""`snakemake --report`: one page that stands alone, opened in a browser that reaches nothing."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from scripts.lib import captions, study_file
from scripts.lib.study import Figures, Tables
from tests.support.captions import rendered
from tests.support.workflow import ROOT

NAMES = [*Figures.model_fields, *Tables.model_fields]
SMOKE = study_file.load(ROOT / "tests/workflow/smoke.yaml")
SHOWN = [name for part in (SMOKE.figures, SMOKE.tables) for name in type(part).model_fields if getattr(part, name) is not None]
ITEMS = captions.paper_items()
PACKAGES = ("chromium", "chromium-driver")


# -- captions: no run and no browser -------------------------------------------------------------------------------------------------


def test_every_figure_and_table_has_its_section_of_the_paper():
    assert set(ITEMS) == set(NAMES)
    assert all(row["section"] for row in ITEMS.values())
    assert captions.label("Figure", "teaser") == "Figure: teaser (Figure 1 of the paper)"
    assert captions.label("Table", "clip") == "Table: CLIP"


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("name", [*NAMES, "provenance", "workflow"])
def test_every_caption_tells_what_is_measured_on_what_with_which_n_and_interval(name, path, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)  # away from results of an older study that may lie in the project
    study = study_file.load(path)
    if name in NAMES and not (getattr(study.figures, name, None) or getattr(study.tables, name, None)):
        pytest.skip(f"{path.stem} does not have it")
    text = re.sub(r"<[^>]*>|\s+", " ", rendered(name, path.stem, study))
    assert study.title in text
    if name in NAMES and name != "hyperparameters":
        assert all(re.search(part, text) for part in ("Measured:", "n:", "[Ii]nterval"))
        assert "On:" in text or name in ("samples", "prompts")  # nothing is measured there


def test_a_study_edited_after_its_results_gives_no_report(finished):
    text = finished.study.read_text()
    try:
        finished.edit("title: Smoke", "title: Another")
        output = finished.run("--report", "report.html", check=False)
        assert "edited since its results were made: run snakemake" in output
    finally:
        finished.study.write_text(text)


# -- provenance ----------------------------------------------------------------------------------------------------------------------


def test_provenance_tells_versions_commit_study_and_results(finished):
    record = json.loads((finished.folder / "provenance/smoke.json").read_text(encoding="utf-8"))
    assert record["study"] == finished.study.read_text(encoding="utf-8")
    assert {"python", "snakemake", "torch", "diffusers", "open_clip_torch", "timm", "numpy"} <= set(record["versions"])
    assert "pin of" not in "".join(record["versions"].values())
    assert record["commit"] == "not known: no git checkout"  # `finished` runs on a copy
    assert {row["path"].split("/")[-1] for row in record["results"]} == {f"{name}.csv" for name in SHOWN}


def test_the_commit_is_that_of_the_code_and_says_where_it_was_edited(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a"]
        return subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    def commit():
        code = "from scripts import write_provenance; print(write_provenance.commit())"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    git("init", "--quiet")
    assert commit() == "not known: no git checkout"  # the folder is another project's: the code is not in it
    git("add", "scripts")
    git("commit", "--quiet", "-m", "code")
    assert commit() == git("rev-parse", "HEAD")
    (tmp_path / "scripts/evaluate.py").write_text("")
    assert commit() == git("rev-parse", "HEAD") + "-dirty"


# -- the page in a browser -----------------------------------------------------------------------------------------------------------


def install_browser() -> None:
    """Debian's Chromium and its driver, installed where they are missing: continuous integration starts on a bare machine."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip(f"no chromium and chromedriver here, and no root to install them: apt-get install {' '.join(PACKAGES)}")
    install = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (install, ["apt-get", "update"], install):  # a bare machine has no package lists yet
        done = subprocess.run(command, capture_output=True, text=True, env=quiet)
        if command is install and done.returncode == 0:
            return
    pytest.fail(f"{' '.join(install)}: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-2000:]}", pytrace=False)


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
    # Selenium looks for a driver on the network unless it is told of one.
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


class Page:
    """The report as a reader uses it: a menu of sections, in each its results, of each a view (eye) and a description (sign)."""

    def __init__(self, browser, path):
        self.browser, self.shown = browser, set()
        browser.get(path.as_uri())
        self.wait("nav a")

    def wait(self, css: str, **seconds):
        """The first element that fits and is seen, once there is one."""
        found = lambda driver: next((element for element in driver.find_elements(By.CSS_SELECTOR, css) if element.is_displayed()), None)  # noqa: E731
        return WebDriverWait(self.browser, 20).until(found, f"nothing fits {css!r}")

    def click(self, text: str, css: str = "nav ul a") -> None:
        next(element for element in self.browser.find_elements(By.CSS_SELECTOR, css) if element.text.strip() == text).click()

    def sections(self) -> list[str]:
        self.browser.find_element(By.CSS_SELECTOR, "nav ol a").click()  # the house: back to the menu
        self.wait("nav ul a")
        return [element.text.strip() for element in self.browser.find_elements(By.CSS_SELECTOR, "nav ul a")]

    def open(self, section: str) -> dict[str, object]:
        """Results of a section: label -> row."""
        self.sections()
        self.click(section)
        self.wait("nav tbody tr")
        return {row.text.strip(): row for row in self.browser.find_elements(By.CSS_SELECTOR, "nav tbody tr")}

    def view(self, row) -> None:
        row.find_element(By.CSS_SELECTOR, "a[iconname=eye]").click()

    def description(self, row) -> str:
        row.find_element(By.CSS_SELECTOR, "a[iconname=information-circle]").click()
        return self.wait("nav li.prose").text


@pytest.fixture(scope="module")
def page(finished, browser):
    finished.run("--report", "report.html")
    return Page(browser, finished.folder / "report.html")


def row_of(page, name):
    return page.open(ITEMS[name]["section"])[captions.label("Figure" if name in Figures.model_fields else "Table", name)]


def show(page, name):
    """Open a figure or table, and see its caption beside it."""
    row = row_of(page, name)
    page.view(row)
    text = page.description(row)
    assert SMOKE.title in text
    assert "{" not in text
    page.shown.add(name)


def test_the_front_page_asks_the_question_and_lists_the_sections(page):
    assert "How much is one more synthetic training image worth" in page.wait("#app .prose").text
    page.wait("#rulegraph canvas, #rulegraph svg")
    assert set(page.sections()) >= {ITEMS[name]["section"] for name in SHOWN} | {"Provenance"}


def test_nothing_is_shown_that_the_study_does_not_have(page):
    assert len(page.browser.execute_script("return Object.keys(results)")) == len(SHOWN) + 1  # and the provenance


@pytest.mark.parametrize("name", [name for name in SHOWN if name in Figures.model_fields])
def test_every_figure_shows_with_its_caption(page, name):
    show(page, name)
    shown = page.wait("#app > div > div img")  # beside the menu, which has an image of its own
    size = WebDriverWait(page.browser, 20).until(
        lambda driver: driver.execute_script("return arguments[0].complete && [arguments[0].naturalWidth, arguments[0].naturalHeight]", shown)
    )
    assert min(size) > 50
    assert shown.rect["width"] > 50
    assert f"filename={name}.svg" in shown.get_attribute("src")[:200]
    # Not cut at the left, which the page does with what is wider than its place; the menu takes a moment to settle.
    beside = "return arguments[0].getBoundingClientRect().left >= document.querySelector('#app > div > nav').getBoundingClientRect().right"
    WebDriverWait(page.browser, 20).until(lambda driver: driver.execute_script(beside, shown), "the menu hides a part of the figure")


@pytest.mark.parametrize("name", [name for name in SHOWN if name in Tables.model_fields])
def test_every_table_shows_with_its_caption(page, finished, name):
    show(page, name)
    page.browser.switch_to.frame(page.wait("iframe"))
    try:
        page.wait("td")
        lines = (finished.folder / f"tables/smoke/{name}.md").read_text(encoding="utf-8").splitlines()
        tables = len(page.browser.find_elements(By.TAG_NAME, "table"))
        rows = len(page.browser.find_elements(By.TAG_NAME, "tr"))
        assert rows + tables == sum(line.startswith("|") for line in lines)  # and a line of dashes in each table
        assert page.browser.find_element(By.TAG_NAME, "h1").text == lines[0].removeprefix("# ")
    finally:
        page.browser.switch_to.default_content()


def test_captions_hold_the_numbers_of_the_study(page):
    assert "3 sizes, 10 to 40 training images; 2 seeds at each size" in page.description(row_of(page, "supervised_scaling"))
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


def test_the_browser_has_no_complaint_and_no_request_leaves_the_machine(page):
    for name in SHOWN:
        if name not in page.shown:  # all are, where the tests above have run
            show(page, name)
    assert [entry for entry in page.browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    events = [json.loads(entry["message"])["message"] for entry in page.browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert sum(url.startswith(("data:image/svg+xml", "data:text/html")) for url in asked) >= len(SHOWN)  # the log tells of them
    assert [url[:100] for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
