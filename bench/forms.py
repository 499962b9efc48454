"""Made-up households of the real communities: no phone, no door and no signer twice."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from services.pledges.demo import ROLES
from shared.city.divisions import communities, households
from shared.local.demo import GIVEN, SURNAMES

SEED = 2020
_PRIME = 48_271


def evenly(count: int, seed: int = SEED) -> list[str]:
    """A community for each of `count` households, spread evenly."""
    places = [place.code for place in communities()]
    random.Random(seed).shuffle(places)
    return [places[i % len(places)] for i in range(count)]


def everybody(seed: int = SEED) -> list[str]:
    """The community of every household of the city, in random order."""
    places = [place.code for place in communities() for _ in range(households(place.code))]
    random.Random(seed).shuffle(places)
    return places


def forms(places: Sequence[str], first: int = 0) -> Iterator[dict[str, Any]]:
    """A form for each place; `first` sets the phones apart from those of other calls."""
    chance = random.Random(first)
    doors: Counter[str] = Counter()
    for i, community in enumerate(places, first):
        doors[community] += 1
        yield {
            "community": community,
            "name": chance.choice(SURNAMES) + chance.choice(GIVEN) + chance.choice(GIVEN),
            "role": chance.choices(ROLES, (6, 2, 2))[0],
            "phone": f"199{i * _PRIME % 10**8:08d}",
            "door": f"{first + 1}幢{doors[community]}室",
            "members": chance.randrange(1, 7),
            "text_version": 1,
            "consent": True,
        }
