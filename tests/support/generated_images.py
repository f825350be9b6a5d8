"""Images as another program would have generated them, and a workflow whose study uses them."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from tests.support.fake_datasets import write_tar
from tests.support.workflow import ROOT, Workflow

STUDY = ROOT / "tests/workflow/elsewhere.yaml"


def png(number: int) -> bytes:
    """Return a digit of scikit-learn as a PNG."""
    buffer = io.BytesIO()
    levels = load_digits().images[number]
    Image.fromarray(np.rint(levels * 255 / 16).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def digits_by_class(count: int, first: int = 600) -> list[tuple[int, int]]:
    """Return (class id, number) of `count` images of each class, from number `first` on."""
    labels = load_digits().target
    rows = []
    for class_id in range(10):
        numbers = np.flatnonzero(labels == class_id)
        rows += [(class_id, int(i)) for i in numbers[numbers >= first][:count]]
    return rows


def write_folders(folder: Path, count: int) -> Path:
    """Write a folder for each class, named by its id."""
    for class_id, number in digits_by_class(count):
        (folder / str(class_id)).mkdir(parents=True, exist_ok=True)
        (folder / str(class_id) / f"{number}.png").write_bytes(png(number))
    return folder


def write_tars(folder: Path, count: int) -> Path:
    """Write two WebDataset tars of images with classes and prompts."""
    samples = [
        {"__key__": f"{number:06d}", "png": png(number), "cls": label, "txt": f"a drawn {label}"}
        for label, number in digits_by_class(count, first=1000)
    ]
    write_tar(folder / "00000.tar", samples[::2])
    write_tar(folder / "00001.tar", samples[1::2])
    return folder


def create(folder: Path) -> Workflow:
    """Create the workflow with the study of these images, before its first job."""
    workflow = Workflow.create(folder, copied=("scripts",))
    workflow.study.unlink()
    (folder / "studies/elsewhere.yaml").write_text(STUDY.read_text())
    write_folders(folder / "generated/folders", 6)
    write_tars(folder / "generated/tars", 5)
    paths = "{model_b: generated/tars}"
    (folder / "config.yaml").write_text(f"study: elsewhere\nhardware: laptop\npaths: {paths}\n")
    return workflow
