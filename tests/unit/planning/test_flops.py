"""FLOPs of released generators against torch's count and sums done by hand."""

import pytest

from scripts import count_flops
from synscale.planning import flops
from synscale.planning.cost_model import work
from tests.support.planning import GENERATORS, with_released

# TFLOP of 10 images with guidance and 1 without, by hand from the numbers of scripts.count_flops.
# IF: the upscaler has guidance 4 whatever the first stage has, and both texts are read once.
BY_HAND = {
    "sd": 10 * (100 * 0.8033 + 2.515) + (50 * 0.8033 + 2.515),
    "if": 10 * (100 * 2.879 + 80 * 3.090 + 2 * 0.7154) + (50 * 2.879 + 80 * 3.090 + 2 * 0.7154),
    "amused": 10 * (24 * 0.2274 + 1.909) + (12 * 0.2274 + 1.909),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_flops_of_pretrained_generators_count_all_stages(name):
    job = {"source": f"{name}_images", "shard": "00000"}
    units = work(with_released({2.0: 10, 1.0: 1}), "generate", job).units
    assert units["tflop"] == pytest.approx(BY_HAND[name])
    assert units["pass"] == GENERATORS[name].steps * 21
    assert units["image"] == 11


def test_half_the_side_takes_a_quarter_of_the_flops():
    small = GENERATORS["sd"].model_copy(update={"size": 256})
    quarter = flops.sampling_flops(GENERATORS["sd"], 256, 2.0) / 4
    assert flops.sampling_flops(small, 256, 2.0) == pytest.approx(quarter)


@pytest.mark.parametrize(
    ("part", "millions", "expected"),
    [
        ("Stable Diffusion 1.5, UNet", 860, flops.released(GENERATORS["sd"].model).forward),
        ("Stable Diffusion 1.5, decoder", 49.5, flops.released(GENERATORS["sd"].model).once),
        ("IF-I-XL, UNet", 4300, flops.released(GENERATORS["if"].model).forward),
        ("IF-II-L, UNet", 1190, flops.released(GENERATORS["if"].upscaler.model).forward),
        ("IF, T5-XXL", 4760, flops.released(GENERATORS["if"].model).once / 2),
        ("aMUSEd-512, U-ViT", 608, flops.released(GENERATORS["amused"].model).forward),
        ("aMUSEd-512, decoder", 87, flops.released(GENERATORS["amused"].model).once),
        ("aMUSEd-256, U-ViT", 603, flops.released("amused/amused-256").forward),
        ("aMUSEd-256, decoder", 87, flops.released("amused/amused-256").once),
    ],
)
def test_flops_and_weights_match_torch_and_model_cards(part, millions, expected):
    weights, counted = count_flops.count(part)
    assert weights == pytest.approx(millions * 1e6, rel=0.01)
    assert counted == pytest.approx(expected, rel=0.001)
