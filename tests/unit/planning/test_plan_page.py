"""The page of a plan, and its comparison with a budget."""

from html import unescape

import pytest

from synscale.planning import budget, plan_page, summary
from synscale.planning.plan_page import Plan
from synscale.planning.summary import Job
from synscale.report import html
from tests.support.planning import DIGITS, MACHINE

FILES = ["figures/digits/samples.pdf"]
SCORE = Job("b", "score", {"study": "digits", "source": "real"}, runtime=60)
TOTAL = {"jobs": 3, "core_hours": 4.0, "money": 1.0}


def plan(machine=MACHINE, **fields) -> Plan:
    costs = summary.costs([SCORE], {"digits": DIGITS}, machine)
    return Plan(FILES, [SCORE], costs, machine, [], **fields)


def test_page_has_no_column_that_says_nothing():
    text = "\n".join(plan(disk="Disk per image.").paragraphs("too expensive"))
    assert "1 jobs to run on: test machine" in text
    assert "GPU-hours" not in text
    assert "allocations" not in text
    assert "**too expensive**" in text
    assert "Disk per image." in text


def test_page_shows_texts_of_the_user_literally():
    """The title of the machine and the override come from files and the command line."""
    machine = MACHINE.model_copy(update={"title": "a *fast* box, $2 an hour"})
    changed = "{digits.title: '*a* [b](c)'}"
    page = html.page("", "\n\n".join(plan(machine, override=changed).paragraphs()))
    assert machine.title in page
    assert changed in unescape(page)


@pytest.mark.parametrize(
    ("hours", "text"), [(0.01, "36 s"), (0.5, "30 min"), (2, "2 h"), (12345.6, "12,346 h")]
)
def test_hours_have_a_suitable_unit(hours, text):
    assert plan_page.format_hours(hours) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.00012, "0.0001"), (1234.5, "1,230.0"), (12345, "12,345")]
)
def test_amounts_have_three_digits(value, text):
    assert plan_page.format_amount(value) == text


def test_budget_names_every_limit_that_is_exceeded():
    assert budget.compare({}, TOTAL)[0]
    limits = budget.read_budget({"core_hours": "4", "money": 2})
    expected = "the plan of 3 jobs is within it (core_hours 4 of 4, money 1 of 2)"
    assert budget.compare(limits, TOTAL) == (True, expected)
    is_within, text = budget.compare({"core_hours": 3.5, "money": 0.5}, TOTAL)
    assert not is_within
    assert "core_hours 4, but the budget has 3.5; money 1, but the budget has 0.5" in text
    assert text.endswith("or raise `budget` in config.yaml")
