"""Write docs/reference/performance.md from the result files of the benchmarks.

python -m benchmarks.report [--output docs/reference/performance.md]
"""

import argparse
import json
from pathlib import Path

from benchmarks.measuring import RESULTS, markdown
from synscale.runtime.atomic import atomic_write

OUTPUT = Path(__file__).parents[1] / "docs/reference/performance.md"
ORDER = (
    "law_fitting",
    "batches",
    "augmentation",
    "reading",
    "evaluation",
    "scores",
    "growth",
    "planning",
    "digits_run",
    "vit_training",
    "clip_training",
    "generation",
)
ELSEWHERE = ("law_coverage",)  # results without times, in docs/reference/laws.md
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

`python -m benchmarks.report` writes this page from `benchmarks/results/`; do not edit it. Each
benchmark runs this project's code and its peer in turn on the same work, in one run, and checks
that both give the same result before it times anything. *Ratio*: how many times as long as this
project's code the peer takes, the median over rounds of runs next to each other, then the lowest
and highest; above 1 this project's code is faster. Seconds are CPU time on a CPU and wall time on a
GPU. Predictions were written before the measurements; only their wording was edited later."""


def section(result: dict) -> list[str]:
    """Return the paragraphs of one benchmark."""
    machine = result["machine"]
    where = f"{', '.join(machine['gpus'])} with " if result["device"] != "cpu" else ""
    where += f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']:g} at the end"
    where += f"; torch with {machine['torch_threads']} thread"
    parts = [f"## {result['title']}", result["work"], f"*Prediction:* {result['prediction']}"]
    if result["name"].partition("-")[0] in FOR_GPUS and result["device"] == "cpu":
        parts.append("**Tiny size on a CPU only: the ratios below say nothing about a GPU.**")
    for heading, rows in result["tables"].items():
        if heading:
            parts.append(f"### {heading}")
        parts.append(markdown(rows))
    if result["agreement"]:
        parts.append(f"Agreement: {result['agreement']}.")
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    command = f"`{result['command']}`, {result['date']}. {where}. {versions}."
    return [*parts, *result["notes"], command]


def page(results: dict[str, dict]) -> str:
    """Return the page as Markdown, from the content of each result file by its name."""
    parts = [HEAD]
    missing = [command for name, command in GPU.items() if name not in results]
    if missing:
        parts += [
            "## Not measured on a GPU yet",
            "On a machine with a GPU run these commands, then `python -m benchmarks.report`:",
            "\n".join(["```bash", *missing, "```"]),
        ]
    names = results.keys() - set(ELSEWHERE)
    for name in sorted(names, key=lambda name: (ORDER.index(name.partition("-")[0]), name)):
        parts += section(results[name])
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    args = parser.parse_args(arguments)
    files = sorted(args.results.glob("*.json"))
    if not files:
        fix = "run a benchmark first, such as python -m benchmarks.law_fitting"
        raise SystemExit(f"{args.results}: no result file; {fix}")
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}
    with atomic_write(args.output) as (part,):
        part.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
