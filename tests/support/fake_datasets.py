"""Tiny data sets in real formats: class folders, WebDataset shards, pairs of img2dataset."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

WNIDS = ["n00000001", "n00000002", "n00000003"]
TEXTS = [
    "a cat\non two lines",
    "she said \"hi\", 'twice'",
    "猫と犬",
    "café ☕ {name} %s",
    "",
    "tabs\tand,commas",
]


def picture(number: int, size: tuple[int, int] = (40, 32), mode: str = "RGB") -> Image.Image:
    """Smooth, so that JPEG keeps it nearly; another one for each number. size: width, height."""
    x, y = np.meshgrid(np.linspace(0, 3, size[0]), np.linspace(0, 3, size[1]))
    x = x * (1 + number % 3) + number
    waves = [128 + 100 * np.sin(x + phase) * np.cos(y + phase) for phase in range(3)]
    return Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8)).convert(mode)


def image_bytes(
    number: int, size: tuple[int, int] = (40, 32), mode: str = "RGB", format: str = "jpeg"
) -> bytes:
    buffer = io.BytesIO()
    picture(number, size, mode).save(buffer, format)
    return buffer.getvalue()


def class_folders(folder: Path, counts: dict[str, int], extension: str = "JPEG") -> Path:
    """As ImageNet's training images: a folder a class. counts: name of the folder -> images."""
    for number, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            data = image_bytes(1000 * number + i, format="png" if extension == "png" else "jpeg")
            (folder / name / f"{name}_{i}.{extension}").write_bytes(data)
    return folder


def write_tar(path: Path, samples: list[dict]) -> Path:
    """A WebDataset shard. samples: `__key__` and the bytes or text of each extension."""
    from webdataset import TarWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    with TarWriter(str(path)) as writer:
        for sample in samples:
            members = {}
            for extension, value in sample.items():
                is_text = extension != "__key__" and not isinstance(value, bytes)
                members[extension] = str(value).encode() if is_text else value
            writer.write(members)
    return path


def class_tars(folder: Path, classes: list[list[int]]) -> Path:
    """As ImageNet in WebDataset shards: {key}.jpg and {key}.cls. classes: of each tar, the class
    ids of its images.
    """
    for number, labels in enumerate(classes):
        samples = []
        for i, label in enumerate(labels):
            image = image_bytes(100 * number + i)
            samples.append({"__key__": f"{number:03d}_{i:04d}", "jpg": image, "cls": label})
        write_tar(folder / f"{number:05d}.tar", samples)
    return folder


def pairs(
    folder: Path, counts: list[int], fails: int = 1, size: tuple[int, int] = (40, 32)
) -> Path:
    """As img2dataset writes them (--output_format webdataset): tars of {key}.jpg, {key}.txt,
    {key}.json, and next to each a parquet with a row for each address that was tried. counts: pairs
    of each tar; fails: rows of each that failed.
    """
    for shard, count in enumerate(counts):
        samples, rows = [], []
        for i in range(count + fails):
            key = f"{shard:05d}{i:04d}"
            caption = f"{TEXTS[i % len(TEXTS)]} {shard}-{i}" if i % len(TEXTS) != 4 else None
            row = {"url": f"https://images.invalid/{key}.jpg", "caption": caption, "key": key}
            if i < fails:
                row |= {"status": "failed_to_download"}
                row |= {"error_message": "HTTP Error 404: Not Found", "width": None, "height": None}
            else:
                row |= {"status": "success", "error_message": None}
                row |= {"width": size[0], "height": size[1]}
                sample = {"__key__": key, "jpg": image_bytes(100 * shard + i, size)}
                sample |= {"txt": caption or "", "json": json.dumps(row, indent=4)}
                samples.append(sample)
            rows.append(row)
        write_tar(folder / f"{shard:05d}.tar", samples)
        pd.DataFrame(rows).to_parquet(folder / f"{shard:05d}.parquet", index=False)
        stats = {"count": count + fails, "successes": count, "failed_to_download": fails}
        (folder / f"{shard:05d}_stats.json").write_text(json.dumps(stats))
    return folder


def class_table(path: Path, wnids: list[str]) -> Path:
    """CSV of the study's classes, as data/imagenet_classes.csv has it."""
    texts = {"synonyms": "", "description": "a thing", "hypernyms": "object"}
    rows = []
    for i, wnid in enumerate(wnids):
        rows.append({"class_id": i, "wnid": wnid, "name": f"thing {i}"} | texts)
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def of_files_study(folder: Path) -> dict[str, str]:
    """Everything that tests/workflow/files.yaml is about: tables and templates in `folder`/own,
    data sets in `folder`/sets. Returns where each data set lies, as config.yaml's `paths` says it.
    """
    class_table(folder / "own/classes.csv", WNIDS)
    pd.DataFrame({"class_id": [0, 1], "name": ["round", "square"]}).to_csv(
        folder / "own/shapes.csv", index=False
    )
    (folder / "own/templates.yaml").write_text("shapes: ['a {name} shape', '{name}']\n")
    class_folders(folder / "sets/things", dict(zip(WNIDS, [5, 3, 4], strict=True)))
    class_tars(folder / "sets/val", [[0, 1, 2], [2, 1]])
    class_tars(folder / "sets/shapes", [[1, 0, 1]])
    pairs(folder / "sets/web", [4, 3, 5])
    return {
        "things_train": "sets/things",
        "things_val": "sets/val",
        "shapes": "sets/shapes/*.tar",
        "web": str(folder / "sets/web"),
    }


def tar_of(path: Path, members: list[tuple[str, bytes]]) -> Path:
    """A tar with these members, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def sample(key: str, label: int = 0) -> list[tuple[str, bytes]]:
    return [(f"{key}.jpg", image_bytes(label)), (f"{key}.cls", str(label).encode())]


def named_table(tmp_path, names: list[str], **columns) -> str:
    table = {"class_id": range(len(names)), "name": names} | columns
    pd.DataFrame(table).to_csv(tmp_path / "names.csv", index=False)
    return str(tmp_path / "names.csv")
