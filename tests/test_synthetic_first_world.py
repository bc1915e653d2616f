"""World 1 stays drawable byte for byte: figures that were published over it can be measured again."""

import hashlib

import pytest

from training.synthetic.people import people
from training.synthetic.site import cameras
from training.synthetic.world import crops_of

# SHA-256 of the pixels of sixteen crops and of what is true of them, as world 1 drew them when it was made.
DIGESTS = {
    (77, "test", False): "faa80ca69b71bb4008b54ca8c695d44950b834af784cd46d4f2a3bddcba72e9c",
    (2026, "demo", True): "cf4ce7833d1ce35381b02d78b3a81eb9c86473a16356e5d70e1127652d6db267",
}


def digest(seed, split, look_alikes):
    site, pixels, facts = cameras(seed), hashlib.sha256(), []
    for person in people(seed, split, 2, members=2, look_alikes=look_alikes):
        for crop in crops_of(person, site, 2, seed, outfits=(0, 1), infrared_share=0.2):
            facts.append((crop.person_id, crop.time, sorted(crop.attributes.items()), sorted(crop.visible)))
            pixels.update(crop.picture().tobytes())
    pixels.update(repr(facts).encode())
    return pixels.hexdigest()


@pytest.mark.parametrize("drawn", DIGESTS)
def test_the_first_world_is_drawn_as_it_always_was(drawn):
    assert digest(*drawn) == DIGESTS[drawn]
