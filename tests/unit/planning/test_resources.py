"""Minutes, disk and GPU-hours that jobs request, from their plan."""

import math

from synscale.planning import hardware, resources
from synscale.planning.summary import cost
from tests.support.planning import DIGITS
from tests.support.workflow import ROOT


def test_runtime_is_twice_the_plan_per_attempt():
    limits = resources.Limits({"digits": DIGITS}, "laptop")
    job = {"study": "digits", "source": "diffusion_class_names", "shard": "00000"}
    planned = cost(DIGITS, "generate", job, hardware.load("laptop"))
    minutes = limits.runtime("generate", 120)
    assert minutes(job) == max(10, math.ceil(planned.seconds / 30))
    assert minutes(job, 3) == 3 * minutes(job)
    assert limits.disk_gb("generate")(job) == math.ceil(
        (planned.work.outputs + planned.work.state) / 1e9
    )
    assert limits.gpu_hours("generate")(job) == 0  # the digits use none


def test_runtime_without_speed_is_the_guess_of_the_rule(tmp_path):
    text = (ROOT / "profiles/hardware/laptop.yaml").read_text(encoding="utf-8")
    (tmp_path / "empty.yaml").write_text(text.partition("rates:")[0] + "rates: []\n")
    limits = resources.Limits({"digits": DIGITS}, "laptop")
    limits.machine = hardware.load("empty", tmp_path)
    job = {"study": "digits", "source": "diffusion_class_names", "shard": "00000"}
    assert limits.runtime("generate", 120)(job, 2) == 240
