"""Evaluate a model of the paper's authors as this project's models are: by `evaluate` or
`evaluate_clip`.
"""

from pathlib import Path

from synscale.runtime.torch_setup import deterministic

from scripts import evaluate, evaluate_clip
from synscale.runtime import cli
from synscale.study import class_table
from synscale.workflow.settings.author_checkpoints import author_checkpoint_settings


def main(arguments: list[str] | None = None) -> None:
    """Evaluate the model that the command line names."""
    parser = cli.parser(__doc__, "checkpoint")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument(
        "--model",
        required=True,
        help="safetensors, as convert_author_checkpoint makes it, named as the model",
    )
    parser.add_argument(
        "--sets",
        required=True,
        nargs="+",
        help="tars of the evaluation sets, in the order of settings.evaluation",
    )
    parser.add_argument(
        "--output", required=True, help="parquet, a row for each evaluation set and class"
    )
    parser.add_argument(
        "--state", help="folder of finished sets, kept until the evaluation is complete"
    )
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, author_checkpoint_settings)

    folder, device, workers = Path(args.model).parent, deterministic(args.threads), args.threads - 1
    if settings["kind"] == "clip":
        classes = class_table.read(args.classes)
        table = evaluate_clip.evaluate(
            settings, classes, folder, args.sets, device, workers, args.state
        )
    else:
        table = evaluate.evaluate(settings, folder, args.sets, device, workers, args.state)
    evaluate.write(table.astype({"seed": "Int64"}), args.output, args.state)


if __name__ == "__main__":
    main()
