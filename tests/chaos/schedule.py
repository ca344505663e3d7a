"""Which faults, in which order, for how long: all of it follows from the seed, however fast the machine is.

Every fault that is possible comes once, in a shuffled order, before any comes again; after every second one there is
a pair of two that overlap. A seed therefore names a sequence, of which a longer run sees more.
"""
import random
from dataclasses import dataclass

import faults


@dataclass
class Planned:
    fault: faults.Fault
    after: float  # seconds from the beginning of the step
    hold: float

    def stretch(self, factor):
        self.after, self.hold = self.after * factor, self.hold * factor


def planned(name, chance, after):
    kind = faults.ALL[name]
    return Planned(kind(random.Random(chance.randrange(1 << 62))), after, round(chance.uniform(*kind.hold), 1))


def steps(seed, names, pairs=True):
    """Without an end: each step is a list of one or two faults."""
    chance = random.Random(seed)
    names = sorted(names)
    while True:
        deck = names[:]
        chance.shuffle(deck)
        for index, name in enumerate(deck):
            yield [planned(name, chance, 0.0)]
            if pairs and index % 2:
                yield from pair(names, chance)


def pair(names, chance):
    for _ in range(20):
        first, second = chance.choice(names), chance.choice(names)
        strikes = {faults.ALL[first].strikes, faults.ALL[second].strikes}
        if len(strikes) == 2 and "everything" not in strikes:
            one = planned(first, chance, 0.0)
            yield [one, planned(second, chance, round(chance.uniform(0, one.hold * 0.9), 1))]
            return
