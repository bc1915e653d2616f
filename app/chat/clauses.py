"""The clauses of a message, each with the person that it speaks of: the one sought, or somebody who is with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.chat.lexicon import Span
from app.chat.message_tokens import whole_number
from app.chat.persons import (
    DETERMINERS,
    LINKS_NOBODY,
    NAMED,
    OWNERS,
    POSSESSIVES,
    SUBJECTS,
    Person,
    object_of,
    person_at,
    tied_to,
)
from app.chat.search_state import Companion, SearchState
from app.chat.words import PRONOUNS, listed

_STARTS = frozenset(listed("and but while then whereas so that because"))
_SENTENCE_ENDS = frozenset(".;!?\n")
_ATTACHING = frozenset(listed("with in wearing wears wore carrying carries holding dressed without has had"))
_DESCRIBING = frozenset(listed("with in wearing carrying holding dressed who"))
_DENYING = frozenset(
    ("not", "ignore", "forget", "forget about", "never mind", "never", "no longer", "instead of")
)
_COPULAS = frozenset({"is", "was", "are", "were"})
PLURALS = frozenset(listed("children kids friends people men women boys girls babies mates colleagues"))
_PLURAL = {"man": "men", "woman": "women"}


@dataclass
class Clause:
    """What is said of a companion: spans `start`..`end`; who: their noun phrase, None where one known already is
    meant by a pronoun, `known` its place among the companions.
    """

    start: int
    end: int
    who: Person | None = None
    known: int | None = None
    denied: bool = False  # "not the man in the red jacket": neither sought nor with them
    named: int = 0  # spans at its start that only name whose it is: "the woman's"


class Walk:
    """One pass over a message's spans that finds whom each clause speaks of."""

    def __init__(self, spans: list[Span], state: SearchState) -> None:
        self.spans, self.state = spans, state
        self.sought: Person | None = None
        self.gender = state.value("gender") or ""
        self.subject = ""  # gender of the pronoun that means the person sought
        self.several = 0  # how many persons are spoken of as one: "two men"
        self.told = 0  # of them, each of whom something is said: "one in red, one in blue"
        self.found: list[Clause] = []
        self.owner: Clause | None = None  # of the companion spoken of now; None for the person sought
        self.described = False  # the person sought has been described in this message
        self.bare = True  # nothing has been said yet of the companion spoken of now
        self.denied = False  # somebody was named as the wrong one
        self.opened = False  # what is said of the companion was begun by a verb or "in"

    def clauses(self) -> list[Clause]:
        """What is said of others than the person sought, in order."""
        position = 0
        while position < len(self.spans):
            position = self._step(position)
        self._close(len(self.spans))
        return self.found

    def _step(self, position: int) -> int:
        """Decide whom the span at `position` speaks of; returns the next position."""
        span = self.spans[position]
        if (person := self._person(position)) is not None:
            return self._meet(person, position)
        if (gender := self._pronoun(position)) is not None:
            self._refer(position, gender)
        elif self._names_one_of_several(position) and self._of_several_others(position):
            pass
        elif (owned := self._owned(position)) is not None:
            self._close(position)
            self.owner = Clause(position, position, None, owned, named=2)
            self.found.append(self.owner)
            self.bare, self.opened = False, True
        elif span.text == "they" or (span.text in ("one", "i", "we") and self._starts(position)):
            self._close(position)
        elif self.owner is not None:
            self._go_on(position)
        elif span.thing is not None or span.role in ("colour", "word"):
            self.described = True
        return position + 1

    def _pronoun(self, position: int) -> str | None:
        """The gender of a pronoun that begins a clause, as its subject or with what is theirs."""
        text = self.spans[position].text
        if text in SUBJECTS:
            return SUBJECTS[text]
        if not self._starts(position):
            return None
        if text in OWNERS and self._is_thing_next(position + 1):
            return OWNERS[text]
        following = self.spans[position + 1].text if position + 1 < len(self.spans) else ""
        described = following in _ATTACHING | {":"}
        joined = following == "and" and position == 0 and len(self.spans) > 2 and self._person(2) is not None
        return NAMED.get(text) if described or joined else None

    def _names_one_of_several(self, position: int) -> bool:
        """ "One of them", "the other one"."""
        if not self._starts(position):
            return False
        other = [span.text for span in self.spans[position : position + 2]]
        return other[0] == "one" or (other[0] == "the" and other[1:] in (["other"], ["second"]))

    def _owned(self, position: int) -> int | None:
        """The companion whose thing is named at `position`: "the woman's hat"."""
        if self.spans[position].text != "the" or not self._is_thing_next(position + 2):
            return None
        owner = self.spans[position + 1].text
        return next((at for at, one in enumerate(self.state.companions) if one.noun == owner), None)

    def _several_known(self) -> int | None:
        """The companions known before that are several, "two friends"."""
        several = [
            at
            for at, one in enumerate(self.state.companions)
            if any((whole_number(word) or 0) > 1 for word in one.who.split()) or one.noun in PLURALS
        ]
        return several[-1] if several else None

    def _of_several_others(self, position: int) -> bool:
        """ "With two kids, one in red": one of them, and not the person sought."""
        named = [at for at, clause in enumerate(self.found) if clause.who is not None]
        last = named[-1] if named else 0
        who = self.found[last].who if named else None
        known = -last - 1 if who is not None and who.count > 1 else None
        if who is None and self.sought is None:
            known = self._several_known()
        if self.several > 1:
            return self._another_of_several(position)
        if known is None:
            return False
        self._close(position)
        self.owner = Clause(position, position, None, known)
        self.found.append(self.owner)
        self.bare, self.opened = False, True
        return True

    def _another_of_several(self, position: int) -> bool:
        """ "Two women, one blonde, one with a blue coat": the first is the person sought, the next another one."""
        if not self._tells_of_one(position):
            return False
        self.told += 1
        if self.told < 2:
            return False
        self._close(position)
        gender = self.sought.gender if self.sought is not None else ""
        who = Person(position, position, position + 1, "one", gender, "another", "with")
        self.owner = Clause(position, position, who)
        self.found.append(self.owner)
        self.bare, self.opened = True, False
        return True

    def _tells_of_one(self, position: int) -> bool:
        """Whether "one" at `position` is a person: "one in red", "one blonde", and not "one bag"."""
        if self.spans[position].text != "one" or position + 1 >= len(self.spans):
            return False
        following = self.spans[position + 1]
        if following.thing is not None:
            return following.thing == "hair"
        if following.role in ("colour", "shade"):
            return not self._is_thing_next(position + 1)
        return following.text in _ATTACHING | _COPULAS or following.role in ("attribute", "age", "unjudged")

    def _person(self, position: int) -> Person | None:
        return person_at(self.spans, position, after_several=self.several > 1)

    def _meet(self, person: Person, position: int) -> int:
        joint = self.spans[position - 1].text
        if self.owner is not None and (joint in _COPULAS or (joint == ":" and self.bare)):
            self.bare = False  # "the victim was a woman in a white coat"
            return person.end
        known = self._known(person)
        denied = self._is_denied(person, position)
        met = None if denied or known is not None else self._met(person)
        person = met or person
        if denied or met is not None or self._is_companion(person, position, known):
            self._close(person.link)
            relation = person.relation if person.relation != "with" else ""
            relation = relation or self._tie_in(person.end) or person.relation
            if not relation and self.spans[position - 1].text == "of":
                relation = "of"
            who = replace(person, relation=relation or "with")
            self.owner = Clause(min(person.link, position), position, who, known, denied)
            self.denied |= denied
            self.found.append(self.owner)
            self.bare, self.opened = True, False
            if person.determiner in OWNERS and not self.gender:
                self.gender = OWNERS[person.determiner]
        else:
            self._close(position)
            if self.sought is None or not self.gender:
                self.gender = self.gender or person.gender
            if self.sought is None and person.count > 1:
                self.several = person.count
                for span in self.spans[person.start : person.end]:
                    span.used |= span.role == "number"
            if self.spans[person.end - 1].mode == "+":
                self.sought = self.sought or person
        return person.end

    def _is_denied(self, person: Person, position: int) -> bool:
        """ "Not the man in the red jacket", "ignore the woman with the hat": their clothes are not sought."""
        governed = position > 0 and self.spans[position - 1].text in _DENYING
        described = [span.text in _DESCRIBING for span in self.spans[person.end : person.end + 1]]
        return governed and person.determiner in ("the", "this", "that") and any(described)

    def _met(self, person: Person) -> Person | None:
        """Somebody whom the one spoken of meets by a verb or a preposition of any kind."""
        somebody = self.sought is not None or bool(self.subject) or self.owner is not None
        new = bool(person.determiner) or person.count > 1
        stated = self.spans[person.end - 1].mode == "+" and person.noun != "one"
        again = self.sought is not None and person.noun == self.sought.noun
        again &= person.determiner in ("the", "this", "that")
        tells = self.sought is not None and self.sought.is_apart  # "the victim saw a man in a grey coat"
        if person.relation or again or tells or not (somebody and new and stated):
            return None
        return object_of(self.spans, person)

    @property
    def others(self) -> Companion | None:
        """Of "two men", where nothing is said of the other one."""
        told = any(clause.who is not None and clause.who.is_other for clause in self.found)
        if self.several < 2 or told or self.sought is None:
            return None
        gender = self.sought.gender
        one, many = gender or "person", _PLURAL.get(gender, "people")
        who = f"another {one}" if self.several == 2 else f"{self.several - 1} other {many}"
        return Companion(who, noun=one, gender=gender)

    def _known(self, person: Person) -> int | None:
        """The companion that a noun phrase names again: "the mother"; below zero for one of this message."""
        if person.determiner in ("a", "an", "another"):
            return None
        for number, clause in reversed(list(enumerate(self.found))):
            if clause.who is not None and clause.who.noun == person.noun and not person.is_other:
                return -number - 1
        return next((at for at, one in enumerate(self.state.companions) if one.noun == person.noun), None)

    def _is_companion(self, person: Person, position: int, known: int | None) -> bool:
        if self.denied and self.sought is None and not person.relation:
            return False  # "not the man in red but the woman behind him"
        if person.relation and (
            self.sought or person.relation != "with" or self._has_more(position) or position
        ):
            return True
        if self._starts(position) and (tied_to(self.spans, person.end) or self._has_tie(person)):
            return True
        if self.sought is None and not self.subject and self.state.is_empty:
            return False
        if (
            self.sought is not None
            and self.spans[position - 1].text == "of"
            and self.sought.end == position - 1
        ):
            return True  # "the mother of the boy in the red jacket"
        named_again = self.sought is not None and person.noun == self.sought.noun and not person.is_other
        if known is not None and not named_again:
            return True
        if person.determiner == "whose":
            return True
        if (
            self.sought is not None
            and self._starts(position)
            and not named_again
            and self._acts_on_it(person)
        ):
            return True
        if self._starts(position):
            if person.is_other and person.determiner != "another":
                return self.several > 1 or self._has_more(position)
            if person.determiner in POSSESSIVES and person.noun not in PRONOUNS and person.is_kin:
                return True
            if person.is_kin and person.gender and self.gender and person.gender != self.gender:
                return self.sought is None or not named_again
            if person.is_apart and person.determiner in ("", "the") and not named_again:
                return True
            if named_again and person.determiner in ("", "the"):
                return False  # "a kid with his mum, kid has a backpack"
        return self._is_joined(person, position)

    def _is_joined(self, person: Person, position: int) -> bool:
        """ "A man in a blue coat and a woman in a red dress": the second is with the first."""
        if position == 0 or person.noun == "one":
            return False
        joint = self.spans[position - 1].text
        if self.sought is None:  # "he and a woman in a red coat"
            return joint == "and" and position > 1 and self.spans[position - 2].text in SUBJECTS | NAMED
        before = self.spans[self.sought.end : position]
        if any(span.role in ("corrective", "not") or span.text in ("or", "no") for span in before):
            return False
        if self.spans[self.sought.end - 1].mode != "+" or self.spans[person.end - 1].mode != "+":
            return False
        if self.found and person.is_kin and joint in (",", "and"):
            return True  # "father in a blue shirt, mother in a red dress, child in pink"
        plain_pair = bool(person.gender and self.sought.gender) and not person.noun.endswith(("men", "s"))
        if joint == "and":
            return bool(person.determiner) or person.count > 1 or plain_pair
        differs = bool(person.gender and self.sought.gender and person.gender != self.sought.gender)
        return joint == "," and bool(person.determiner) and differs

    def _acts_on_it(self, person: Person) -> bool:
        """ "The woman pushing it"."""
        following = [span.text for span in self.spans[person.end : person.end + 2]]
        return (
            len(following) == 2
            and following[0].endswith("ing")
            and following[1] in ("it", "him", "her", "them")
        )

    def _has_more(self, position: int) -> bool:
        return any(span.role not in ("stop", "function") for span in self.spans[position + 1 :])

    def _has_tie(self, person: Person) -> bool:
        """ "A man in black was behind her"."""
        return person.determiner in ("a", "an", "another") and bool(self._tie_in(person.end))

    def _tie_in(self, position: int) -> str:
        """ "... behind her" in the clause that goes on at `position`."""
        for at in range(position, len(self.spans)):
            if self.spans[at].role == "stop":
                break
            if (tie := tied_to(self.spans, at)) is not None:
                return tie[0]
        return ""

    def _starts(self, position: int) -> bool:
        """Whether a clause can start at `position`."""
        if position == 0:
            return True
        before = self.spans[position - 1]
        return before.role in ("stop", "corrective", "drop", "not") or before.text in _STARTS

    def _is_thing_next(self, position: int) -> bool:
        for span in self.spans[position : position + 4]:
            if span.thing is not None or span.role == "word":
                return True
            if span.role not in ("colour", "shade", "attribute"):
                return False
        return False

    def _refer(self, position: int, gender: str) -> None:
        """Whom "she" means: the person sought, where that fits, else the companion named last that fits."""
        following = self.spans[position + 1 : position + 4]
        genders = [bool(span.entry.attribute and span.entry.attribute.kind == "gender") for span in following]
        if any(genders) and all(
            span.role != "function" or span.text in DETERMINERS | LINKS_NOBODY
            for span in following[: genders.index(True)]
        ):
            self._close(position)  # "she is a woman", not "she left a woman"
            return
        meant = self.subject or (self.sought.gender if self.sought is not None else "")
        known = None if self.gender == gender else self._fitting(gender)
        begins = self._starts(position) and self.spans[position].text in SUBJECTS | NAMED
        begins &= position > 0 and self.spans[position - 1].role not in ("not", "drop")
        if known is None and begins and meant not in ("", gender):
            self._close(position)  # "he has a red jacket and she has a blue dress"
            who = Person(position, position, position + 1, self.spans[position].text, gender, relation="with")
            self.owner = Clause(position, position, who)
            self.found.append(self.owner)
            self.bare, self.opened = False, True
            return
        if self.owner is not None and self._gender_of(self.owner) == gender and self.gender != gender:
            known = self.owner.known if self.owner.who is None else -self.found.index(self.owner) - 1
        self._close(position)
        if known is None:
            self.subject = self.subject or gender
        else:
            self.owner = Clause(position, position, None, known)
            self.found.append(self.owner)
            self.bare, self.opened = False, True

    def _fitting(self, gender: str) -> int | None:
        new = [
            (-number - 1, clause.who.gender)
            for number, clause in enumerate(self.found)
            if clause.who is not None and clause.known is None
        ]
        everybody = [*((at, one.gender) for at, one in enumerate(self.state.companions)), *new]
        same = [place for place, of in everybody if of == gender]
        fitting = same or [place for place, of in everybody if not of and self.gender]
        return fitting[-1] if fitting else None

    def _gender_of(self, clause: Clause) -> str:
        if clause.who is not None:
            return clause.who.gender
        if clause.known is not None and clause.known >= 0:
            return self.state.companions[clause.known].gender
        who = self.found[-(clause.known or 0) - 1].who
        return who.gender if who is not None else ""

    def _go_on(self, position: int) -> None:
        """Whether what follows is still of the companion."""
        span = self.spans[position]
        following = self.spans[position + 1 : position + 2]
        next_text = following[0].text if following else ""
        ends = span.role == "stop" and span.text in _SENTENCE_ENDS
        if ends or span.text == "but" or (span.text == "and" and self._is_other_clause(next_text, following)):
            self._close(position)
        elif span.text == ",":
            before = self.spans[position - 1].role
            parenthesis = before == "age" or (bool(following) and following[0].role == "age")
            adjectives = before in ("colour", "shade", "unjudged")  # "a tall, thin woman"
            list_goes_on = self.described and not self.bare and next_text not in _ATTACHING
            if not (
                parenthesis or adjectives or list_goes_on or next_text in ("who", "which", "whose", "also")
            ):
                self._close(position)
        elif span.role not in ("function", "stop"):
            self.bare = False
        elif span.text in _ATTACHING and span.text != "with":
            self.opened = True

    def _is_other_clause(self, next_text: str, following: Sequence[Span]) -> bool:
        """ "... with a woman and a backpack", "... with a woman and with a backpack" are of the person sought."""
        if not following:
            return True
        if next_text in _ATTACHING:
            return not self.opened
        return self.bare

    def _close(self, end: int) -> None:
        if self.owner is not None:
            self.owner.end = max(self.owner.start, end)
            self.owner = None
