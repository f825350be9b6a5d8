"""Score one source at each of its guidance scales (`synscale/evaluation/scores.py`).

The study's `scores` define the reference classifier, the number of images and the evaluation set.
"""

from synscale.runtime.torch_setup import deterministic

from synscale.evaluation.scores import load_reference, score
from synscale.runtime import cli
from synscale.runtime.atomic import write_json
from synscale.workflow.runs import Run
from synscale.workflow.settings.evaluation import score_settings


def main(arguments: list[str] | None = None) -> None:
    """Score the source that the command line names."""
    parser = cli.parser(__doc__, "source")
    parser.add_argument("--images", required=True, nargs="+", help="tars of the source, in order")
    parser.add_argument("--real", required=True, help="tar of the evaluation set to compare with")
    parser.add_argument(
        "--models", required=True, help="folder of the reference's group, or of its download"
    )
    parser.add_argument("--output", required=True, help="JSON, an entry for each guidance scale")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, score_settings)

    device = deterministic(args.threads)
    run = settings.reference if isinstance(settings.reference, Run) else None
    classifier = load_reference(run, args.models, device)
    entries = score(settings, args.images, args.real, classifier, args.threads - 1)
    write_json(args.output, entries)


if __name__ == "__main__":
    main()
