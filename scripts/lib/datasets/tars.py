"""WebDataset tars: samples are members of one key, {key}.jpg and {key}.cls. Also what the tars of pairs are walked with."""

import tarfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path

from scripts.lib.datasets.registry import DataSet, DataSetError, Found, is_pattern, shown

IMAGES = ("jpg", "jpeg", "png", "webp")
BLOCK = 512
COLUMNS = ["class_id", "origin", "tar", "offset", "size"]  # of an index of classes


def files(place: Path) -> list[Path]:
    """Tars in a folder, or those that a pattern names."""
    return sorted(map(Path, glob(str(place)))) if is_pattern(place) else sorted(path for path in place.iterdir() if path.suffix == ".tar")


def root(place: Path) -> Path:
    """Folder that the names of files start from."""
    return place.parent if is_pattern(place) else place


def samples(tar: Path) -> Iterator[tuple[str, dict[str, tuple[int, int]]]]:
    """(key, extension -> (offset, size) in bytes) of each sample, in order. Only headers are read.

    The key ends at the first dot of the file's name, as WebDataset has it. Raises DataSetError where the tar is cut off or damaged, goes on after
    its end, or a key comes twice.
    """
    key, parts, seen = None, {}, set()
    mend = "copy or download it again"
    try:
        with tarfile.open(tar, "r:") as file:
            for member in file:
                if not member.isfile():
                    continue
                folder, _, name = member.name.rpartition("/")
                stem, _, extension = name.partition(".")
                stem = f"{folder}/{stem}" if folder else stem
                if stem != key:
                    if key is not None:
                        yield key, parts
                    if stem in seen:
                        raise DataSetError(f"{tar}: key {stem!r} comes twice: a sample is ambiguous; write the tar anew with keys that differ")
                    key, parts = stem, {}
                    seen.add(stem)
                if extension.lower() in parts:
                    raise DataSetError(f"{tar}: {member.name!r} comes twice: a sample is ambiguous; write the tar anew with keys that differ")
                parts[extension.lower()] = (member.offset_data, member.size)
            # Python's reader takes a damaged header for the end; the true end is a block of zeros.
            file.fileobj.seek(file.offset)
            if file.fileobj.read(BLOCK) != bytes(BLOCK):
                raise DataSetError(f"{tar}: cut off or damaged at byte {file.offset}: no image, and no end of the tar either; {mend}")
            if any(rest.strip(b"\0") for rest in iter(lambda: file.fileobj.read(1 << 20), b"")):
                raise DataSetError(f"{tar}: goes on after its end at byte {file.offset}: tars that were joined, or a damaged one; {mend}")
        if key is not None:
            yield key, parts
    except (tarfile.TarError, OSError) as error:
        raise DataSetError(f"{tar}: not a whole tar ({error}): {mend}") from None


def image_of(tar: Path, key: str, parts: dict) -> tuple[int, int]:
    own = [parts[extension] for extension in IMAGES if extension in parts]
    if len(own) != 1:
        raise DataSetError(f"{tar}: sample {key!r} has {len(own)} images among {', '.join(sorted(parts))}: one of .{', .'.join(IMAGES)} is needed")
    return own[0]


def labelled(tar: Path, classes: int) -> list[tuple[int, str, int, int]]:
    """(class id, key, offset, size) of each image of a tar of classes."""
    found = []
    with tar.open("rb") as stream:
        for key, parts in samples(tar):
            offset, size = image_of(tar, key, parts)
            if "cls" not in parts:
                raise DataSetError(f"{tar}: sample {key!r} has no {key}.cls, which tells its class (found: {', '.join(sorted(parts))})")
            stream.seek(parts["cls"][0])
            text = stream.read(parts["cls"][1]).decode(errors="replace").strip()
            if not text.isascii() or not text.isdigit() or int(text) >= classes:
                raise DataSetError(f"{tar}: {key}.cls = {text[:40]!r}: must be a class id, 0 to {classes - 1}")
            found.append((int(text), key, offset, size))
    if not found:
        raise DataSetError(f"{tar}: no sample in it: copy or download it again, or move it away")
    return found


def survey(data: DataSet) -> Found:
    """The first tar is read; what the others hold, `index` will tell."""
    found = Found("WebDataset tars")
    own = files(data.place)
    named = {row.get("wnid") for row in data.classes} & {path.stem for path in own}
    if named:
        found.faults.append(f"the tars are of classes ({shown(sorted(named))}): unpack each into a folder of its name")
        return found
    try:
        found.notes.append(f"{len(own)} tars, {len(labelled(own[0], len(data.classes)))} images in the first")
    except DataSetError as error:
        found.faults.append(str(error))
    return found


def index(data: DataSet, threads: int):
    """Rows of every image, tar by tar, and what is there. See datasets.index."""
    import pandas as pd

    tables, faults = [], []

    def one(tar: Path):
        try:
            return labelled(tar, len(data.classes))
        except DataSetError as error:
            return error

    own, top = files(data.place), root(data.place)
    with ThreadPoolExecutor(threads) as pool:
        for tar, rows in zip(own, pool.map(one, own), strict=True):
            if isinstance(rows, DataSetError):
                faults.append(str(rows))
            else:
                name = str(tar.relative_to(top))
                tables.append(pd.DataFrame([(i, f"{name}/{key}", name, *place) for i, key, *place in rows], columns=COLUMNS))
    table = pd.concat([pd.DataFrame(columns=COLUMNS), *tables], ignore_index=True).astype({"class_id": int})
    return table, Found("WebDataset tars", Counter(table["class_id"].tolist()), faults, [f"{len(own)} tars"])


def read_at(tar: Path, offset: int, size: int) -> bytes:
    with tar.open("rb") as stream:
        stream.seek(offset)
        found = stream.read(size)
    if len(found) != size:
        raise DataSetError(f"{tar}: ends before byte {offset + size}, where an image of it should: copy or download it again")
    return found


def reader(data: DataSet):
    """A function from a row of the index to the bytes of its image."""
    top = root(data.place)
    return lambda row: read_at(top / row["tar"], row["offset"], row["size"])
