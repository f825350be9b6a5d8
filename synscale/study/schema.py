"""Write studies/schema.json, with which editors complete and check a study file.

Run it as `python -m synscale.study.schema`.
"""

import json
from pathlib import Path

from synscale.study.models import Study

PATH = Path("studies/schema.json")


def text() -> str:
    """Return the content of the schema file."""
    return json.dumps(Study.model_json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
