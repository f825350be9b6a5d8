"""Caption one shard of the real training images by a BLIP-2, in their order."""

from synscale.runtime.torch_setup import deterministic

from synscale.data import shards
from synscale.models import language_models, prompt_jobs
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.training import checkpoint
from synscale.workflow.settings import as_json
from synscale.workflow.settings.prompts import prompt_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of rule caption_images."""
    parser = cli.parser(__doc__, "recipe")
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--images", required=True, help="tar of the shard")
    parser.add_argument("--output", required=True, help="parquet: key, class_id, caption")
    parser.add_argument("--state", required=True, help="folder of the state, kept until the end")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, prompt_settings)

    device, texts = deterministic(args.threads), prompt_jobs.TextRows()
    images, model = shards.identity([args.images]), language_models.identity(args.model)
    identity = as_json([settings, images, model])
    state = checkpoint.TrainingCheckpoint(args.state, identity, {"texts": texts})
    try:
        captioner = language_models.Captioner(args.model, device)
        table = prompt_jobs.caption_images(settings, args.images, captioner, state, texts)
    except language_models.TextError as error:
        raise SystemExit(str(error)) from None
    with atomic_write(args.output) as (part,):
        table.to_parquet(part, index=False)
    checkpoint.discard(args.state)


if __name__ == "__main__":
    main()
