"""docs/performance.md from the result files of the benchmarks: figures, with machine, command and
date.

python -m benchmarks.report [--output docs/performance.md]
"""

import argparse
import json
from pathlib import Path

from benchmarks.measuring import RESULTS, markdown
from synscale.runtime.atomic import atomic_write

OUTPUT = Path(__file__).parents[1] / "docs/performance.md"
ORDER = (
    "law_fitting",
    "batches",
    "reading",
    "evaluation",
    "scores",
    "growth",
    "digits_run",
    "vit_training",
    "clip_training",
    "generation",
)
ELSEWHERE = ("law_coverage",)  # results that are no times: docs/laws.md has them
GPU = {  # result file -> what to run where there is a GPU
    "vit_training-vit_small-cuda": "python -m benchmarks.vit_training --model vit_small",
    "vit_training-vit_base-cuda": "python -m benchmarks.vit_training --model vit_base",
    "clip_training-vit_base-cuda": "python -m benchmarks.clip_training",
    "generation-stable_diffusion_15-cuda": "python -m benchmarks.generation",
    "evaluation-cuda": "python -m benchmarks.evaluation --sizes 4 --images 2048",
    "scores-cuda": "python -m benchmarks.scores --images 4096",
}
FOR_GPUS = ("vit_training", "clip_training", "generation")
HEAD = """# Performance

Made by `python -m benchmarks.report` from `benchmarks/results/`; do not edit. Each benchmark runs ours and its peer in turn on the same work, in one run, and
checks that both make the same before it times anything. *Times ours*: how many times as long as ours the peer takes, the median over rounds of
runs next to each other, then the lowest and highest; above 1 ours is faster. Seconds are of the processor on a CPU and of the clock on a GPU.
Predictions were written before the figures were taken, and stand as they were. How long planning takes: [planning.md](../benchmarks/planning.md)."""


def told(result: dict) -> list[str]:
    """Paragraphs of one benchmark."""
    machine = result["machine"]
    where = f"{', '.join(machine['gpus'])} with " if result["device"] != "cpu" else ""
    where += f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']:g} when it ended; torch on {machine['torch_threads']} thread"
    parts = [f"## {result['title']}", result["work"], f"*Prediction:* {result['prediction']}"]
    if result["name"].partition("-")[0] in FOR_GPUS and result["device"] == "cpu":
        parts.append(
            "**Tried at tiny size on a CPU only: the ratios below tell nothing of a GPU, whose figures are still to be taken.**"
        )
    for heading, rows in result["tables"].items():
        parts += [f"### {heading}"] if heading else []
        parts.append(markdown(rows))
    parts += [f"Agreement: {result['agreement']}."] if result["agreement"] else []
    parts += result["notes"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return [*parts, f"`{result['command']}`, {result['date']}. {where}. {versions}."]


def page(results: dict[str, dict]) -> str:
    """Markdown. results: name -> what its file holds."""
    parts = [HEAD]
    waiting = [command for name, command in GPU.items() if name not in results]
    if waiting:
        parts += [
            "## Still to be taken on a GPU",
            "No GPU was at hand. There these commands take the figures, then `python -m benchmarks.report`:",
        ]
        parts.append("\n".join(["```bash", *waiting, "```"]))
    for name in sorted(
        results.keys() - set(ELSEWHERE),
        key=lambda name: (ORDER.index(name.partition("-")[0]), name),
    ):
        parts += told(results[name])
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    args = parser.parse_args(arguments)
    files = sorted(args.results.glob("*.json"))
    if not files:
        raise SystemExit(
            f"{args.results}: no result file: run a benchmark first, such as python -m benchmarks.law_fitting"
        )
    with atomic_write(args.output) as (part,):
        part.write_text(
            page({path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}),
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
