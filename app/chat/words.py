"""What operators say beyond the attribute vocabulary: colloquial synonyms, function words, and words that
no crop can answer.

`app.model.vocabulary.PHRASES` is what the models are taught by; these are read here alone, so that adding a
word changes no model and no tokenizer.
"""

from __future__ import annotations

from app.model.vocabulary import Attribute


def listed(words: str) -> tuple[str, ...]:
    """The words of a table, in order: listed("red green") == ("red", "green")."""
    return tuple(words.split())


def phrases(table: str) -> tuple[str, ...]:
    """The phrases of a table, in order: phrases("no hat|a hat") == ("no hat", "a hat")."""
    return tuple(table.split("|"))


# (kind, value) -> phrases that state it.
_ALSO: dict[tuple[str, str], str] = {
    (
        "gender",
        "woman",
    ): "females|ladies|girls|lass|gal|mum|mom|mother|wife|granny|grandma|hers|herself|madam|wmn|daughter|"
    "granddaughter|sister|niece|aunt|auntie|girlfriend|nan|nana",
    ("gender", "man"): "males|guys|boys|gent|gents|bloke|fella|fellow|chap|dude|lad|dad|father|husband|"
    "grandpa|granddad|himself|mister|son|grandson|brother|nephew|uncle|boyfriend",
    ("age", "young"): "younger|youthful|youngish|in his twenties|in her twenties|teenaged",
    ("age", "middle-aged"): "middle age|in her forties|in his forties|in her fifties|in his fifties",
    (
        "age",
        "elderly",
    ): "granny|grandma|grandpa|granddad|retired|pensioners|in her seventies|in his seventies",
    ("build", "slim"): "slim build|thin build|slightly built|slight build|petite|slimmer|lanky|thinner",
    ("build", "average"): "average size|medium sized",
    (
        "build",
        "heavy",
    ): "heavy build|heavy set|big build|bulky|obese|well built|broad shouldered|muscular|burly",
    ("hair", "long"): "shoulder length hair|mid length hair|waist length hair",
    ("hair", "ponytail"): "pony|pigtail|pigtails|tied hair|hair tied|hair tied up|tied up hair|tied back",
    ("hair", "bun"): "hair in a bun|man bun",
    ("hair", "bald"): "shaven head|balding|bald headed|shaved hair|skinhead",
    ("hair_colour", "blond"): "blondie|fair hair|fair haired|light hair|blond one",
    ("hair_colour", "red"): "redhead|red head|redheaded|red headed",
    ("hair_colour", "brown"): "brunette|brunet",
    ("hair_colour", "black"): "raven haired",
    ("hair_colour", "grey"): "greying",
    ("beard", "beard"): "goatee|stubble|whiskers",
    ("beard", "none"): "shaven",
    ("upper", "t-shirt"): "tees|singlet|undershirt|tank",
    ("upper", "shirt"): "polo shirt|button down|button up|flannel|tunic|shirted",
    ("upper", "sweater"): "sweat shirt|jersey|fleece|turtleneck|knitwear|pull over|cardi",
    ("upper", "hoodie"): "hoody|hooded jumper|hooded sweater",
    ("upper", "jacket"): "anorak|puffer|puffer jacket|wind breaker|bomber jacket|suit jacket|rain jacket|"
    "jeans jacket|jean jacket|jacketed|jkt",
    ("upper", "coat"): "over coat|winter coat|rain coat|trenchcoat|trench|mac|duffle coat|peacoat|coated",
    ("upper", "suit"): "suited",
    ("upper", "dress"): "sundress|summer dress",
    (
        "upper_pattern",
        "plain",
    ): "no pattern|no patterns|without a pattern|without any pattern|without pattern",
    ("upper_pattern", "striped"): "stripey|pinstriped|pinstripe|pin striped",
    ("upper_pattern", "checked"): "gingham|chequers|checks|lumberjack",
    ("upper_pattern", "dotted"): "spots",
    (
        "lower",
        "trousers",
    ): "pant|sweatpants|joggers|sweat pants|jogging bottoms|tracksuit bottoms|cargo pants|corduroys|"
    "trackies|trousered",
    ("lower", "jeans"): "jean trousers|jeaned",
    ("lower", "skirt"): "mini skirt|skirted",
    ("shoes", "sneakers"): "tennis shoes|gym shoes|kicks|plimsolls|athletic shoes",
    ("shoes", "boots"): "wellies|wellingtons|bootees|booted",
    ("shoes", "shoes"): "brogues|footwear shoes",
    ("hat", "cap"): "baseball hat|peaked cap|snapback|capped",
    ("hat", "beanie"): "bobble hat|woolly cap|knit cap|knit hat|winter hat|toque",
    ("hat", "hat"): "trilby|bowler|straw hat|bucket hat|hatted",
    ("hat", "hood"): "hooded",
    ("hat", "none"): "nothing on his head|nothing on her head|nothing on their head|bare headed|bare head",
    ("bag", "backpack"): "ruck sack|daypack|schoolbag|bookbag",
    ("bag", "handbag"): "hand bag|clutch bag|clutch",
    ("bag", "shoulder bag"): "cross body bag|tote|tote bag|bag over the shoulder|bag over her shoulder|"
    "bag over his shoulder",
    ("bag", "suitcase"): "suit case|rolling case|wheeled suitcase|wheelie case|trolley bag|roller case",
    (
        "bag",
        "none",
    ): "empty handed|not carrying anything|carrying nothing|"
    "carried nothing|carries nothing|held nothing|holding nothing|without any luggage",
    ("glasses", "glasses"): "eye glasses|specs|reading glasses",
    ("glasses", "sunglasses"): "sunnies",
    ("umbrella", "umbrella"): "brollies",
}

