"""The budget of config.yaml: what a run may take at most."""

from synscale.planning.cost_model import PlanError
from synscale.workflow.targets import suggestion

# Columns of a plan (summary.row) that a budget may limit.
LIMITS = ["gpu_hours", "core_hours", "money", "kwh", "co2_kg", "disk_peak_gb"]


class BudgetError(PlanError):
    """A budget that is malformed or exceeded."""


def read_budget(budget) -> dict[str, float]:
    """Return the limits of a budget as numbers.

    Parameters
    ----------
    budget : dict or None
        Limits by name. They may be text, as a command line gives them.

    Raises
    ------
    BudgetError
        If it is not a mapping of known limits to numbers.
    """
    where, fix = "config.yaml: budget", "write it as {core_hours: 2}"
    if not isinstance(budget or {}, dict):
        raise BudgetError(f"{where}: not a mapping ({budget!r}); {fix}")
    limits = {}
    for key, value in (budget or {}).items():
        if key not in LIMITS:
            raise BudgetError(f"{where}.{key}: unknown limit; {suggestion(str(key), LIMITS)}")
        try:
            limits[key] = float(value)
        except (TypeError, ValueError):
            limits[key] = -1.0
        if isinstance(value, bool) or not 0 <= limits[key] < float("inf"):
            expected = f"{value!r}, expected a number from 0"
            raise BudgetError(f"{where}.{key}: not a limit ({expected}); {fix}")
    return limits


def compare(limits: dict[str, float], total: dict) -> tuple[bool, str]:
    """Return whether a plan is within a budget, and a sentence that says so.

    Parameters
    ----------
    limits : dict of str to float
    total : dict
        Row `total` of a plan.
    """
    plan = f"the plan of {total['jobs']} jobs"
    over = [
        f"{key} {total[key]:.4g}, but the budget has {limit:g}"
        for key, limit in limits.items()
        if total[key] > limit
    ]
    if over:
        fix = "request fewer figures, make the study smaller, or raise `budget` in config.yaml"
        return False, f"{plan} takes {'; '.join(over)}; {fix}"
    parts = [f"{key} {total[key]:.4g} of {limit:g}" for key, limit in limits.items()]
    return True, f"{plan} is within it ({', '.join(parts)})"
