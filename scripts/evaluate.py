"""Evaluate the classifiers of one group on every evaluation set: top-1 and cross-entropy.

The protocol is described in `synscale/evaluation/classifiers.py`. An interrupted evaluation resumes
with the set that it had not finished.
"""

from pathlib import Path

from synscale.runtime.torch_setup import deterministic

from synscale.evaluation import evaluator
from synscale.evaluation.classifiers import ClassifierEvaluator
from synscale.runtime import cli
from synscale.workflow.settings.evaluation import evaluation_settings


def main(arguments: list[str] | None = None) -> None:
    """Evaluate the classifiers that the command line names."""
    parser = cli.parser(__doc__, "source", "group")
    parser.add_argument("--models", required=True, type=Path, help="folder of the group")
    evaluator.add_arguments(parser)
    args, settings = cli.parse(parser, arguments, evaluation_settings)
    device = deterministic(args.threads)
    models = ClassifierEvaluator(settings, args.models, device, args.threads - 1)
    evaluator.write(evaluator.evaluate(models, args.sets, args.state), args.output, args.state)


if __name__ == "__main__":
    main()
