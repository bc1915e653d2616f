"""The paper's picture sizes, and that whatever comes fits the model."""

from dataclasses import asdict
from io import BytesIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter

from app.model.pictures import (
    DEMO,
    MAX_PIXELS,
    MIN_PIXELS,
    RUN_TIME,
    STAGE_1,
    STAGE_2,
    STAGE_3,
    ImageRule,
    apply_rule,
    is_colourless,
)
from training.synthetic.people import people
from training.synthetic.site import cameras
from training.synthetic.world import crops_of

RULES = (STAGE_1, STAGE_2, STAGE_3, RUN_TIME, DEMO)


def drawn_crop(seed, infrared):
    person = next(people(seed, "train", 1))
    return next(crops_of(person, cameras(seed), 1, seed, infrared_share=float(infrared), hours=(8, 17)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("infrared", [False, True])
def test_infrared_crops_have_no_colour_and_visible_ones_have(seed, infrared):
    crop = drawn_crop(seed, infrared)
    assert crop.shot.infrared == infrared
    for quality in (60, 95):
        file = BytesIO()
        crop.picture().save(file, "JPEG", quality=quality)
        for rule in RULES:
            assert is_colourless(apply_rule(rule, Image.open(file))) == infrared


def test_a_grey_picture_is_visible_with_a_small_red_bag_in_it():
    grey = Image.new("RGB", (56, 112), (90, 90, 90))
    assert is_colourless(grey)
    grey.paste((91, 88, 95), (0, 0, 56, 112))  # within what a JPEG changes
    assert is_colourless(grey)
    grey.paste((200, 20, 20), (10, 60, 20, 70))  # 1.6 % of the picture
    assert not is_colourless(grey)


def test_section_3_3():
    # The paper's sizes in multiples of 28: 256 x 128 is 252 x 140, 384 x 192 is 392 x 196.
    assert STAGE_1.size(100, 50) == STAGE_1.size(256, 128) == (252, 140)
    assert STAGE_1.size(560, 280) == (560, 280)
    assert STAGE_2.size(1000, 400) == (392, 196)
    assert STAGE_2.size(140, 56) == (140, 56)
    assert STAGE_3.size(560, 280) == (560, 280)
    assert RUN_TIME.size(37, 1000) == (252, 140)
    assert DEMO.size(900, 900) == (168, 84)
    assert STAGE_2.within(112 * 56).size(2000, 1000) == (112, 56)  # the whole of what is allowed


@settings(max_examples=300)
@example(STAGE_3, 1, 10901)
@given(st.sampled_from(RULES), st.integers(1, 20_000), st.integers(1, 20_000))
def test_every_size_fits_the_model(rule, height, width):
    rows, columns = rule.size(height, width)
    assert rows % 28 == columns % 28 == 0
    assert MIN_PIXELS <= rows * columns <= MAX_PIXELS
    assert max(rows, columns) / min(rows, columns) <= 200  # the processor refuses more
    if rule not in (STAGE_1, STAGE_2) and max(rows, columns) / min(rows, columns) < 100:
        assert rule.size(rows, columns) == (rows, columns)  # a picture sized once stays as it is


def test_pictures_come_out_rgb_at_the_rules_size():
    for mode in ("L", "RGBA", "P", "RGB"):
        image = apply_rule(DEMO, Image.new(mode, (33, 77)))
        assert (image.mode, image.size) == ("RGB", (84, 168))
    ready = Image.new("RGB", (84, 168))
    assert apply_rule(DEMO, ready) is ready


def test_rules_travel_as_json_and_refuse_nonsense():
    for rule in RULES:
        assert TypeAdapter(ImageRule).validate_python(asdict(rule)) == rule
    with pytest.raises(ValueError, match="multiples of 28"):
        ImageRule("odd", fixed=(100, 50))
    with pytest.raises(ValueError, match="colour"):
        TypeAdapter(ImageRule).validate_python({"name": "x", "colour": "red"})
