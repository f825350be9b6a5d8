"""Many injected faults in one run, as docs/reference/reliability.md reports.

python -m tests.slurm.soak --faults 100 --into docs/reference/reliability.md

Rounds of four jobs, one a stage, each hit several times at random moments; after each round, every
output is compared with those of a round that nothing disturbed. The table is written again
after each round.
"""

import argparse
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from tests.support.slurm.cluster import Cluster
from tests.support.slurm.faults import FAULTS, STAGES, Hit, long_study, outputs, storm

MARKER = "<!-- what follows is written by tests.slurm.soak -->\n"
HITS = 3  # hits of each job in a round


def table(hits: list[tuple[Hit, bool]], seconds: float, seed: int) -> str:
    """Markdown. hits: with whether every output of the round was equal to the undisturbed one, bit
    for bit.
    """
    lines = [
        f"{len(hits)} faults in {seconds / 60:.0f} minutes, seed {seed}: "
        f"{sum(equal for _, equal in hits)} recovered with equal output.",
        "",
        "| fault | stage | injected | recovered | work lost, s: median (most) | output equal |",
        "|---|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        for stage in STAGES:
            recorded_hits = [
                (hit.lost, equal) for hit, equal in hits if (hit.fault, hit.stage) == (fault, stage)
            ]
            if recorded_hits:
                lost, good = (
                    [one for one, _ in recorded_hits],
                    sum(equal for _, equal in recorded_hits),
                )
                verdict = (
                    "bit for bit"
                    if good == len(recorded_hits)
                    else f"{len(recorded_hits) - good} NOT"
                )
                lines.append(
                    f"| {fault} | {stage} | {len(recorded_hits)} | {good} | "
                    f"{statistics.median(lost):.1f} ({max(lost):.1f}) | {verdict} |"
                )
    return "\n".join(lines) + "\n"


def clear(workflow) -> None:
    """Remove the outputs of the stages and keep their inputs."""
    for target, _ in STAGES.values():
        path = workflow.folder / target
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def soak(faults: int, seed: int, report: Path) -> list[tuple[Hit, bool]]:
    random_ = random.Random(seed)  # noqa: S311  (no secret)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    began = time.monotonic()
    cluster = Cluster(folder / "cluster").start()
    try:
        workflow = long_study(folder / "workflow", cluster)
        storm(workflow, {stage: [] for stage in STAGES})
        expected, hits = outputs(workflow), []
        while len(hits) < faults:
            clear(workflow)
            planned = {stage: random_.choices(list(FAULTS), k=HITS) for stage in STAGES}
            new_hits = storm(workflow, planned, lambda: random_.uniform(0, 2))
            workflow.assert_nothing_is_left_over()
            equal = outputs(workflow) == expected
            hits += [(hit, equal) for hit in new_hits]
            print(
                f"{time.monotonic() - began:.0f} s: {len(hits)} faults, "
                f"this round's output {'equal' if equal else 'DIFFERS'}",
                flush=True,
            )
            head = report.read_text().split(MARKER)[0] if report.exists() else ""
            report.write_text(head + MARKER + table(hits, time.monotonic() - began, seed))
    finally:
        cluster.stop()
    shutil.rmtree(folder)
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--into",
        type=Path,
        default=Path("docs/reference/reliability.md"),
        help="file whose part after the marker is replaced",
    )
    args = parser.parse_args()
    if not all(equal for _, equal in soak(args.faults, args.seed, args.into)):
        raise SystemExit("an output differs from that of the undisturbed round")


if __name__ == "__main__":
    main()
