"""Typing errors: "bakpack" is a backpack, while "hate" is not a hat."""

from __future__ import annotations

from functools import cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

from app.chat.words import (
    COLOURS,
    FUNCTION,
    GROUPS,
    NUMBER_WORDS,
    ORIGINS,
    PERSONS,
    PHRASES,
    SHADES,
    UNJUDGED,
    listed,
)
from app.model import vocabulary

SHORTEST = 4  # letters; shorter words are near to too many others

# Words of the sentence whose loss would change its meaning; others need no mending.
_STEERING = listed(
    """
    without wearing wears carrying camera cameras between before after until yesterday today morning
    afternoon evening around forget person someone
    """
)


@cache
def _targets() -> tuple[str, ...]:
    """Words that say something alone; those that only stand inside phrases would catch too much."""
    words = {
        word
        for word in (*PHRASES, *vocabulary.ALL_PHRASES, *GROUPS, *vocabulary.ALL_GROUPS)
        if word.isalpha()
    }
    words.update(COLOURS, vocabulary.COLOUR_WORDS, _STEERING)
    return tuple(sorted(word for word in words if len(word) >= SHORTEST and word not in _NEVER))


# So near to ordinary words that a slip proves nothing.
_NEVER = frozenset(
    listed(
        """
    their legs dots tees tank sand gold lime teal rose lean knit male males hers gent gents chap
    suit vest cart hood mask camo pram logo badge letters wedges pumps heels shopper emblem writing graphic
    strappy muffler buggy gilet phone child scarves brother sister niece nephew aunt auntie uncle nana
    hooded capped hatted coated jacketed shirted suited jeaned trousered skirted booted
    cardi trackies sunnies trench rust spots
    """
    )
)


@cache
def known_words() -> frozenset[str]:
    """Every word that needs no mending: the vocabulary, the steering words, and ordinary English near to
    them.
    """
    words = {
        word
        for entry in (*PHRASES, *GROUPS, *vocabulary.COLOUR_WORDS)
        for word in entry.replace("-", " ").split()
    }
    newest = vocabulary.attribute_words(vocabulary.NEWEST_VERSION)
    words.update(part for word in newest for part in word.replace("-", " ").split())
    return frozenset(
        words | set(COLOURS) | FUNCTION | SHADES | PERSONS | ORIGINS | UNJUDGED | ORDINARY | set(NUMBER_WORDS)
    )


def is_known(word: str) -> bool:
    """True for a word of `known_words`, also as a plural or with an ordinary ending, and for the singular of
    ordinary plurals."""
    known = known_words()
    if word in known or f"{word}s" in ORDINARY or f"{word}es" in ORDINARY:
        return True
    for ending in ("s", "es", "ed", "ing", "er", "ly"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3 and stem in known:
            return True
    return False


def correct(word: str) -> str | None:
    """The vocabulary's word that a lower-case word was meant to be, or None.

    One slip (a letter lost, added, changed, or two swapped) from five letters on, two from eight on; in
    four letters only a swap or a letter lost. The first letter stays, except where the first two swapped.

    >>> correct("bakpack"), correct("jaket"), correct("oragne"), correct("hate"), correct("skateboard")
    ('backpack', 'jacket', 'orange', None, None)
    """
    if len(word) < SHORTEST or len(word) > 20 or not word.isalpha() or is_known(word):
        return None
    limit = 2 if len(word) >= 8 else 1
    near = process.extract(word, _targets(), scorer=OSA.distance, score_cutoff=limit, limit=None)
    fit = [(distance, target) for target, distance, _ in near if _plausible(word, target, int(distance))]
    return min(fit)[1] if fit else None


def _plausible(word: str, target: str, distance: int) -> bool:
    if word[0] != target[0] and sorted(word[:2]) != sorted(target[:2]):
        return False
    if len(word) == SHORTEST:
        return sorted(word) == sorted(target) or len(target) == len(word) + 1
    return distance <= (2 if len(target) >= 7 else 1)


# Ordinary words, and a few names, that lie one slip from a word of the vocabulary and must stay what they are: found
# by sending the commonest English words through `correct`, as the tests do again.
ORDINARY = frozenset(
    listed(
        """
    aber abound alter amer apron aster baby back badge ball balling bangs bard bead beaded beads bear
    bears belt bending bernie bicycle bike blackfish blacklist blad blake bland blank blaze blend blind
    block blood blown blush board boarded boarding boards boats boiler bolts bombed bond bone book books
    boost boosters boosts booth booths booties bots bottle bower bowled bowles bowser box bracelet brain
    branding bread bring broke brow browne brownies brows brunei bucky bulk bully bury button cameo
    camera cane cardinal carly carmel cart cash cast chase checkers cheeked cheeks chicks child choose clock
    coast coffee collar conquered cost cotton court crown crutches cup cures curry curvy dancing denies
    denim denis dog drinking earphones earrings eating eyelashes farther fast feather fell flock follow
    forge forged forget forgets forgot frick fur gary gery gills glove gloves goat gowan grady grain
    grasses gravy greed greek greene greenwich greer greet greeting grieving grown guitar gun hail
    hailed handball hari harmless hate hatred headless headphones heal heals healy heartless heat heats
    heaviest hells helmet hired hood hoods howdy jacked jumped kick kid kids kneeling knicks knife laney
    lanka laptop leather lift like line list live logo love mada madame magento marion marlon mask
    master meister minster mounting mourning necklace newspaper olde oliver order otte overcast overcome
    overload overnight oversight paid pain paint paints palin pans panto paolo para park parks parma
    pats pearson peck pensions persona petit pherson phone phony pick pints plan plant plants playin
    plein plum plume pocket pockets polio pollo pool pram puffy pulse pump pure puree purge pursue
    quilted radish rain range read relish repaired required restored retained retarded retire retires
    returned riding ring rugby running salim salman salon saloon scarf scariest scarlett scooter scout
    scripted seater secs sensor shaken shakes shapes shares shave shies shift shimmer shiny shire shiro
    shone shoots shops shore shores shots shout shouts silk single singles singleton sitting skateboard
    skin skip skit slack sleeve sleeveless sleeves slime smoking snacks snatched snickers sold soled spades
    speaker speakers spect splendor spotter spout stacks stick sticky stock stocks stour strapped stride
    strides strife strike strikers strikes strip stripped stripper strips strive stroller strut stumble
    stumbled suede suit sweeter swimmer swimmers talking tarian tarzan tattoo than thank thick thine
    thing think thinkers this tie tique toddy tonic topps topus torque totem trailers train trainees
    traitors trip tripod troopers uniform vest violent violin waite wars watch weaving wellington
    wellness wers wheat wheelchair while whispers whole whyte woken wool woven write youngest zip
    """
    )
)
