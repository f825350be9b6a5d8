"""WebDataset tars: samples are members of one key, {key}.jpg and {key}.cls.

Tars of pairs are read with the same functions.
"""

import posixpath
import re
import tarfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from synscale.data.datasets import class_names, subset
from synscale.data.datasets.index_table import Index, image_table
from synscale.data.datasets.patterns import is_pattern, matches
from synscale.data.datasets.registry import (
    IMAGES,
    DataSet,
    DataSetError,
    Survey,
    first_few,
)
from synscale.runtime.file_names import is_clutter, is_utf8, splits

BLOCK = 512  # bytes, the unit of a tar
METADATA = re.compile(r"__[^/]*__(\.|/|$)")  # members that webdataset does not take for samples
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
DAMAGED = "copy or download it again"


def files(place: Path) -> list[Path]:
    """Return the tars in a folder, or those of a pattern."""
    if is_pattern(place):
        paths = matches(place)[0]
    else:
        paths = sorted(path for path in place.iterdir() if path.suffix == ".tar")
    return [path for path in paths if not is_clutter(path.name)]


def root(place: Path) -> Path:
    """Return the folder that the names of files start from."""
    return next(folder for folder in (place, *place.parents) if folder.is_dir())


def samples(tar: Path) -> list[tuple[str, dict[str, tuple[int, int]]]]:
    """List the samples of a tar, in the order of their first members. Only headers are read.

    The key of a member ends at the first dot of its file name, as in WebDataset. The members of a
    sample need not be adjacent.

    Returns
    -------
    list of (str, dict)
        Key, and extension -> (offset, size) in bytes.

    Raises
    ------
    DataSetError
        If the tar is compressed, cut off or damaged, continues after its end, or a member is there
        twice, is a link, or has a name that is not UTF-8.
    """
    members: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(tar, "r:") as file:
            for member in file:
                _add(tar, member, members)
            # Python's reader takes a damaged header for the end; the true end is a block of zeros.
            file.fileobj.seek(file.offset)
            end = f"byte {file.offset}"
            if file.fileobj.read(BLOCK) != bytes(BLOCK):
                problem = f"cut off or damaged at {end} (neither an image nor the end of the tar)"
                raise DataSetError(f"{tar}: {problem}; {DAMAGED}")
            if any(rest.strip(b"\0") for rest in iter(lambda: file.fileobj.read(1 << 20), b"")):
                problem = f"continues after its end at {end} (damaged, or tars that were joined)"
                raise DataSetError(f"{tar}: {problem}; {DAMAGED}")
    except (tarfile.TarError, OSError) as error:
        if kind := _compression(tar):
            problem = f"compressed ({kind}), but images are read at their offsets"
            raise DataSetError(f"{tar}: {problem}; decompress it") from None
        raise DataSetError(f"{tar}: not a complete tar ({error}); {DAMAGED}") from None
    return list(members.items())


def _add(tar: Path, member: tarfile.TarInfo, members: dict) -> None:
    """Add a member of a tar to its sample."""
    path = posixpath.normpath(member.name).lstrip("/")
    if member.isdir() or is_clutter(path) or METADATA.match(path):
        return
    if not is_utf8(path):
        problem = f"the name of member {path!r} is not UTF-8"
        raise DataSetError(f"{tar}: {problem}; rename it and write the tar again")
    if member.islnk() or member.issym():
        fix = "write the tar again with --dereference --hard-dereference"
        raise DataSetError(f"{tar}: {path!r} is a link; {fix}")
    folder, name = posixpath.split(path)
    stem, _, extension = name.partition(".")
    parts = members.setdefault(posixpath.join(folder, stem), {})
    if extension.lower() in parts:
        fix = "write the tar again with keys that differ"
        raise DataSetError(f"{tar}: {path!r} is there twice; {fix}")
    parts[extension.lower()] = (member.offset_data, member.size)


def _compression(tar: Path) -> str | None:
    with tar.open("rb") as stream:
        start = stream.read(6)
    return next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)


def image_of(tar: Path, key: str, parts: dict) -> tuple[int, int]:
    """Return offset and size of the image of a sample, in bytes.

    Parameters
    ----------
    tar, key
        Place of the sample, for messages.
    parts : dict
        Extension -> (offset, size).

    Raises
    ------
    DataSetError
        If the sample has no image, or several.
    """
    images = [extension for extension in IMAGES if extension in parts]
    if len(images) != 1:
        detail = f"{len(images)} images among {', '.join(sorted(parts))}"
        expected = f"expected one of .{', .'.join(IMAGES)}"
        dots = any("." in extension and extension.endswith(IMAGES) for extension in parts)
        cause = "; a key ends at the first dot of a file's name; replace other dots" if dots else ""
        raise DataSetError(f"{tar}: sample {key!r} has {detail}, {expected}{cause}")
    return parts[images[0]]


