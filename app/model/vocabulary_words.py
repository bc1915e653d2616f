"""The words that people use for each attribute, and for colours and things: tables without code.

A model is taught by the words of its version of the vocabulary, and an operator's words are read by the newest: so
the words of version 1 stay as they are, and what was understood since is said in version 2.
"""

from __future__ import annotations

COLOURS = (
    "black",
    "white",
    "grey",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "beige",
)

# Words for colours, as people say them -> the vocabulary's colour.
COLOUR_WORDS: dict[str, str] = {
    **{colour: colour for colour in COLOURS},
    "gray": "grey",
    "silver": "grey",
    "crimson": "red",
    "scarlet": "red",
    "maroon": "red",
    "burgundy": "red",
    "golden": "yellow",
    "gold": "yellow",
    "mustard": "yellow",
    "lime": "green",
    "olive": "green",
    "khaki": "beige",
    "navy": "blue",
    "turquoise": "blue",
    "teal": "blue",
    "cyan": "blue",
    "violet": "purple",
    "lilac": "purple",
    "magenta": "pink",
    "rose": "pink",
    "tan": "beige",
    "cream": "beige",
    "sand": "beige",
    "chestnut": "brown",
    "blond": "blond",
    "blonde": "blond",
    "ginger": "red",
}

# (kind, value) -> words and phrases that state it, in version 1, with "|" between them.
WORDS_1: dict[tuple[str, str], str] = {
    ("gender", "woman"): "woman|women|lady|girl|female|she|her",
    ("gender", "man"): "man|men|guy|boy|male|gentleman|he|him|his",
    (
        "age",
        "young",
    ): "young|youth|teenager|teenage|teen|in the twenties|in their twenties|student|youngster",
    ("age", "middle-aged"): "middle-aged|middle aged|middleaged|in the forties|in their forties",
    ("age", "elderly"): "elderly|old|older|senior|aged|pensioner|grandmother|grandfather",
    ("build", "slim"): "slim|thin|skinny|slender|lean",
    ("build", "average"): "average build|medium build|normal build",
    (
        "build",
        "heavy",
    ): "heavy|heavyset|heavily built|stout|fat|overweight|chubby|stocky|large build|plump",
    ("hair", "short"): "short hair|short-haired|short haired|cropped hair",
    ("hair", "long"): "long hair|long-haired|long haired|hair down",
    ("hair", "ponytail"): "ponytail|pony tail|hair tied back|tied-back hair",
    ("hair", "bun"): "bun|hair bun|topknot|hair up",
    ("hair", "curly"): "curly hair|curly|curls|afro|curly-haired|frizzy hair",
    ("hair", "bald"): "bald|no hair|shaved head|hairless|bald head",
    ("beard", "beard"): "beard|bearded|facial hair|moustache|mustache|with a beard",
    ("beard", "none"): "clean-shaven|clean shaven|beardless",
    ("upper", "t-shirt"): "t-shirt|tshirt|tee|tee shirt|t shirt|tank top",
    ("upper", "shirt"): "shirt|blouse|button-up|dress shirt|polo",
    ("upper", "sweater"): "sweater|jumper|pullover|sweatshirt|knit|cardigan",
    ("upper", "hoodie"): "hoodie|hoody|hooded top|hooded sweatshirt",
    ("upper", "jacket"): "jacket|blazer|windbreaker|bomber",
    ("upper", "coat"): "coat|overcoat|trench coat|raincoat|parka|long coat",
    ("upper", "dress"): "dress|gown|frock",
    ("upper_pattern", "plain"): "plain|without pattern|unpatterned|solid",
    ("upper_pattern", "striped"): "striped|stripes|stripy|stripe",
    ("upper_pattern", "checked"): "checked|checkered|plaid|tartan|chequered",
    ("upper_pattern", "dotted"): "dotted|dots|polka dot|polka dots|spotted",
    ("lower", "trousers"): "trousers|pants|slacks|chinos|leggings|trouser",
    ("lower", "jeans"): "jeans|denims|denim trousers",
    ("lower", "shorts"): "shorts|short trousers|short pants",
    ("lower", "skirt"): "skirt|miniskirt",
    ("shoes", "sneakers"): "sneakers|trainers|running shoes|sport shoes|sports shoes|sneaker",
    ("shoes", "boots"): "boots|boot",
    ("shoes", "shoes"): "shoes|shoe|loafers|dress shoes|leather shoes|heels",
    ("hat", "cap"): "cap|baseball cap",
    ("hat", "beanie"): "beanie|woolly hat|woollen cap|knitted hat|wool hat",
    ("hat", "hat"): "hat|sun hat|brimmed hat|fedora",
    ("hat", "none"): "bareheaded|bare-headed|hatless",
    ("bag", "backpack"): "backpack|rucksack|knapsack|back pack|school bag",
    ("bag", "handbag"): "handbag|purse|hand bag",
    ("bag", "shoulder bag"): "shoulder bag|messenger bag|crossbody bag|satchel|sling bag|shoulderbag",
    ("bag", "suitcase"): "suitcase|trolley|luggage|roller bag|trolley case",
    ("glasses", "glasses"): "glasses|spectacles|eyeglasses|bespectacled",
    ("glasses", "sunglasses"): "sunglasses|dark glasses|shades|sun glasses",
    ("umbrella", "umbrella"): "umbrella|parasol|brolly",
}

