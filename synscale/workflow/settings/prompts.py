"""Settings of the jobs that write prompts."""

from synscale.study.models import Study


def prompt_settings(study: Study, recipe: str) -> dict:
    return {"recipe": recipe} | study.recipes[recipe].model_dump()


def language_model_settings(study: Study, recipe: str) -> dict:
    return study.recipes[recipe].model_dump(include={"model", "revision"})
