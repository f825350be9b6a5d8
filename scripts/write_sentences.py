"""Write sentences about each class name by a T5: `texts` different ones for every class."""

from synscale.runtime.torch_setup import deterministic

from synscale.models import language_models, prompt_jobs
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.study import class_table
from synscale.training import checkpoint
from synscale.workflow.settings import as_json
from synscale.workflow.settings.prompts import prompt_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of rule write_sentences."""
    parser = cli.parser(__doc__, "recipe")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--output", required=True, help="parquet: class_id, text")
    parser.add_argument("--state", required=True, help="folder of the state, kept until the end")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, prompt_settings)

    device = deterministic(args.threads)
    classes, texts = class_table.read(args.classes), prompt_jobs.TextRows()
    names, model = classes["name"].tolist(), language_models.identity(args.model)
    identity = as_json([settings, names, model])
    state = checkpoint.TrainingCheckpoint(args.state, identity, {"texts": texts})
    try:
        writer = language_models.Writer(args.model, device)
        table = prompt_jobs.write_sentences(settings, classes, writer, state, texts)
    except language_models.TextError as error:
        raise SystemExit(str(error)) from None
    with atomic_write(args.output) as (part,):
        table.to_parquet(part, index=False)
    checkpoint.discard(args.state)


if __name__ == "__main__":
    main()
