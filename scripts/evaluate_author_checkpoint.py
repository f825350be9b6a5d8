"""Evaluate a checkpoint of the paper's authors, as `evaluate` or `evaluate_clip` evaluates."""

from pathlib import Path

from synscale.runtime.torch_setup import deterministic

from synscale.evaluation import evaluator
from synscale.evaluation.classifiers import ClassifierEvaluator
from synscale.evaluation.clip import ClipEvaluator
from synscale.runtime import cli
from synscale.study import class_table
from synscale.workflow.settings.author_checkpoints import author_checkpoint_settings
from synscale.workflow.settings.evaluation import ClipEvaluationSettings


def main(arguments: list[str] | None = None) -> None:
    """Evaluate the checkpoint that the command line names."""
    parser = cli.parser(__doc__, "checkpoint")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument(
        "--model", required=True, type=Path, help="{checkpoint}.safetensors, converted"
    )
    evaluator.add_arguments(parser)
    args, settings = cli.parse(parser, arguments, author_checkpoint_settings)
    device = deterministic(args.threads)
    folder, workers = args.model.parent, args.threads - 1
    if isinstance(settings, ClipEvaluationSettings):
        classes = class_table.read(args.classes)
        models = ClipEvaluator(settings, folder, classes, device, workers)
    else:
        models = ClassifierEvaluator(settings, folder, device, workers)
    table = evaluator.evaluate(models, args.sets, args.state).astype({"seed": "Int64"})
    evaluator.write(table, args.output, args.state)


if __name__ == "__main__":
    main()
