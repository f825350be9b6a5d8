"""Write studies/schema.json, with which editors complete and check a study file.

Run it as `python -m synscale.study.schema`.
"""

import json
from pathlib import Path

from synscale.study import automatic
from synscale.study.models import Study

PATH = Path("studies/schema.json")


def text() -> str:
    """Return the content of the schema file."""
    schema = Study.model_json_schema()
    for model, rows in automatic.SECTIONS.values():
        for key in rows:
            auto = {"const": automatic.AUTO, "description": "what follows from the experiments"}
            schema["$defs"][model.__name__]["properties"][key]["anyOf"].append(auto)
    return json.dumps(schema, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
