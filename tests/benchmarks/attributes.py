"""How well the demo models read attributes off drawn people of the test split: `python -m tests.benchmarks.attributes`.

The model's reading kind by kind, CLIP's, and both together, weighed as the manifest has it, over what is visible in
each crop; what of both the screen says: no colour of a thing that it reads as not there; the prior always says the
commonest value.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from app.model.answers import AttributeReading
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.retrieval.attribute_probs import ClipAttributes, by_kinds, likeliest, sensible
from app.settings import DEMO_CLIP, DEMO_MODEL
from gallery_store.encoder import ClipEncoder
from training.demo.goals import ABOVE
from training.evaluation.synthetic_people import one_outfit, world_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(DEMO_MODEL))
    parser.add_argument("--clip", default=str(DEMO_CLIP))
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--identities", type=int, default=150)
    chosen = parser.parse_args()
    encoder, tuned = ClipEncoder.load(chosen.clip), ReidModel.load(chosen.model)
    crops = one_outfit(chosen.seed, chosen.identities, world_of(tuned.manifest)).gallery
    manifest, own = tuned.manifest, (encoder.name, encoder.version)
    attributes = ClipAttributes(
        encoder, manifest.sharpness_for(*own) if manifest else None, kinds=tuned.kinds
    )
    rows = tuned.attribute_probs([Picture(n, crop.picture) for n, crop in enumerate(crops)])
    weights = manifest.fusion_weights_for(*own) if manifest else None
    model = likeliest(by_kinds(rows, tuned.kinds), len(rows))
    vectors = encoder.encode_images([crop.picture() for crop in crops])
    clip = [attributes.readings(vector) for vector in vectors]
    both = [attributes.readings(v, row, weights) for v, row in zip(vectors, rows, strict=True)]
    visible = [crop.visible for crop in crops]
    kinds = [kind for kind in tuned.kinds if any(kind in seen for seen in visible)]
    table = {
        "model": _right(model, visible, kinds),
        "CLIP": _right(clip, visible, kinds),
        "both": _right(both, visible, kinds),
        "screen": _right([sensible(one) for one in both], visible, kinds),
    }
    table["prior"] = [_commonest([seen[kind] for seen in visible if kind in seen]) for kind in kinds]
    print(f"{len(crops)} crops of {chosen.identities} people, seed {chosen.seed}; per cent read rightly")
    print(f"{'':20}" + "".join(f"{name:>8}" for name in table))
    for place, kind in enumerate(kinds):
        print(f"{kind:20}" + "".join(f"{100 * row[place]:8.1f}" for row in table.values()))
    colours = [place for place, kind in enumerate(kinds) if kind.endswith("_colour")]
    print(
        f"{'colours':20}" + "".join(f"{100 * np.mean([r[c] for c in colours]):8.1f}" for r in table.values())
    )
    print(f"{'all kinds':20}" + "".join(f"{100 * np.mean(row):8.1f}" for row in table.values()))
    ahead = sum(own - guess >= ABOVE for own, guess in zip(table["model"], table["prior"], strict=True))
    room = sum(guess <= 1 - ABOVE for guess in table["prior"])
    above = f"{100 * ABOVE:.0f} points above the prior"
    print(f"{ahead} of {room} kinds that leave room are read {above} by the model alone")


def _right(
    read: Sequence[Sequence[AttributeReading]], visible: Sequence[dict[str, str]], kinds: Sequence[str]
) -> list[float]:
    """Kind by kind, the share read rightly where the kind is visible."""
    said = [{one.attribute.kind: one.attribute.value for one in own} for own in read]
    return [
        float(np.mean([s.get(kind) == v[kind] for s, v in zip(said, visible, strict=True) if kind in v]))
        for kind in kinds
    ]


def _commonest(values: Sequence[str]) -> float:
    return max(values.count(value) for value in set(values)) / len(values)


if __name__ == "__main__":
    main()