PHRASES: dict[str, Attribute] = {
    phrase: Attribute(kind, value) for (kind, value), words in _ALSO.items() for phrase in words.split("|")
}

# People by what they wear, "a blue-jeaned man"; before a garment they say what that is like, "a hooded jacket".
WEARING = frozenset(
    listed("hooded capped hatted coated jacketed shirted suited jeaned trousered skirted booted")
)

# Names of a thing that do not say which one; beside vocabulary.GROUPS.
GROUPS: dict[str, str] = {
    "haired": "hair",
    "hairdo": "hair",
    "clothing": "upper",
    "attire": "upper",
    "garment": "upper",
    "garments": "upper",
    "tops": "upper",
    "headgear": "hat",
}

# Whole outfits: a colour said of them is taken for the top, and the reply says so.
OUTFITS = frozenset({"clothes", "clothing", "outfit", "attire", "garment", "garments"})

# Colours as only operators say them -> a colour of the vocabulary.
COLOURS: dict[str, str] = {
    "ivory": "white",
    "charcoal": "grey",
    "aqua": "blue",
    "indigo": "blue",
    "fuchsia": "pink",
    "salmon": "pink",
    "lavender": "purple",
    "mauve": "purple",
    "emerald": "green",
    "ruby": "red",
    "amber": "orange",
    "chocolate": "brown",
    "camel": "beige",
    "rust": "orange",
    "blk": "black",
    "wht": "white",
    "gry": "grey",
    "blu": "blue",
    "grn": "green",
    "brn": "brown",
    "ylw": "yellow",
    "redish": "red",
    "reddish": "red",
    "bluish": "blue",
    "greenish": "green",
    "greyish": "grey",
    "brownish": "brown",
    "yellowish": "yellow",
    "blackish": "black",
    "whitish": "white",
    "pinkish": "pink",
}

# A colour where the vocabulary of the thing has no such value: (kind of colour, colour) -> what it is there.
COLOUR_AS: dict[tuple[str, str], str] = {
    ("hair_colour", "white"): "grey",
    ("hair_colour", "yellow"): "blond",
    ("hair_colour", "orange"): "red",
    ("hair_colour", "beige"): "blond",
    ("shoe_colour", "beige"): "brown",
}

# How dark a garment is, as the vocabulary has it.
SHADE_VALUES: dict[str, str] = {
    "dark": "dark",
    "darker": "dark",
    "medium": "medium",
    "light": "light",
    "lighter": "light",
    "pale": "light",
    "pastel": "light",
}
# How long a garment is, as the vocabulary has it; of what else "long" and "short" are said, they are not read so.
LENGTHS: dict[str, str] = {
    "long": "long",
    "ankle length": "long",
    "full length": "long",
    "floor length": "long",
    "maxi": "long",
    "short": "short",
    "mini": "short",
    "knee length": "knee-length",
    "calf length": "knee-length",
    "midi": "knee-length",
    "three quarter": "knee-length",
}
SHADES = frozenset(SHADE_VALUES) | frozenset(listed("bright deep vivid neon faded"))

# Patterns as nouns, which follow what they are of: "a shirt with stripes".
FIGURES = frozenset(phrases("stripes|stripe|dots|spots|checks|polka dots|polka dot"))

# That what is said holds of all the clothes: "all in black", "everything was black".
WHOLLY = frozenset(listed("all completely entirely fully totally everything whole"))

PRONOUNS = frozenset(listed("she her hers herself he him his himself"))

# People whose own noun says nothing of them; a colour before one of these speaks of the person, not of
# clothes.
PERSONS = frozenset(
    listed(
        """
    person people someone somebody anyone anybody individual suspect pedestrian passer passerby human
    folk one subject figure stranger
    """
    )
)

