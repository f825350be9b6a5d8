"""Write studies/schema.json, with which editors complete and check a study file.

Run it as `python -m synscale.study.schema`.
"""

import json
from pathlib import Path
from typing import Any

from synscale.study import automatic
from synscale.study.models import Study

PATH = Path("studies/schema.json")


def schema() -> dict[str, Any]:
    """Return the JSON schema of a study file."""
    content = Study.model_json_schema()
    for model, rows in automatic.SECTIONS.values():
        for key in rows:
            auto = {"const": automatic.AUTO, "description": "what follows from the experiments"}
            content["$defs"][model.__name__]["properties"][key]["anyOf"].append(auto)
    return content


def text() -> str:
    """Return the content of the schema file."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
