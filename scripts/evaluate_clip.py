"""Evaluate the CLIP models of one group zero-shot, on every evaluation set and task.

The protocol is described in `synscale/evaluation/clip.py`. An interrupted evaluation resumes with
the set that it had not finished.
"""

from pathlib import Path

from synscale.runtime.torch_setup import deterministic

from synscale.evaluation import evaluator
from synscale.evaluation.clip import ClipEvaluator
from synscale.runtime import cli
from synscale.study import class_table
from synscale.workflow.settings.evaluation import clip_evaluation_settings


def main(arguments: list[str] | None = None) -> None:
    """Evaluate the CLIP models that the command line names."""
    parser = cli.parser(__doc__, "source", "group")
    parser.add_argument("--models", required=True, type=Path, help="folder of the group")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    evaluator.add_arguments(parser)
    args, settings = cli.parse(parser, arguments, clip_evaluation_settings)
    device = deterministic(args.threads)
    classes = class_table.read(args.classes)
    models = ClipEvaluator(settings, args.models, classes, device, args.threads - 1)
    evaluator.write(evaluator.evaluate(models, args.sets, args.state), args.output, args.state)


if __name__ == "__main__":
    main()