# Things outside the vocabulary whose name begins with a word that says nothing by itself.
COMPOUNDS = phrases(
    "face mask|face masks|surgical mask|head scarf|head band|head torch|head phones|ear phones|arm band|arm sling|"
    "arm cast|neck brace|neck scarf|bow tie|back brace|back support|hand fan|hand bell|face paint|face shield|"
    "body warmer|body armour|leg cast|leg brace|shoulder strap|knee pads|elbow pads|hand truck|track suit|jump suit|"
    "bathing suit|wet suit|boiler suit|swim suit|space suit|hood down|tie dye|tie dyed|phone number|phone box|"
    "walking frame|walking frames|zimmer frame|walking stick|walking aid"
)

# Of the person's skin or origin: never searched by.
ORIGINS = frozenset(
    listed(
        """
    skin skinned asian african caucasian european hispanic latino latina arab indian chinese ethnic
    ethnicity race complexion coloured-person
    """
    )
)
SKIN_COLOURS = frozenset({"black", "white", "brown", "yellow"})

# What a crop cannot tell.
UNJUDGED = frozenset(
    listed(
        """
    tall taller tallish shorter height high metres meters cm feet foot inches weight kilos kg pretty
    beautiful handsome attractive ugly nice cute friendly suspicious nervous angry drunk rich poor smart
    clever loud voice accent perfume smell name religion muslim christian jewish foreign foreigner
    nationality criminal thief guilty innocent gay lesbian famous dangerous shady strange weird odd
    honest
    """
    )
)

# Words that steer the sentence and say nothing of the person.
FUNCTION = frozenset(
    listed(
        """
    a an the this that these those there here it its they them their theirs i me my mine we us our you
    your am is are was were be been being do does did done have has had having will would shall should
    can could may might must need needs needed want wants wanted like likes looks look looked looking
    find finding found search searching show showing see saw seen seeing spot spotted get give try
    trying help tell think thought believe guess suppose remember recall know knows said say says mean
    meant hear heard hope let lets make sure certain possibly probably perhaps maybe apparently
    definitely clearly please kindly thanks thank hello hi hey ok okay well so then now also too just
    only even still again already really very quite rather pretty-much fairly somewhat kind sort type of
    in on at to from with by for about into onto over under up down out off around near through during
    as than while when where which who whom whose what how why if whether because since after before
    until and or but nor both either neither not no never without any some each every all none wear
    wears wore wearing worn dressed carry carries carrying carried hold holding holds held bring
    bringing brought put puts putting sporting pull pulling pulled push pushing dragging drag took take
    taking taken walk walks walking walked stand standing stood pass passing passed come coming came go
    goes going went move moving moved enter entering entered leave leaving left arrive arriving arrived
    happen happened last first next person people someone somebody anyone anybody individual suspect
    pedestrian human one ones same again colour color colours colors coloured colored shade wise thing
    things stuff something anything somewhat other another else different instead actually sorry wait
    oops hmm hm um uh er ah oh yes yeah yep yup nope nah correction correct wrong right exactly bit
    little lot more most less mostly mainly mainly much many few several pair set piece photo picture
    image pic crop crops camera cameras cam cams footage frame video gallery candidate candidates match
    matches matching result results today yesterday day days time times hour hours clock am pm oclock
    around roughly approximately circa old year years aged age ages build built style styled appears
    appear appearing seems seem seemed looked back hand hands head body face arm arms shoulder shoulders
    his her him she he hers himself herself total fully completely entirely whole big large small huge
    average medium dressing clad getting got new nothing within along plus minus ask asked asking
    question filter filters checked check checking solid plain describe description described
    information info detail details part place area view scene side start again keep change changed
    changes add added remove include including wih wiht wth teh adn hte im ive hes shes thats id lol btw
    aka etc eg ie via per vs noon midday morning afternoon evening night midnight o past till between
    above below behind good fine great cool perfect alright sir madam anyway anyways whatever whoever
    monday tuesday wednesday thursday friday saturday sunday january february march april june july
    august september october november december gender sex pattern patterned patterns similar coming
    towards toward everything everyone everybody everywhere
    approx narrow limit restrict mistaken together group outside inside front rear left side sides
    edge corner anytime shortly
    """
    )
)

NUMBER_WORDS: dict[str, int] = {
    word: number
    for number, word in enumerate(
        listed(
            """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty
    """
        )
    )
}
MONTHS = listed(
    """
    january february march april may june july august september october november december
    """
)
# As German and French write them, with a number before.
OTHER_MONTHS = {
    word: number
    for number, words in enumerate(
        (
            "januar janvier",
            "februar février fevrier",
            "märz maerz mars",
            "avril",
            "mai",
            "juni juin",
            "juli juillet",
            "août aout",
            "septembre",
            "oktober octobre okt",
            "novembre",
            "dezember décembre decembre dez",
        ),
        start=1,
    )
    for word in words.split()
}
WEEKDAYS = listed("monday tuesday wednesday thursday friday saturday sunday")
ORDINALS: dict[str, int] = {
    word: number
    for number, word in enumerate(
        listed("first second third fourth fifth sixth seventh eighth ninth tenth"), start=1
    )
}
