"""Ids, positions and patches are the processor's own; labels stand on the answers alone, token by token."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pillow_heif import register_heif_opener

from app.model.pictures import STAGE_1, STAGE_2, STAGE_3, ImageRule
from app.model.prompts import annotate_prompt, pair_prompt, paper_prompt
from gallery_store.decoding import open_picture
from tests.bad_pictures import bomb
from tests.tiny_qwen import noise_picture, tiny_parts
from tests.tuning import PIXELS, records, samples
from training.datasets.load import load_many
from training.datasets.training_records import training_records
from training.instructions.sample import InstructionSample
from training.instructions.stage_samples import Samples
from training.stages import STAGES
from training.tuning.collator import IGNORED, Collator
from training.tuning.failures import TuningError
from training.tuning.steps import Steps, cut, header_size, is_list_step, step_indices
from training.tuning.trainer import token_losses

SMALL = ImageRule("small", max_pixels=PIXELS)


@pytest.fixture(scope="module")
def tiny():
    return tiny_parts()


def collator(processor, rule=SMALL, longest=4096):
    return Collator(processor, rule, longest)


def tokens_and_batch(processor, sample, seeds=(1, 2, 3, 4), rule=SMALL):
    pictures = [noise_picture(seeds[i]) for i in range(len(sample.pictures))]
    maker = collator(processor, rule)
    tokens = maker.tokenize(sample, [(p.height, p.width) for p in pictures])
    return tokens, maker.batch([tokens], [pictures], [1 / tokens.answer_tokens]), pictures


# One sample of every kind of answer; words and ids are written out, so that a change of either is seen.
GOLDEN = [
    (
        InstructionSample("image-one-to-one", paper_prompt("image_one_to_one", [2]), (0, 1), "Yes"),
        ["Yes", "<|im_end|>"],
    ),
    (
        InstructionSample(
            "image-many-to-many",
            paper_prompt("image_many_to_many", [1, 2]),
            (0, 1, 2),
            "Image 2 and Image 3 match the identity of the pedestrian in the query image.",
        ),
        [
            "Image",
            "2",
            "and",
            "Image",
            "3",
            "match",
            "the",
            "identity",
            "of",
            "the",
            "pedestrian",
            "in",
            "the",
            "query",
            "image",
            ".",
            "<|im_end|>",
        ],
    ),
    (
        InstructionSample(
            "text-many-to-one",
            paper_prompt("text_many_to_one", [1], ["a man", "a woman"]),
            (0,),
            "The second caption",
        ),
        ["The", "second", "caption", "<|im_end|>"],
    ),
    (
        InstructionSample("pair-question", pair_prompt("a red jacket", 1).messages, (0, 1), "No"),
        ["No", "<|im_end|>"],
    ),
    (
        InstructionSample("standard", paper_prompt("standard", [1, 2]), (0, 1, 2), "None"),
        ["None", "<|im_end|>"],
    ),
]


@pytest.mark.parametrize(("sample", "words"), GOLDEN, ids=[sample.task for sample, _ in GOLDEN])
def test_labels_stand_on_the_answer_and_its_end_alone(tiny, sample, words):
    _, processor = tiny
    tokens, batch, _ = tokens_and_batch(processor, sample)
    tokenizer = processor.tokenizer
    labels = tokens.labels.tolist()
    start = len(labels) - tokens.answer_tokens
    assert labels[:start] == [IGNORED] * start
    assert [tokenizer.decode([label]) for label in labels[start:]] == words
    assert tokens.ids[start:].tolist() == labels[start:]
    # The last token before the answer is the line break behind "assistant".
    assert [tokenizer.decode([i]) for i in tokens.ids[start - 3 : start]] == [
        "<|im_start|>",
        "assistant",
        "\n",
    ]
    # Each kept place is the one before the token that it answers.
    assert batch.keep.tolist() == list(range(start - 1, len(labels) - 1))
    assert batch.targets[0].tolist() == labels[start:]
    assert batch.weights.sum().item() == pytest.approx(1)


@pytest.mark.parametrize(
    "sample", [sample for sample, _ in GOLDEN], ids=[sample.task for sample, _ in GOLDEN]
)
def test_inputs_are_the_processors_own(tiny, sample):
    model, processor = tiny
    tokens, batch, pictures = tokens_and_batch(processor, sample)
    content = iter(pictures)
    messages = [
        {
            **message,
            "content": [
                {"type": "image", "image": next(content)} if part["type"] == "image" else part
                for part in message["content"]
            ],
        }
        for message in sample.messages
    ]
    own = processor.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    prompt = own["input_ids"].shape[1]
    assert batch.ids[0, :prompt].tolist() == own["input_ids"][0].tolist()
    assert batch.types[0, :prompt].tolist() == own["mm_token_type_ids"][0].tolist()
    assert batch.grids.tolist() == own["image_grid_thw"].tolist()
    torch.testing.assert_close(batch.patches, own["pixel_values"], atol=2e-2, rtol=0)
    positions, _ = model.model.get_rope_index(
        batch.ids, image_grid_thw=batch.grids, mm_token_type_ids=batch.types, attention_mask=batch.mask
    )
    assert torch.equal(positions, batch.positions)
    assert tokens.answer_tokens + prompt == batch.ids.shape[1]


@torch.no_grad()
def test_a_batch_loses_what_its_samples_lose_alone(tiny):
    model, processor = tiny
    maker = collator(processor)
    stream = samples(3)
    tokens, pictures = [], []
    for index in range(6):
        sample = stream.sample(index)
        own = [stream.picture(row) for row in sample.pictures]
        tokens.append(maker.tokenize(sample, [(p.height, p.width) for p in own]))
        pictures.append(own)
    together = maker.batch(tokens, pictures, [1.0] * len(tokens))
    losses = token_losses(model(**together.model_inputs()).logits, together)
    assert len({len(one) for one in tokens}) > 1
    for place, one in enumerate(tokens):
        alone = maker.batch([one], [pictures[place]], [1.0])
        inputs = {**alone.model_inputs(), "logits_to_keep": 0}
        logits = model(**inputs).logits[0, :-1]
        slow = torch.nn.functional.cross_entropy(
            logits, one.labels[1:], ignore_index=IGNORED, reduction="sum"
        )
        assert losses[place].sum().item() == pytest.approx(slow.item(), abs=2e-3)


@pytest.mark.parametrize(
    ("rule", "taken", "given"),
    [
        (STAGE_1, (128, 64), (252, 140)),
        (STAGE_1, (512, 256), (504, 252)),
        (STAGE_2, (512, 256), (392, 196)),
        (STAGE_2, (200, 100), (196, 112)),
        (STAGE_3, (512, 256), (504, 252)),
    ],
)
def test_pictures_get_the_stages_sizes(tiny, rule, taken, given):
    _, processor = tiny
    sample = InstructionSample("annotate-attributes", annotate_prompt(), (0,), "a")
    assert collator(processor, rule).tokenize(sample, [taken]).sizes == (given,)


def test_a_sample_longer_than_a_batch_gets_smaller_pictures(tiny):
    _, processor = tiny
    sample = InstructionSample("standard", paper_prompt("standard", [1, 4]), (0, 1, 2, 3, 4), "Image 2")
    size = [(512, 256)] * 5
    whole = collator(processor, STAGE_3).tokenize(sample, size)
    bounded = collator(processor, STAGE_3, longest=300).tokenize(sample, size)
    assert len(whole) > 700
    assert len(bounded) <= 300
    assert len(set(bounded.sizes)) == 1


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=60),
    budget=st.integers(1, 900),
    parts=st.integers(1, 5),
)
@settings(max_examples=150)
def test_passes_hold_every_sample_once_within_the_budget(lengths, budget, parts):
    passes = cut(lengths, budget, parts)
    assert sorted(place for one in passes for place in one) == list(range(len(lengths)))
    assert len(passes) % parts == 0
    for one in passes:
        assert len(one) <= 1 or max(lengths[place] for place in one) * len(one) <= budget
    firsts = [lengths[one[0]] for one in passes if one]
    assert firsts == sorted(firsts, reverse=True)
    assert cut(lengths, budget, parts) == passes


@given(count=st.integers(1, 200), size=st.integers(1, 40))
@settings(max_examples=50)
def test_steps_hold_every_sample_once(count, size):
    steps = -(-count // size)
    assert [i for step in range(steps) for i in step_indices(step, size, count)] == list(range(count))


@pytest.mark.parametrize("share", [0, 0.1, 0.25, 1 / 3, 0.5, 1])
def test_list_steps_are_spread_evenly(share):
    marks = [is_list_step(step, share) for step in range(120)]
    for start in range(0, 100):
        assert abs(sum(marks[start : start + 20]) - 20 * share) <= 1


def steps(stage, processor, **options):
    given = {"samples_per_step": 8, "tokens_per_batch": 400, **options}
    return Steps(samples(stage), collator(processor, longest=given["tokens_per_batch"]), **given)


def same(one, other):
    return (
        one.stats == other.stats
        and len(one.batches) == len(other.batches)
        and all(
            a.tasks == b.tasks and torch.equal(a.ids, b.ids) and torch.equal(a.patches, b.patches)
            for a, b in zip(one.batches, other.batches, strict=True)
        )
    )


def test_a_step_is_a_function_of_its_number(tiny):
    _, processor = tiny
    one, other = steps(2, processor), steps(2, processor)
    ahead = [one[step] for step in range(3)]
    assert all(same(ahead[step], other[step]) for step in (2, 0, 1))
    assert not same(ahead[0], ahead[1])
    assert len(one) == 5


@pytest.mark.parametrize("average", ["samples", "tokens"])
def test_devices_share_a_step_and_its_weights_add_up_to_one(tiny, average):
    _, processor = tiny
    whole = steps(2, processor, average=average)[1]
    shared = [steps(2, processor, average=average, part=part, parts=3)[1] for part in range(3)]
    assert {len(share.batches) for share in shared} == {len(shared[0].batches)}
    for inputs in ([whole], shared):
        assert sum(batch.weights.sum().item() for one in inputs for batch in one.batches) == pytest.approx(1)
    tasks = Counter(
        task
        for share in shared
        for batch in share.batches
        for task, weight in zip(batch.tasks, batch.weights.sum(1).tolist(), strict=True)
        if weight
    )
    assert tasks == Counter(whole.stats.samples)
    if average == "samples":
        for batch in whole.batches:
            assert torch.allclose(batch.weights.sum(1), torch.tensor(1 / 8))


def test_more_devices_than_samples_still_make_equally_many_passes(tiny):
    _, processor = tiny
    shares = [steps(2, processor, samples_per_step=1, part=part, parts=2)[0] for part in range(2)]
    assert [len(share.batches) for share in shares] == [1, 1]
    assert sum(share.batches[0].weights.sum().item() for share in shares) == pytest.approx(1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A CSV of drawn people as files: some lie on their side with a mark that says so."""
    folder = tmp_path_factory.mktemp("files")
    lines = ["path,person,camera,split,upper_colour,gender"]
    for place, record in enumerate(records().records[:24]):
        image, exif = record.picture(), Image.Exif()
        if place % 3 == 0:
            image, exif[0x0112] = image.transpose(Image.Transpose.ROTATE_90), 6  # shown turned back
        image.save(folder / f"{place:02}.jpg", exif=exif)
        shown = [record.attributes.get(kind, "") for kind in ("upper_colour", "gender")]
        lines.append(f"{folder}/{place:02}.jpg,{record.person},{record.camera},train,{','.join(shown)}")
    (folder / "people.csv").write_text("\n".join(lines))
    return folder


