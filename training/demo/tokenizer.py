"""The demo models' own tokenizer: one token for each word that people, prompts and answers here are made of.

Byte-level, so any text encodes and decodes; other words fall to a few hundred learnt pieces. A word has the
same token at the start of a line as behind a space. The demo CLIP uses it too.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from app.model import prompts, vocabulary
from app.model.answers import UNSEEN, entries_of

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
MAX_ENTRIES = 1500
PIECES = 300  # learnt merges for words that are not in the list

# Words of captions and answers beside the vocabulary's own.
_CAPTION_TEXT = """
a an the this that these it its there is are was be being has have having of in on at with and or but not no
without by to from for as into over under while who whose which both all any some other another same
different A An The This That These It There Their They She He Her His In On At With And Or But Not No
Without Both Someone Pedestrian Person Woman Man People Wearing Dressed Carrying person people pedestrian
individual figure someone somebody adult human camera picture photo image images view background street crop
frame infrared visible light dark bright pale deep blurred wearing wears wear worn dressed clad carrying
carries carry holding holds hold sporting walking walks walk standing stands stand stepping striding running
strolling moving facing seen shown pictured appears appearing looks looking turned away towards left right
front back side behind profile slightly partly hidden covered occluded pair piece one two three single
pattern patterned colour color coloured colored clothes clothing outfit body build height tall face head
hand hands arm arms shoulder shoulders leg legs foot feet waist knee knees ankle top bottom bottoms upper
lower footwear headwear accessories accessory item items bare bareheaded her his their she he they him them
age aged medium short long hair haired style styled down up tied open dress common attributes unique first
second third fourth fifth sixth seventh eighth ninth tenth similarities differences match matches matching
describe description caption query now next only also too very rather quite i am we see find show shows
search searching anybody anyone me please can you could had got last big large small wide narrow loose tight
sleeves sleeve sleeveless collar zip buttons scarf gloves belt tie watch phone bottle paper shopping plastic
bike bicycle child dog stroller logo
"""
CAPTION_WORDS = tuple(_CAPTION_TEXT.split())

_NUMBERS = [str(number) for number in range(25)]

# Qwen2-VL's own layout of a conversation, without its system message: each token costs a small model time.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' or 'video' in part %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer(
    extra_words: Iterable[str] = (), version: int = vocabulary.VOCABULARY_VERSION
) -> PreTrainedTokenizerFast:
    """The tokenizer, made from the prompts and the vocabulary; the same each time.

    Args:
        extra_words: further words (or texts) whose words get a token each.
        version: of the vocabulary whose words get a token each.

    Raises:
        ValueError: more than MAX_ENTRIES entries.
    """
    words = _words(extra_words, version)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            # Each line and each stretch between special tokens begins with a space of its own.
            pre_tokenizers.Split("\n", behavior="isolated"),
            pre_tokenizers.Metaspace(replacement=" ", prepend_scheme="always", split=False),
            pre_tokenizers.Split(Regex(_pattern(words)), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + PIECES, initial_alphabet=alphabet, show_progress=False, special_tokens=[]
    )
    tokenizer.train_from_iterator(sorted(words), trainer)
    tokenizer.model = _with_words(tokenizer, words)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.ByteLevel(),
            decoders.Replace(" \n", "\n"),
            decoders.Replace("\n ", "\n"),
            decoders.Strip(" ", 1, 0),
        ]
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS[1:2] + SPECIAL_TOKENS[3:]),
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
        padding_side="left",
    )
    wrapped.chat_template = CHAT_TEMPLATE
    if len(wrapped) > MAX_ENTRIES:
        raise ValueError(f"the tokenizer has {len(wrapped)} entries; {MAX_ENTRIES} is the most")
    return wrapped


def _with_words(trained: Tokenizer, words: list[str]) -> models.BPE:
    """The learnt pieces and, beside them, each whole word (looked up before any merge)."""
    model = json.loads(trained.to_str())["model"]
    vocab: dict[str, int] = model["vocab"]
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for word in [*(f" {word}" for word in words), " \n", ' "']:
        for piece, _ in spell.pre_tokenize_str(word):
            vocab.setdefault(piece, len(vocab))
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split()) for merge in model["merges"]]
    return models.BPE(vocab=vocab, merges=merges, ignore_merges=True)


def _words(extra: Iterable[str], version: int) -> list[str]:
    texts: list[str] = [
        *CAPTION_WORDS,
        *_NUMBERS,
        *prompts.ORDINALS,
        *vocabulary.attribute_words(version),
        *extra,
    ]
    for wording in [*prompts.PAPER_PROMPTS.values(), *prompts.PAPER_RESPONSES.values()]:
        texts += re.sub(r"\{[^}]*\}", " ", wording).split()
    for references, description in ((0, "a"), (1, ""), (1, "a"), (2, "")):
        asked = [
            *prompts.pair_prompt(description, references).messages,
            *prompts.best_choice_prompt(description, references, 2).messages,
        ]
        texts += [part["text"] for message in asked for part in message["content"] if part["type"] == "text"]
    texts += [prompts.YES, prompts.NO, prompts.NONE_OF_THEM, UNSEEN, "user", "assistant", "system"]
    texts += entries_of(version)
    for kind, values in vocabulary.KINDS_OF_VERSION[version].items():
        texts += [vocabulary.phrase(vocabulary.Attribute(kind, value)) for value in values] + list(values)
    compounds = re.compile(r"\w+(?:[-'’]\w+)+|\w+")
    return sorted(set(itertools.chain.from_iterable(compounds.findall(text) for text in texts)))


def _pattern(words: list[str]) -> str:
    """Words with the space before them, known compounds ("t-shirt") whole; marks and white space singly."""
    compounds = sorted(
        (word for word in words if re.search(r"\W", word)), key=lambda word: (-len(word), word)
    )
    known = "|".join(re.escape(word) for word in compounds)
    return rf" ?(?:{known})(?!\w)| ?\w+| ?\n| ?[^\w\s]|\s"
