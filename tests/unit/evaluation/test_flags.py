"""Flags of a safety checker: as diffusers' own answer. Through the rules:
tests/workflow/test_released.py.
"""

import numpy as np
import pytest
import torch

from synscale.models import checksums, safety_checker
from tests.support import tiny_pipelines


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The folder of a tiny Stable Diffusion with a random safety checker."""
    folder = tmp_path_factory.mktemp("checked")
    tiny_pipelines.save("stable_diffusion_with_checker", folder)
    return folder


def test_flags_are_those_of_the_checkers_own_answer(checked):
    checker = safety_checker.Checker(str(checked), None, torch.device("cpu"))
    images = np.random.default_rng(0).integers(0, 256, (60, 3, 8, 8), np.uint8)
    pictures = [safety_checker.as_rgb(image) for image in images]
    scores = checker.scores(pictures)
    given = checker.processor(images=pictures, return_tensors="pt")["pixel_values"]
    _, flagged = checker.model(given, np.zeros((60, 1)))
    assert 0 < sum(flagged) < 60
    assert (scores > 0).tolist() == flagged
    special = safety_checker.cosine_distance(
        checker.model.visual_projection(checker.model.vision_model(given)[1]),
        checker.model.special_care_embeds,
    )
    assert 0 < (special > 0.4).any(1).sum() < 60  # both thresholds were in use
    grey = safety_checker.as_rgb(images[0, :1])
    assert checker.scores([grey]).shape == (1,) and grey.mode == "RGB"


def test_changed_checker_is_refused(checked, tmp_path):
    (tmp_path / "safety_checker").mkdir()
    (tmp_path / "safety_checker/model.safetensors").write_bytes(b"other")
    row = "a,safety_checker,1,safety_checker/model.safetensors,0000"
    (tmp_path / "sources.csv").write_text(f"id,kind,revision,file,sha256\n{row}\n")
    with pytest.raises(
        checksums.WeightsError, match=r"safety_checker/model\.safetensors: wrong sha256"
    ):
        safety_checker.Checker(str(tmp_path), None, torch.device("cpu"))