def labelled(tar: Path, class_ids: list[int | None], has_prompts: bool = False) -> list[tuple]:
    """List (class id, key, offset, size) of each image; with prompts, its text follows.

    Parameters
    ----------
    tar : Path
    class_ids : list of int or None
        Class id of each integer in .cls; None if the study does not have the class.
    has_prompts : bool
        Whether each image has a text in .txt.
    """
    rows = []
    with tar.open("rb") as stream:

        def text_of(key: str, parts: dict, extension: str, what: str) -> str:
            if extension not in parts:
                detail = f"found {', '.join(sorted(parts))}, expected {key}.{extension}"
                raise DataSetError(f"{tar}: sample {key!r} has no {what} ({detail})")
            offset, size = parts[extension]
            stream.seek(offset)
            return stream.read(size).decode(errors="replace").strip()

        for key, parts in samples(tar):
            place = image_of(tar, key, parts)
            text = text_of(key, parts, "cls", "class")
            if not text.isascii() or not text.isdigit() or int(text) >= len(class_ids):
                expected = f"expected a class id from 0 to {len(class_ids) - 1}"
                raise DataSetError(f"{tar}: {key}.cls = {text[:40]!r}: {expected}")
            prompt = [text_of(key, parts, "txt", "text")] if has_prompts else []
            rows.append((class_ids[int(text)], key, *place, *prompt))
    return rows


def name_problems(data: DataSet) -> list[str]:
    """List names of tars that are not UTF-8, or of several splits, which would be pooled."""
    names = [str(path.relative_to(root(data.place))) for path in files(data.place)]
    problems = []
    if odd := [name for name in names if not is_utf8(name)]:
        problems.append(f"the names of tars are not UTF-8: {first_few(odd)}; rename them")
    names = [split for split in splits(names) if split]
    if len(names) > 1 and not is_pattern(data.place):
        fix = f"name those of one by a pattern, such as {data.place}/*{names[0]}*.tar"
        problems.append(f"tars of several splits ({', '.join(names)}); {fix}")
    return problems


def _class_ids(data: DataSet) -> list[int | None]:
    top = root(data.place)
    study_ids = subset.named_classes(data).study_ids
    return [study_ids[place] for place in class_names.class_ids(data, top, top.parent)]


def survey(data: DataSet) -> Survey:
    """Read the first tar; `index` reads the others."""
    result, tars = Survey("WebDataset tars"), files(data.place)
    named = {row.get("wnid") for row in data.classes} & {path.stem for path in tars}
    if named:
        problem = f"the tars are of classes ({first_few(sorted(named))})"
        result.problems.append(f"{problem}; unpack each into a folder of its name")
        return result
    result.problems += name_problems(data)
    try:
        count = len(labelled(tars[0], _class_ids(data), data.has_prompts))
        result.notes.append(f"{len(tars)} tars, {count} images in the first")
    except DataSetError as error:
        result.problems.append(str(error))
    return result


def index(data: DataSet, threads: int) -> Index:
    """Return a row for every image, tar by tar, and a survey. See `datasets`.

    Parameters
    ----------
    data : DataSet
    threads : int
        Threads that read tars.
    """
    import pandas as pd

    result = Survey("WebDataset tars", problems=name_problems(data))
    if result.problems:
        return image_table([]), result
    class_ids, tars, top = _class_ids(data), files(data.place), root(data.place)

    def read(tar: Path):
        try:
            return labelled(tar, class_ids, data.has_prompts)
        except DataSetError as error:
            return error

    tables, empty, others = [image_table([])], [], 0
    with ThreadPoolExecutor(threads) as pool:
        for tar, rows in zip(tars, pool.map(read, tars), strict=True):
            name = str(tar.relative_to(top))
            if isinstance(rows, DataSetError):
                result.problems.append(str(rows))
            elif rows:
                known = [row for row in rows if row[0] is not None]
                others += len(rows) - len(known)
                known = [(i, f"{name}/{key}", name, *place) for i, key, *place in known]
                tables.append(image_table(known))
            else:
                empty.append(tar.name)
    table = pd.concat(tables, ignore_index=True)
    result.classes = Counter(table["class_id"].tolist())
    result.notes.append(f"{len(tars)} tars")
    subset.leave_out(result, data, others)
    if empty:
        result.notes.append(f"{len(empty)} tars without a sample ({first_few(empty)})")
    return table, result


def read_at(tar: Path, offset: int, size: int) -> bytes:
    """Read a range of bytes of a tar. Raises DataSetError if it ends before.

    Parameters
    ----------
    tar : Path
    offset, size : int
        Range in bytes.

    Raises
    ------
    DataSetError
        If the tar ends before.
    """
    with tar.open("rb") as stream:
        stream.seek(offset)
        data = stream.read(size)
    if len(data) != size:
        problem = f"ends before byte {offset + size}, the end of an image"
        raise DataSetError(f"{tar}: {problem}; {DAMAGED}")
    return data


def reader(data: DataSet) -> Callable[[dict], bytes]:
    """Return a function from a row of the index to the bytes of its image."""
    top = root(data.place)
    return lambda row: read_at(top / row["tar"], row["offset"], row["size"])
