"""Generate one shard of a source: a range of image indices at each of its guidance scales."""

from synscale.data import codec
from synscale.models import checksums, generation, pipelines
from synscale.runtime import cli
from synscale.study import class_table
from synscale.study.load import load_study
from synscale.training import distributed
from synscale.workflow.settings.generation import generation_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of the rule."""
    parser = cli.parser(__doc__, "source", "shard")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    folders = "folder of a diffusers pipeline, and of LoRA weights for it if there are any"
    parser.add_argument("--pipeline", required=True, nargs="+", help=folders)
    parser.add_argument("--prompts", required=True, help="pool of texts of the recipe")
    parser.add_argument("--output", required=True, help="tar; its manifest is next to it")
    parser.add_argument("--state", required=True, help="folder of the images finished so far")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, generation_settings)
    scales = list(load_study(args.study).sources[settings.source].images)
    class_names = class_table.read(args.classes)["name"]
    with distributed.process_group(args.threads) as processes:
        try:
            inputs = settings, scales, args.pipeline, args.prompts, class_names
            generation.generate_shard(*inputs, args.output, args.state, processes)
        except (checksums.WeightsError, pipelines.SamplerError, codec.BlankImage) as error:
            where = f"{settings.source}, by {settings.generator}"
            raise SystemExit(f"{where}: {error}") from None


if __name__ == "__main__":
    main()
