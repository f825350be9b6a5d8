"""Lines of the job listing of a dry run."""

import pytest

from synscale.workflow.listing import WIDTH, job_line, short_reason

JOB = {
    "rule_name": "generate",
    "wildcards": {"study": "digits", "source": "sd", "shard": "00003"},
    "threads": 8,
    "resources": {"_cores": 8, "mem_mb": 4000, "mem": "4 GB", "gpu": 1, "tmpdir": "tmp"},
    "reason": "Missing output files: a.tar, b.parquet",
}


@pytest.mark.parametrize(
    ("reason", "short"),
    [
        ("Missing output files: a, b", "missing output files"),
        ("Missing output files: a; Input files updated by another job: b", "missing output files"),
        ("Input files updated by another job: b", "input files updated by another job"),
        ("Params have changed since last execution", "params have changed since last execution"),
        ("", ""),
    ],
)
def test_short_reason_names_no_files(reason, short):
    assert short_reason(reason) == short


def test_job_line_has_settings_reason_and_requests():
    settings = "generate: study=digits, source=sd, shard=00003"
    requests = "threads=8, mem_mb=4000, gpu=1"
    assert job_line(JOB) == f"{settings}; missing output files; {requests}"
    assert job_line(JOB, with_reason=False) == f"{settings}; {requests}"


def test_long_job_line_is_cut():
    line = job_line(JOB | {"wildcards": {"source": "x" * 20, "group": "y " * 200}})
    assert len(line) <= WIDTH and line.endswith(" ...")
