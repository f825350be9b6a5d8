"""The job listing of a dry run: one short line for the first jobs of each rule.

Snakemake prints a paragraph for each job, with every input file and every reason: 114,000 lines
for a figure of the paper. It still does with `--printshellcmds` (`-p`).
"""

import logging
import textwrap
from collections import Counter

from snakemake.logging import DefaultFormatter, format_resources, is_quiet_about, logger
from snakemake.settings.types import OutputSettings

SHOWN = 3  # jobs of each rule
WIDTH = 180  # characters of a line
# Resources that Snakemake adds by itself, or in a second unit.
HIDDEN = {"_cores", "_nodes", "tmpdir", "mem", "mem_mib", "disk", "disk_mib"}
WAITING = "input files updated by another job"
NOTE = (
    f"At most {SHOWN} jobs of each rule are listed; add -p for all jobs with their files, "
    "reasons and commands."
)


def short_reason(reason: str) -> str:
    """Return the reasons of a job without the names of files.

    Nearly every job waits for another one, so this is left out if there is a second reason.

    Parameters
    ----------
    reason : str
        Such as `Missing output files: a; Input files updated by another job: b, c`.
    """
    parts = (part.partition(":")[0].strip().lower() for part in reason.split(";"))
    names = list(dict.fromkeys(filter(None, parts)))
    return ", ".join([name for name in names if name != WAITING] or names)


def job_line(job: dict, with_reason: bool = True) -> str:
    """Return a job on one line.

    Parameters
    ----------
    job : dict
        Fields of Snakemake's record of the job.
    with_reason : bool
        Add why it runs.
    """
    wildcards = ", ".join(f"{key}={value}" for key, value in job["wildcards"].items())
    resources = format_resources(job["resources"], omit_keys=HIDDEN)
    reason = short_reason(job["reason"]) if with_reason else ""
    parts = [wildcards, reason, f"threads={job['threads']}, {resources}"]
    line = f"{job['rule_name']}: {'; '.join(part for part in parts if part)}"
    return textwrap.shorten(line, WIDTH, placeholder=" ...")


class ShortListing(DefaultFormatter):
    """Formats the records of a dry run."""

    def __init__(self, settings: OutputSettings):
        super().__init__(settings.quiet, settings.show_failed_logs)
        self.jobs: Counter[str] = Counter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record, with long lines of messages broken."""
        text = super().format(record)
        is_message = getattr(record, "event", None) is None and record.levelno == logging.INFO
        if not is_message or max(map(len, text.splitlines()), default=0) <= WIDTH:
            return text
        return "\n".join(part for line in text.splitlines() for part in _wrap(line))

    def format_job_info(self, msg: dict) -> str:
        """Return a line for the first jobs of a rule, nothing for the others."""
        self.jobs[msg["rule_name"]] += 1
        if self.jobs[msg["rule_name"]] > SHOWN:
            return ""
        return job_line(msg, not is_quiet_about(self.quiet, "reason"))

    def format_run_info(self, msg: dict) -> str:
        """Return the number of jobs of each rule; after the listing, only a note."""
        return f"\n{NOTE}\n" if self.jobs else super().format_run_info(msg)


def _wrap(line: str) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False) or [""]


def shorten(settings: OutputSettings) -> None:
    """Let a dry run list jobs on short lines, unless it prints commands.

    Parameters
    ----------
    settings : OutputSettings
        Of Snakemake's command line.
    """
    if not settings.dryrun or settings.printshellcmds:
        return
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.setFormatter(ShortListing(settings))
