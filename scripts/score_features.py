"""Compare one source with real images in one feature space, at each of its guidance scales.

The study's `scores` define the feature spaces, the measures, the number of images and the
evaluation set.
"""

from synscale.runtime.torch_setup import deterministic

from synscale.evaluation import feature_spaces
from synscale.evaluation.feature_scores import score_features
from synscale.runtime import cli
from synscale.runtime.atomic import write_json
from synscale.workflow.runs import Run
from synscale.workflow.settings.feature_scores import feature_score_settings


def main(arguments: list[str] | None = None) -> None:
    """Compare the source that the command line names."""
    parser = cli.parser(__doc__, "source", "feature")
    parser.add_argument("--images", required=True, nargs="+", help="tars of the source, in order")
    parser.add_argument("--real", required=True, help="tar of the evaluation set to compare with")
    parser.add_argument(
        "--training", nargs="*", default=[], help="tars of the training images of the generator"
    )
    parser.add_argument(
        "--model", required=True, help="folder of the model's group, or of its download"
    )
    parser.add_argument("--output", required=True, help="JSON, an entry for each guidance scale")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, feature_score_settings)

    device = deterministic(args.threads)
    run = settings.model if isinstance(settings.model, Run) else None
    space = feature_spaces.load(settings.feature, run, args.model, device)
    tars = (args.images, args.real, args.training)
    write_json(args.output, score_features(settings, *tars, space, args.threads - 1))


if __name__ == "__main__":
    main()
