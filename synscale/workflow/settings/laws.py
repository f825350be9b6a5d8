"""Settings of the jobs that fit laws."""

from synscale.study.models import Study, expand_curves


def experiment_settings(study: Study, experiments: list[str]) -> list[dict]:
    chosen = [study.experiments[name] for name in experiments]
    return [
        {
            "curves": expand_curves(e.curves, study.sources),
            **e.model_dump(include={"architectures", "sizes", "seeds"}),
        }
        for e in chosen
    ]


def law_settings(study: Study, law: str) -> dict:
    chosen = study.laws[law]
    return {
        "experiments": experiment_settings(study, chosen.experiments),
        "evaluation": chosen.evaluation,
        "sizes": chosen.sizes,
    }
