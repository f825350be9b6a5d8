"""Write docs/reference/performance.md from the result files of the benchmarks.

python -m benchmarks.report [--output docs/reference/performance.md]
"""

import argparse
import json
from pathlib import Path

from benchmarks.measuring import PROJECT, RESULTS, formatted, markdown
from synscale.runtime.atomic import atomic_write

OUTPUT = Path(__file__).parents[1] / "docs/reference/performance.md"
ORDER = (  # as in the data path, then what surrounds the jobs
    "batches",
    "augmentation",
    "reading",
    "vit_training",
    "clip_training",
    "generation",
    "evaluation",
    "scores",
    "law_fitting",
    "planning",
    "digits_run",
    "study_on_gpu",
    "growth",
)
# Results without times, in docs/reference/laws.md; the record of a run on a GPU.
ELSEWHERE = ("law_coverage", "on_gpu")
FOR_GPUS = ("vit_training", "clip_training", "generation")  # no goals on a CPU
GPU = {  # result file -> what to run where there is a GPU
    "vit_training-vit_small-cuda": "python -m benchmarks.vit_training --model vit_small",
    "vit_training-vit_base-cuda": "python -m benchmarks.vit_training --model vit_base",
    "clip_training-vit_base-cuda": "python -m benchmarks.clip_training",
    "generation-stable_diffusion_15-cuda": "python -m benchmarks.generation",
    "evaluation-cuda": "python -m benchmarks.evaluation --sizes 4 --images 2048",
    "scores-cuda": "python -m benchmarks.scores --images 4096",
}
HEAD = """# Performance

This page compares this project's code with other implementations of the same work.
`python -m benchmarks.report` writes it from `benchmarks/results/`; do not edit it.

- *Ratio*: time of the peer divided by the time of this project; above 1 this project is faster.
  For planning it is the time of this project divided by that of the peer.
- Ratios are medians over rounds in which the implementations run in turn on the same work; the
  lowest and highest ratio are in parentheses. Times are CPU time on a CPU and wall time on a GPU.
- Before a benchmark measures time, it checks that all implementations give the same result.
- Each result file has a prediction, which was written before the measurement and not changed
  after it, and the versions of all packages."""


NOT_MEASURED = """## Not measured on a GPU

These goals are for a GPU, and no result of a GPU exists. A ratio at a tiny size on a CPU says
nothing about a GPU."""
RUN = (
    "Run these commands on a machine with a GPU, then `python -m benchmarks.report`. "
    "`python -m benchmarks.on_gpu` runs three of them with smaller numbers, in 12 minutes on a "
    "machine without network access:"
)


def stem(name: str) -> str:
    """Return the name of a benchmark from that of its result file."""
    return name.partition("-")[0]


def is_measured(name: str, result: dict) -> bool:
    """Whether a result is of the device that the benchmark's goals are for."""
    return result["device"] != "cpu" or stem(name) not in FOR_GPUS


def compared(result: dict) -> list[dict]:
    """Return a row for each peer: stage, peer, ratio, goal, reached.

    Peers without a goal are left out if another one of the benchmark has a goal.
    """
    rows = []
    for heading, table in result["tables"].items():
        stage = f"{result['title']}: {heading[0].lower()}{heading[1:]}" if heading else ""
        peer = next((row.get("implementation") for row in table if "ratio" not in row), "")
        for row in table:
            if "lowest" not in row or row["implementation"].startswith(f"{PROJECT},"):
                continue
            median, low, high = (formatted(row[key]) for key in ("ratio", "lowest", "highest"))
            rows.append(
                {
                    "stage": stage or result["title"],
                    "peer": peer if row["implementation"] == PROJECT else row["implementation"],
                    "ratio": f"{median} ({low} to {high})",
                    "goal": row.get("goal", "none"),
                    "reached": row.get("reached", ""),
                }
            )
    return [row for row in rows if row["reached"]] or rows


def not_measured(results: dict[str, dict]) -> list[dict]:
    """Return a row for each peer of the results that a GPU has to give."""
    rows = []
    for missing in GPU:
        on_cpu = [name for name in results if stem(name) == stem(missing)]
        if missing in results or not on_cpu:
            continue
        result = results[on_cpu[0]]
        model = missing.removesuffix("-cuda").partition("-")[2]
        peers = {row["peer"]: row for row in reversed(compared(result))}
        for row in reversed(peers.values()):
            tiny = "" if is_measured(on_cpu[0], result) else row["ratio"]
            stage = f"{result['title']} ({model})" if model else result["title"]
            goal = {"stage": stage, "peer": row["peer"], "goal": row["goal"]}
            rows.append(goal | {"ratio at a tiny size on a CPU": tiny})
    return rows


def section(name: str, result: dict) -> list[str]:
    """Return the paragraphs of one benchmark."""
    machine = result["machine"]
    where = f"{', '.join(machine['gpus'])} with " if result["device"] != "cpu" else ""
    where += f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']:g} at the end"
    parts = [f"### {result['title']}", f"{result['work'][0].upper()}{result['work'][1:]}."]
    if not is_measured(name, result):
        parts.append("**Tiny size on a CPU: the ratios say nothing about a GPU.**")
    for heading, rows in result["tables"].items():
        parts += [f"#### {heading}"] if heading else []
        parts.append(markdown(rows))
    if result["agreement"]:
        parts.append(f"Agreement: {result['agreement']}.")
    command = f"`{result['command']}`, {result['date']}, {where}"
    file = f"[result file](../../benchmarks/results/{name}.json)"
    return [
        *parts,
        *result["notes"],
        f"{command}, torch with {machine['torch_threads']} thread; {file}.",
    ]


def page(results: dict[str, dict]) -> str:
    """Return the page as Markdown, from the content of each result file by its name."""
    names = sorted(
        results.keys() - set(ELSEWHERE), key=lambda name: (ORDER.index(stem(name)), name)
    )
    measured = [results[name] for name in names if is_measured(name, results[name])]
    rows = [row for result in measured for row in compared(result)]
    parts = [HEAD, "## Summary", markdown(rows)] if rows else [HEAD]
    if checks := [
        {"benchmark": result["title"]} | check for result in measured for check in result["checks"]
    ]:
        parts += ["Goals without a peer:", markdown(checks)]
    if missing := not_measured(results):
        commands = [command for name, command in GPU.items() if name not in results]
        parts += [NOT_MEASURED, markdown(missing), RUN, "\n".join(["```sh", *commands, "```"])]
    parts.append("## Details")
    for name in names:
        parts += section(name, results[name])
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
