"""Minutes, disk and GPU-hours that jobs request, from their plan."""

import math

from synscale.planning import estimates, hardware
from synscale.planning.summary import cost
from tests.support.planning import DIGITS
from tests.support.workflow import ROOT

JOB = {"study": "digits", "source": "diffusion_class_names", "shard": "00000"}


def test_runtime_is_twice_the_plan_per_attempt():
    requests = estimates.ResourceEstimates({"digits": DIGITS}, "laptop")
    planned = cost(DIGITS, "generate", JOB, hardware.load("laptop"))
    minutes = requests.runtime("generate", JOB)
    assert minutes == max(10, math.ceil(planned.seconds / 30))
    assert requests.runtime("generate", JOB, attempt=3) == 3 * minutes
    disk = planned.work.outputs + planned.work.state
    assert requests.disk_gb("generate", JOB) == math.ceil(disk / 1e9)
    assert requests.gpu_hours("generate", JOB) == 0  # the digits use none


def test_runtime_without_speed_is_the_guess_of_the_rule(tmp_path):
    text = (ROOT / "profiles/hardware/laptop.yaml").read_text(encoding="utf-8")
    (tmp_path / "empty.yaml").write_text(text.partition("rates:")[0] + "rates: []\n")
    requests = estimates.ResourceEstimates({"digits": DIGITS}, "laptop")
    requests.machine = hardware.load("empty", tmp_path)
    guess = estimates.MINUTES["generate"]
    assert requests.runtime("generate", JOB, attempt=2) == 2 * guess
