"""What the scaffold finds out about a folder of images."""

import pytest
from PIL import Image

from synscale.data import inspection
from synscale.data.datasets import DataSetError
from tests.support import fake_datasets as fake
from tests.support.fake_datasets import WNIDS


@pytest.fixture
def table(tmp_path) -> str:
    return str(fake.class_table(tmp_path / "classes.csv", WNIDS))


def test_folders_and_tars_are_counted(tmp_path, table):
    fake.class_folders(tmp_path / "folders", dict(zip(WNIDS, [3, 1, 2], strict=True)))
    seen = inspection.inspect(f"{tmp_path}/folders", table, "training")
    assert seen.counts == {0: 3, 1: 1, 2: 2} and seen.images == 6
    assert seen.median_side == 32 and not seen.is_grey and not seen.broken
    assert "6 images of 3 classes (1 to 3 a class), RGB, shorter side 32 to 32" in seen.summary()
    fake.class_tars(tmp_path / "tars", [[0, 1], [2, 1]])
    assert inspection.inspect(f"{tmp_path}/tars", table, "training").counts == {0: 1, 1: 2, 2: 1}


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_images_are_recognised_in_any_mode(tmp_path, table, mode):
    for name in WNIDS:
        (tmp_path / "data" / name).mkdir(parents=True)
        image = fake.picture(1).convert("L").convert(mode)
        image.save(tmp_path / "data" / name / "1.png")
    assert inspection.inspect(f"{tmp_path}/data", table, "training").is_grey
    colour = Image.new("RGB", (9, 9), (200, 0, 0))
    colour.save(tmp_path / "data" / WNIDS[0] / "2.png")
    assert not inspection.inspect(f"{tmp_path}/data", table, "training").is_grey


def test_broken_image_is_named(tmp_path, table):
    fake.class_folders(tmp_path / "data", dict.fromkeys(WNIDS, 2), extension="png")
    broken = tmp_path / "data" / WNIDS[1] / f"{WNIDS[1]}_0.png"
    broken.write_bytes(broken.read_bytes()[:60])
    (problem,) = inspection.inspect(f"{tmp_path}/data", table, "training").broken
    assert problem.startswith(f"{WNIDS[1]}/{WNIDS[1]}_0.png (")


def test_shared_images_are_found_by_content(tmp_path, table):
    fake.class_folders(tmp_path / "train", dict.fromkeys(WNIDS, 3))
    fake.class_folders(tmp_path / "test", dict.fromkeys(WNIDS, 1))
    for path in (tmp_path / "test").rglob("*.JPEG"):
        path.rename(path.with_name("renamed.JPEG"))
    shared = inspection.shared_images(f"{tmp_path}/train", f"{tmp_path}/test", table)
    assert sorted(shared) == [f"{name}/renamed.JPEG" for name in sorted(WNIDS)]
    for number, path in enumerate((tmp_path / "test").rglob("*.JPEG")):
        path.write_bytes(fake.image_bytes(99 + number))
    assert not inspection.shared_images(f"{tmp_path}/train", f"{tmp_path}/test", table)


def test_missing_class_is_an_error(tmp_path, table):
    fake.class_folders(tmp_path / "data", dict.fromkeys(WNIDS[:2], 2))
    with pytest.raises(DataSetError, match="1 class folders are missing: n00000003"):
        inspection.inspect(f"{tmp_path}/data", table, "training")
