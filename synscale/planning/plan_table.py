"""The table of a plan as text: costs per stage and their total.

This module does not import pandas, so that a dry run can print the table without waiting for it.
"""

from collections.abc import Iterable

from tabulate import tabulate

from synscale.planning.hardware import Hardware
from synscale.planning.summary import HOUR

COLUMNS = {
    "stage": "stage",
    "jobs": "jobs",
    "gpu_hours": "GPU-hours",
    "core_hours": "core-hours",
    "chain_hours": "longest chain",
    "longest_job_hours": "longest job",
    "allocations": "allocations",
    "images": "images generated",
    "disk_kept_gb": "disk kept, GB",
    "disk_peak_gb": "disk at most, GB",
    "money": "money",
    "kwh": "kWh",
    "co2_kg": "kg CO2",
    "partition": "partition",
}
TIMES = {"chain_hours", "longest_job_hours"}
# Columns of a terminal; the page of a plan has all of them.
SHORT = ("stage", "jobs", "gpu_hours", "core_hours", "chain_hours", "disk_kept_gb", "money")


def format_amount(value) -> str:
    """Return a number with three digits, an integer with all; text as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    if 0 < value < 0.001:
        return f"{value:.1g}"
    return f"{float(f'{value:.3g}'):,}" if value else "0"


def format_hours(hours: float) -> str:
    """Return a duration in seconds, minutes or hours."""
    seconds = hours * HOUR
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if hours < 2 else f"{hours:,.0f} h"


def cells(rows: list[dict], currency: str, keys: Iterable[str] = COLUMNS) -> list[dict[str, str]]:
    """Return rows of a plan as texts, by heading, without columns that say nothing.

    GPU-hours are left out if no job uses a GPU, allocations if no job needs several.

    Parameters
    ----------
    rows : list of dict
        From `summary.table`.
    currency : str
        Heading of the column `money`.
    keys : iterable of str
        Columns to show.
    """
    columns = {key: COLUMNS[key] for key in keys} | {"money": currency}
    if not any(row["gpu_hours"] for row in rows):
        del columns["gpu_hours"]
    if all(row["allocations"] <= 1 for row in rows):
        columns.pop("allocations", None)
    return [
        {
            name: format_hours(row[key]) if key in TIMES else format_amount(row[key])
            for key, name in columns.items()
        }
        for row in rows
    ]


def text(title: str, rows: list[dict], machine: Hardware) -> str:
    """Return the table for a terminal, with a line about the jobs and the hardware.

    Parameters
    ----------
    title : str
    rows : list of dict
        From `summary.table`.
    machine : Hardware
    """
    total, done = rows[-2:]
    lines = cells(rows[:-1], machine.currency, SHORT)
    align = ["left", *["right"] * (len(lines[0]) - 1)]
    table = tabulate(lines, headers="keys", disable_numparse=True, colalign=align)
    return (
        f"{title}: {total['jobs']:,} jobs to run on {machine.title}. {done['jobs']:,} jobs that "
        f"they build on are done.\n\n{table}"
    )
