"""Messages in a language that is not read: told by their commonest words, or by their letters."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from app.chat.words import listed

# Words that English has not, and that hardly any description of a person goes without.
_WORDS = {
    language: frozenset(listed(words))
    for language, words in {
        "German": """
            ein eine einen einem einer mit ohne und oder der dem trägt frau mann junge mädchen jacke mantel hose hemd
            schuhe brille tasche rucksack mütze rot roter rote rotes schwarz schwarze schwarzer blau blaue blauer weiß
            weiße weißer grün grüne gelb ist nicht kein keine sie auf bei nach vor kamera
        """,
        "French": """
            un une des le la les avec sans et ou du homme femme fille garçon enfant veste manteau pantalon jupe chemise
            chaussures lunettes sac rouge noir noire bleu bleue blanc blanche vert verte jaune elle il dans pas qui
            cheveux longs courts caméra
        """,
        "Spanish": """
            un una unos con sin el la los las del hombre mujer chica chico niño niña chaqueta abrigo pantalón
            pantalones falda camisa zapatos gafas bolso mochila rojo roja negro negra azul blanco blanca verde amarillo
            lleva que está cámara pelo
        """,
        "Italian": """
            un una uno con senza il lo gli uomo donna ragazza ragazzo bambino giacca cappotto pantaloni gonna camicia
            scarpe occhiali borsa zaino rosso rossa nero nera blu bianco bianca verde giallo che capelli
        """,
        "Dutch": """
            een met zonder en het vrouw meisje jongen jas broek rok hemd schoenen bril tas rugzak rode zwarte blauwe
            witte groene gele draagt haar hij zij niet geen
        """,
        "Portuguese": """
            um uma com sem homem mulher menina menino casaco calça saia camisa sapatos óculos bolsa mochila vermelho
            vermelha preto preta branco branca verde amarelo cabelo
        """,
    }.items()
}
_NAMES = {"cjk": "CJK"}
_SHARE = 0.5  # of a message's words, from which it is in the language
_FEWEST = 2


def other_language(words: Sequence[str]) -> str | None:
    """The language, or the script, of a message's words (lower case) where that is not English's; else None.

    >>> other_language("eine frau mit roter jacke".split()), other_language("a woman in a red jacket".split())
    ('German', None)
    """
    words = [word for word in words if word.isalpha()]
    if not words:
        return None
    scripts = [script for word in words if (script := _script(word)) != "latin"]
    if len(scripts) >= _SHARE * len(words):
        return f"{_NAMES.get(scripts[0], scripts[0].capitalize())} script"
    hits = {language: sum(word in own for word in words) for language, own in _WORDS.items()}
    best = max(hits, key=lambda language: hits[language])
    return best if hits[best] >= max(_FEWEST, _SHARE * len(words)) else None


def _script(word: str) -> str:
    return unicodedata.name(word[0], "latin").split()[0].casefold()
