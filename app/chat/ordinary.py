"""Ordinary words, and a few names, that lie one slip from a word of the vocabulary and must stay what they
are.

Found by sending the commonest English words through `spelling.correct`; tests do it again.
"""

from __future__ import annotations

from app.chat.tables import listed

ORDINARY = frozenset(
    listed(
        """
    aber abound alter amer apron aster baby back badge ball balling bangs bard bead beaded beads bear
    bears belt bending bernie bicycle bike blackfish blacklist blad blake bland blank blaze blend blind
    block blood blown blush board boarded boarding boards boats boiler bolts bombed bond bone book books
    boost boosters boosts booth booths booties bots bottle bower bowled bowles bowser box bracelet brain
    branding bread bring broke brow browne brownies brows brunei bucky bulk bully bury button cameo
    camera cane cardinal carly carmel cart cash cast chase checkers cheeks chicks child choose clock
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
    skin skip skit slack sleeve sleeveless sleeves slime smoking snacks snatched snickers sold spades
    speaker speakers spect splendor spotter spout stacks stick sticky stock stocks stour strapped stride
    strides strife strike strikers strikes strip stripped stripper strips strive stroller strut stumble
    stumbled suede suit sweeter swimmer swimmers talking tarian tarzan tattoo than thank thick thine
    thing think thinkers this tie tique toddy tonic topps topus torque totem trailers train trainees
    traitors trip tripod troopers uniform vest violent violin waite wars watch weaving wellington
    wellness wers wheat wheelchair while whispers whole whyte woken wool woven write youngest zip
    """
    )
)
