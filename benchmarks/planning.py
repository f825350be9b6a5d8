"""How long Snakemake takes to plan a study of the paper's size, and in how much memory: what is left to do, and that nothing is.

python -m benchmarks.planning [--block 10000] [--largest 100000] [--done]

The study is the digits' with the paper's numbers of images: nothing of it is ever made, a plan reads no image. Configurations of 1.2M images
each, four curves to 9.6M, three to 64M, CLIP on 371M real pairs and as many synthetic ones; one run a job.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
LINKS = ("Snakefile", "rules", "scripts", "envs", "profiles", "data", "report")
TIMES = 2_500  # 480 images of a digits' configuration -> 1.2M, 3,840 of a curve -> 9.6M
LONG = ("diffusion_class_names", "diffusion_clip_templates", "diffusion_captions")
LONG_SIZES = [16_000_000, 32_000_000, 64_000_000]
PAIRS = 371_000_000


def paper_sized(study: dict, block: int, largest: int) -> dict:
    """The digits study, as its file has it, with the paper's numbers of images. block: image indices in a block; largest: in one of the
    pairs, and at most in one of the curves to 64M, which have 1,000 blocks otherwise."""
    study = study | {"images_per_block": block, "scales_per_block": "one", "title": "Planning"}
    sources, experiments = study["sources"], study["experiments"]
    for source in sources.values():
        if source["kind"] == "synthetic":
            source["images"] = {scale: TIMES * count for scale, count in source["images"].items()}
        for part in source.get("parts", []):
            part |= {"images": TIMES * part["images"]} if "images" in part else {}
    for recipe in (study["classifiers"], study["clips"]):
        recipe["iterations"] = {TIMES * size: count for size, count in recipe["iterations"].items()} | dict.fromkeys([*LONG_SIZES, PAIRS], 100)
        recipe["runs_per_job"] = "one"
    for own in [*experiments.values(), *study["laws"].values()]:
        own["sizes"] = [TIMES * size for size in own["sizes"]]
    for name in LONG:
        sources[name]["images"][1.5] = LONG_SIZES[-1]
        sources[name]["images_per_block"] = max(block, min(largest, LONG_SIZES[-1] // 1_000))
    experiments["long"] = {"architectures": ["vit_large"], "sizes": LONG_SIZES, "seeds": [0], "curves": [{"source": name, "guidance": 1.5} for name in LONG]}
    for name, source in (("clip_real", "real"), ("clip_synthetic", "diffusion_alt_texts")):
        sources[source] |= {"images": PAIRS if source == "real" else {1.5: PAIRS}, "images_per_block": largest}
        experiments[name]["sizes"].append(PAIRS)
    study["scores"] |= {"images": 50_000, "reference": study["scores"]["reference"] | {"size": TIMES * 480}}
    return study


def create(folder: Path, study: dict) -> None:
    """The workflow in a folder of its own, with this study alone."""
    (folder / "studies").mkdir(parents=True, exist_ok=True)
    for name in LINKS:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(ROOT / name)
    (folder / "studies/planning.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    (folder / "config.yaml").write_text("study: planning\n", encoding="utf-8")


def snakemake(folder: Path, *arguments: str) -> tuple[float, float, float, str]:
    """Seconds, seconds of the processor (fewer where others want it too), peak memory in MB, and what was printed."""
    with tempfile.TemporaryFile("w+") as printed:
        start = time.monotonic()
        child = subprocess.Popen([SNAKEMAKE, *arguments], cwd=folder, stdout=printed, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.monotonic() - start
        printed.seek(0)
        text = printed.read()
    if status:
        raise SystemExit(f"snakemake {' '.join(arguments)} failed:\n{text[-3000:]}")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, text


def jobs_of(text: str) -> int:
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("total ")), 0)


def finish(folder: Path) -> None:
    """Let every job be done: an empty file or folder for each output, then Snakemake's own record of it."""
    *_, text = snakemake(folder, "--summary")
    for line in text.splitlines():
        path = folder / line.split("\t")[0]
        if line.count("\t") < 3 or line.startswith("output_file"):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if path.suffix else path.mkdir(exist_ok=True)
    snakemake(folder, "--touch", "--cores", "1", "--quiet", "all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--block", type=int, default=10_000, help="image indices in a block (default: 10,000)")
    parser.add_argument("--largest", type=int, default=100_000, help="image indices in a block of pairs (default: 100,000)")
    parser.add_argument("--folder", type=Path, help="where to lay the study out (a temporary folder by default)")
    parser.add_argument("--done", action="store_true", help="measure the study with all jobs done, too (writes a small file for each output)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        create(folder, paper_sized(yaml.safe_load((ROOT / "studies/digits.yaml").read_text(encoding="utf-8")), args.block, args.largest))
        rows = [("snakemake -n --quiet", *snakemake(folder, "-n", "--quiet"))]
        jobs = jobs_of(rows[0][-1])
        if args.done:
            finish(folder)
            rows.append(("the same, all done", *snakemake(folder, "-n", "--quiet")))
            if "Nothing to be done" not in rows[-1][-1]:
                raise SystemExit(f"jobs are left although all are done:\n{rows[-1][-1][-3000:]}")
    print(
        f"{jobs:,} jobs; blocks of {args.block:,} images, of pairs {args.largest:,}\n\n| | seconds | of the processor | MB | ms a job |\n|---|---|---|---|---|"
    )
    for name, seconds, busy, memory, _ in rows:
        print(f"| {name} | {seconds:.1f} | {busy:.1f} | {memory:.0f} | {1000 * busy / jobs:.2f} |")


if __name__ == "__main__":
    main()