def file_steps(files, processor, **options):
    found = training_records(load_many([f"csv:{files}/people.csv"]))
    stream = Samples(replace(STAGES[2].mixture, samples=24), found)
    return Steps(stream, collator(processor), samples_per_step=8, tokens_per_batch=900, **options)


def test_sizes_read_from_headers_are_those_of_the_pictures(tiny, files):
    _, processor = tiny
    for file in sorted(files.glob("*.jpg")):
        with open_picture(file) as picture:
            assert header_size(file) == (picture.height, picture.width)
    whole = file_steps(files, processor)[0]
    shared = [file_steps(files, processor, part=part, parts=2)[0] for part in range(2)]
    assert shared[0].stats == shared[1].stats == whole.stats
    assert sum(batch.weights.sum().item() for one in shared for batch in one.batches) == pytest.approx(1)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_torn_file_is_named_and_the_rest_goes_on(tiny, files, tmp_path, capsys, parts):
    _, processor = tiny
    torn = next(iter(file_steps(files, processor).stream.sample(0).pictures))
    file = files / f"{torn:02}.jpg"
    before = file.read_bytes()
    try:
        file.write_bytes(before[: len(before) * 2 // 3])
        shares = [file_steps(files, processor, part=part, parts=parts)[0] for part in range(parts)]
    finally:
        file.write_bytes(before)
    assert str(file) in capsys.readouterr().err
    weight = sum(batch.weights.sum().item() for one in shares for batch in one.batches)
    assert weight == pytest.approx(1) if parts == 1 else 0 < weight < 1


@pytest.mark.parametrize("side", [10_000, 20_000, 40_000])
def test_a_huge_picture_is_left_out_on_one_device_and_on_several_alike(tiny, files, tmp_path, capsys, side):
    _, processor = tiny
    huge = next(iter(file_steps(files, processor).stream.sample(0).pictures))
    file = files / f"{huge:02}.jpg"
    before = file.read_bytes()
    try:
        file.write_bytes(bomb(side, side if side < 40_000 else 1))
        shares = [file_steps(files, processor, part=part, parts=2)[0] for part in range(2)]
        whole = file_steps(files, processor)[0]
    finally:
        file.write_bytes(before)
    assert shares[0].stats == shares[1].stats == whole.stats and whole.stats.unreadable
    assert sum(batch.weights.sum().item() for one in shares for batch in one.batches) == pytest.approx(1)
    assert str(file) in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["GIF", "HEIF", "AVIF"])
def test_every_kind_of_picture_that_is_learnt_from_has_a_size(tmp_path, kind):
    register_heif_opener()
    file = tmp_path / "crop.jpg"
    Image.new("RGB", (64, 128)).save(file, kind)
    assert open_picture(file).size == (64, 128)
    assert header_size(file) == (128, 64)


def test_a_step_without_any_picture_says_how_to_find_them(tiny):
    _, processor = tiny
    stream = samples(1)
    torn = Torn(stream, None)
    with pytest.raises(TuningError, match="no sample of step 1 can be used"):
        Steps(torn, collator(processor), samples_per_step=2, tokens_per_batch=400)[0]


class Torn:
    """A stream with one picture that cannot be opened, or none that can."""

    def __init__(self, stream, row):
        self.stream, self.row = stream, row

    def __len__(self):
        return len(self.stream)

    def sample(self, index):
        return self.stream.sample(index)

    def picture(self, row):
        if self.row in (row, None):
            raise OSError("torn.jpg is cut off")
        return self.stream.picture(row)


def test_a_torn_picture_leaves_its_samples_out_and_is_told_once(tiny, capsys):
    _, processor = tiny
    stream = samples(1)
    torn = Torn(stream, stream.sample(3).pictures[0])
    made = Steps(torn, collator(processor), samples_per_step=8, tokens_per_batch=400)
    hurt = sum(torn.row in stream.sample(i).pictures for i in range(8))
    assert hurt >= 1
    for _ in range(2):
        step = made[0]
        assert step.stats.unreadable == hurt
        assert sum(step.stats.samples.values()) == 8 - hurt
        assert sum(batch.weights.sum().item() for batch in step.batches) == pytest.approx(1)
    assert capsys.readouterr().err.count("torn.jpg is cut off") == 1
