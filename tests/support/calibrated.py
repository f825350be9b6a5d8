"""Hardware files that calibration writes from timed work."""

from synscale.planning import hardware
from synscale.planning.hardware import Hardware
from synscale.timing import calibration
from synscale.timing.bench import Timed
from tests.support.workflow import ROOT


def base(name: str = "a100") -> Hardware:
    """Return a type of machine of the project."""
    return hardware.load(name, ROOT / "profiles/hardware")


def machine(timed: list[Timed], name: str = "a100") -> Hardware:
    """Return a machine with the speeds of timed work, and those of a base for the rest."""
    rates = calibration.rates(timed, base(name), "a test")
    return base(name).model_copy(update={"rates": rates})
