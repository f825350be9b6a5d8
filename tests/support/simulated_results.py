"""Simulated results of the digits study, in files as the workflow writes them."""

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from scripts import fit_laws
from synscale.analysis import metrics
from synscale.report import tables
from synscale.study.load import load_study
from synscale.study.models import Study
from synscale.workflow.paths import metric_files
from synscale.workflow.runs import group_runs, training_runs
from synscale.workflow.settings.laws import law_settings
from synscale.workflow.shards import real_sources, synthetic_sources
from tests.support.simulated_metrics import CLASSES, rows_of, score_entries

STUDY = "studies/digits.yaml"
NUMBERS = "data/paper_numbers.csv"


@dataclass
class Results:
    """Files of each stage."""

    study: Study
    metrics: list[str]
    clip_metrics: list[str]
    scores: list[str]
    laws: list[str]
    prompts: list[str]
    histories: list[str]


def simulate(folder: Path) -> Results:
    """Write the results of every stage that tables and figures read."""
    study = load_study(STUDY)
    random = np.random.default_rng(0)
    files = _write_metrics(study, folder, random)
    files["scores"] = _write_scores(study, folder, random)
    files["laws"] = _write_laws(study, folder, files)
    files["prompts"] = _write_prompts(study, folder)
    files["histories"] = [_write_history(study, folder)]
    return Results(study, **{name: list(map(str, paths)) for name, paths in files.items()})


def _write_metrics(study: Study, folder: Path, random) -> dict[str, list[Path]]:
    files = {"metrics": [], "clip_metrics": []}
    for path in metric_files(study):
        *_, kind, source, name = Path(path).parts
        is_clip = kind == "clip_metrics"
        evaluations = [*study.data.evaluation, *(study.clip.tasks if is_clip else [])]
        rows = []
        for run in group_runs(study, source, Path(name).stem):
            rows += rows_of(run, evaluations, is_clip, random)
        table = pd.DataFrame(rows).astype({"class_id": "Int64", "guidance": "Float64"})
        files[kind].append(folder / f"{kind}-{source}-{name}")
        table.to_parquet(files[kind][-1])
    return files


def _write_history(study: Study, folder: Path) -> Path:
    """Write held-out losses that fall by 1 % of the last one at the end, by 10 % with seed 0."""
    rows = []
    for run in training_runs(study):
        fall = 0.1 if run.seed == 0 else 0.01
        for iteration, loss in ((80, 1 / (1 - fall)), (100, 1.0)):
            rows.append((run.source, run.name, iteration, loss))
    path = folder / "histories.csv"
    columns = ["source", "run", "iteration", "held_out_loss"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    return path


def _write_scores(study: Study, folder: Path, random) -> list[Path]:
    files = []
    for source in real_sources(study) + synthetic_sources(study):
        row = study.sources[source]
        scales = list(row.images) if row.kind == "synthetic" else [None]
        files.append(folder / f"{source}.json")
        files[-1].write_text(json.dumps(score_entries(source, scales, random)))
    return files


def _write_laws(study: Study, folder: Path, files: dict[str, list[Path]]) -> list[Path]:
    (folder / "laws").mkdir(exist_ok=True)
    laws = []
    for name in study.laws:
        law = law_settings(study, name)
        paths = files["clip_metrics" if name.startswith("clip") else "metrics"]
        table = metrics.of_files(paths, law.evaluation, law.experiments)
        curves = fit_laws.fit(table, law.sizes)
        entry = {"evaluation": law.evaluation, "interval": 0.95, "curves": curves}
        laws.append(folder / "laws" / f"{name}.json")
        laws[-1].write_text(json.dumps(entry))
    return laws


def _write_prompts(study: Study, folder: Path) -> list[Path]:
    files = []
    for recipe in study.recipes:
        rows = [(c, t, f"{recipe} | {c} {t}") for t in range(3) for c in range(CLASSES)]
        files.append(folder / f"{recipe}.parquet")
        pd.DataFrame(rows, columns=["class_id", "text_id", "text"]).to_parquet(files[-1])
    return files


def tabulate(script, folder: Path, *arguments: str) -> tuple[pd.DataFrame, str]:
    """Run a script; return its csv and its Markdown, which is checked."""
    outputs = [str(folder / f"table.{suffix}") for suffix in tables.FORMATS]
    script.main(["--study", STUDY, *arguments, "--output", *outputs])
    text = Path(outputs[1]).read_text()
    assert text.startswith("# ")
    assert not re.search(r"\bnan\b|<NA>|None", text), text
    for before, after in pairwise(line for line in text.splitlines() if line):
        if before.startswith("|") and after.startswith("|"):
            assert before.replace("\\|", "").count("|") == after.replace("\\|", "").count("|")
    return pd.read_csv(outputs[0]), text
