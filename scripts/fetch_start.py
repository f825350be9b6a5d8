"""Fetch the released weights that classifiers start from. Runs where Snakemake runs."""

import shutil

from synscale.runtime.torch_setup import deterministic

from synscale.models import download, starts
from synscale.models.checksums import WeightsError
from synscale.study.load import load_study
from synscale.workflow.settings.training import start_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of the rule."""
    name = "classifiers.architectures.{architecture}"
    args, _ = download.run(__doc__, ("architecture",), arguments, start_settings, f"{name}.start")
    deterministic(1)
    architecture = load_study(args.study).classifiers.architectures[args.architecture]
    try:
        starts.check_shape(starts.read_pretrained(args.output, pretrained=False), architecture)
    except WeightsError as error:
        shutil.rmtree(args.output)
        raise SystemExit(f"{name.format(**vars(args))}: {error}") from None


if __name__ == "__main__":
    main()
