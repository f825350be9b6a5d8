"""Flag the images of one shard that a safety checker classifies as not safe for work.

The flags are a record next to the images: no image is changed, and no training reads them.
"""

from synscale.runtime.torch_setup import deterministic

from synscale.models import checksums, safety_checker
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.workflow.settings.generation import flag_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of the rule."""
    parser = cli.parser(__doc__, "source")
    parser.add_argument("--images", required=True, help="tar of a shard")
    parser.add_argument("--checker", required=True, help="folder of the safety checker")
    parser.add_argument("--output", required=True, help="parquet: key, nsfw, concept_score")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, flag_settings)

    device = deterministic(args.threads)
    try:
        checker = safety_checker.Checker(args.checker, settings.checker.variant, device)
    except checksums.WeightsError as error:
        raise SystemExit(str(error)) from None
    table = safety_checker.flags(args.images, checker, settings.checker.batch_size)
    with atomic_write(args.output) as (part,):
        table.to_parquet(part, index=False)
    print(f"{table['nsfw'].sum()} of {len(table)} images are flagged")


if __name__ == "__main__":
    main()