# What version 2 says otherwise, or besides.
WORDS_2: dict[tuple[str, str], str] = {
    **WORDS_1,
    ("age", "child"): "child|kid|small child|little child|toddler|infant|preschooler|little kid|small kid",
    ("upper", "t-shirt"): "t-shirt|tshirt|tee|tee shirt|t shirt",
    ("upper", "suit"): "suit|business suit|tuxedo|dinner suit|three-piece suit|two-piece suit|dress suit",
    ("upper", "vest"): "vest|waistcoat|gilet|body warmer|bodywarmer|puffer vest|down vest|padded vest",
    (
        "upper",
        "high-vis",
    ): "high-vis|hi-vis|hi-viz|high-visibility|high-vis vest|hi-vis vest|high-visibility vest|high-vis jacket|"
    "hi-vis jacket|high-visibility jacket|reflective vest|reflective jacket|reflector vest|safety vest|"
    "fluorescent vest|fluorescent jacket|high-vis top|hi-vis top",
    (
        "sleeves",
        "short",
    ): "short sleeves|short sleeve|short-sleeved|half sleeves|half-sleeved|rolled-up sleeves",
    ("sleeves", "long"): "long sleeves|long sleeve|long-sleeved|full sleeves|full-sleeved",
    ("sleeves", "sleeveless"): "sleeveless|no sleeves|without sleeves|bare-armed|strappy|spaghetti straps",
    ("upper_second_colour", "none"): "one-coloured|single-coloured|one-colored|single-colored",
    **{
        ("upper_second_colour", colour): f"partly {colour}|part {colour}|half {colour}|{colour} accents|"
        f"{colour} details|{colour} trim"
        for colour in COLOURS
    },
    (
        "upper_pattern",
        "floral",
    ): "floral|flowered|flowery|floral print|flower print|floral-patterned|flower-patterned",
    ("upper_pattern", "camouflage"): "camouflage|camo|camouflaged|camouflage print|camo print|army print",
    ("upper_print", "none"): "no print|without print|without a print|no logo or writing|unprinted",
    ("upper_print", "logo"): "logo|emblem|brand logo|printed logo|graphic|graphic print|badge",
    ("upper_print", "writing"): "writing|lettering|letters|slogan|inscription|printed words",
    ("shoes", "shoes"): "shoes|shoe|loafers|dress shoes|leather shoes",
    ("shoes", "sandals"): "sandals|sandal|flip-flops|flip flops|flipflops|slippers|sliders|open-toed shoes",
    (
        "shoes",
        "heels",
    ): "heels|high heels|high-heels|high-heeled shoes|heeled shoes|pumps|stilettos|wedges|platform shoes",
    (
        "hat",
        "helmet",
    ): "helmet|bike helmet|bicycle helmet|cycle helmet|crash helmet|motorcycle helmet|safety helmet|hard hat",
    ("hat", "headscarf"): "headscarf|head scarf|hijab|head covering|headcloth",
    ("hat", "hood"): "hood|hood up|raised hood|hood pulled up|hood on|hood over the head",
    ("bag", "shopping bag"): "shopping bag|carrier bag|plastic bag|grocery bag|paper bag|shopper",
    ("pushing", "stroller"): "stroller|pram|buggy|pushchair|push chair|baby carriage|baby buggy",
    # A bare "trolley" may be a suitcase on wheels, as in version 1.
    (
        "pushing",
        "trolley",
    ): "shopping trolley|shopping cart|cart|pushcart|luggage cart|luggage trolley|pushing a trolley|"
    "pushing the trolley|pushes a trolley|pushed a trolley|pushing trolley",
    ("pushing", "none"): "pushing nothing",
    ("scarf", "scarf"): "scarf|scarves|neck scarf|shawl|neckerchief|muffler",
    ("tie", "tie"): "tie|necktie|neck tie|bow tie|bowtie",
    ("mask", "face mask"): "face mask|facemask|mask|surgical mask|medical mask|face covering",
    ("phone", "phone"): "phone|mobile phone|cell phone|cellphone|smartphone|smart phone",
}

# Phrases of version 2 that state two attributes: the thing first.
WORDS_FOR_TWO: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "tank top": (("upper", "t-shirt"), ("sleeves", "sleeveless")),
    "polo": (("upper", "shirt"), ("sleeves", "short")),
    "long coat": (("upper", "coat"), ("upper_length", "long")),
    "miniskirt": (("lower", "skirt"), ("lower_length", "short")),
    "mini skirt": (("lower", "skirt"), ("lower_length", "short")),
    "little boy": (("gender", "man"), ("age", "child")),
    "little girl": (("gender", "woman"), ("age", "child")),
    "small boy": (("gender", "man"), ("age", "child")),
    "small girl": (("gender", "woman"), ("age", "child")),
    "schoolboy": (("gender", "man"), ("age", "child")),
    "schoolgirl": (("gender", "woman"), ("age", "child")),
}

# A word that names a thing without saying which: "without a bag", "no hat", "any glasses", "the top".
GROUPS_1: dict[str, str] = {
    "bag": "bag",
    "bags": "bag",
    "hat": "hat",
    "headwear": "hat",
    "headgear": "hat",
    "glasses": "glasses",
    "eyewear": "glasses",
    "umbrella": "umbrella",
    "beard": "beard",
    "top": "upper",
    "upper body": "upper",
    "clothes": "upper",
    "outfit": "upper",
    "bottoms": "lower",
    "bottom": "lower",
    "lower body": "lower",
    "legs": "lower",
    "hair": "hair",
    "footwear": "shoes",
}

GROUPS_2: dict[str, str] = {
    **GROUPS_1,
    "scarf": "scarf",
    "tie": "tie",
    "mask": "mask",
    "phone": "phone",
}
