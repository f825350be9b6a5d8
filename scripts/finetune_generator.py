"""Fine-tune a text-to-image model on real images of the study by LoRA, and save the weights.

The base is a diffusion model that the workflow trained or fetched (synscale/training/lora_loop.py).
"""

from pathlib import Path

from synscale.runtime.torch_setup import deterministic

from synscale.models.checksums import WeightsError
from synscale.runtime import cli
from synscale.study import class_table
from synscale.training import lora_loop
from synscale.workflow.settings.finetuning import finetuning_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of the rule."""
    parser = cli.parser(__doc__, "generator")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--base", required=True, help="folder of a diffusers pipeline")
    parser.add_argument("--images", nargs="+", required=True, help="tars of real images")
    parser.add_argument("--held-out", nargs="*", default=[], help="tar of an evaluation set")
    parser.add_argument("--output", required=True, help="folder of the LoRA weights")
    parser.add_argument("--history", required=True, type=Path, help="CSV of the training")
    parser.add_argument("--state", required=True, help="folder of the training state")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, finetuning_settings)
    device = deterministic(args.threads)
    classes = class_table.read(args.classes)
    files = args.held_out, args.output, args.history, args.state
    try:
        lora_loop.train_and_save(settings, args.base, args.images, classes, *files, device)
    except WeightsError as error:
        raise SystemExit(f"generators.{args.generator}, base {settings.base}: {error}") from None


if __name__ == "__main__":
    main()
