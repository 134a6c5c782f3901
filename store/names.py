"""Names of continuous series: `ES.v.0` is the root, the letter of a roll rule, and the rank.

The letters are those of the common smart symbology: `c` by calendar, `v` by volume, `n` by open interest; which rule of
ours each one means stands in `roll_rules.SMART`. Rank 0 is the contract held, 1 the one after it (store/ranks.py).
"""

import re
from dataclasses import dataclass

from store.roll_rules import SMART

CONTINUOUS = re.compile(rf"(?P<root>.+)\.(?P<rule>[{''.join(SMART)}])\.(?P<rank>[0-9]+)")
_LIKE = re.compile(r".*\.[A-Za-z]*\.[^.]*|.*\.[cvn]")  # what is meant as such a name, and is none


class BadName(ValueError):
    """A continuous name that cannot be read: says what came and what is allowed."""


@dataclass(frozen=True)
class Name:
    """A series as named; `rule` is None where only the market is."""

    root: str
    rule: str | None = None
    rank: int = 0


def parse_name(text):
    """What a continuous name, or a bare root, says.

    The root is given as it was written: `Master.resolve` knows what it stands for.

    Raises
    ------
    BadName

    Examples
    --------
    >>> parse_name("ES.v.1")
    Name(root='ES', rule='volume:1', rank=1)
    >>> parse_name("ES")
    Name(root='ES', rule=None, rank=0)
    >>> parse_name("ES.x.0")
    Traceback (most recent call last):
    ...
    store.names.BadName: 'ES.x.0' is no name of a series; write ROOT, or ROOT.LETTER.RANK: LETTER c (last-trade-0,\
exit=expiry), v (volume:1) or n (oi:1), RANK 0, 1, 2...
    """
    written = str(text).strip()
    match = CONTINUOUS.fullmatch(written)
    if match:
        return Name(match["root"], SMART[match["rule"]], int(match["rank"]))
    if not written or _LIKE.fullmatch(written):
        *letters, last = (f"{letter} ({rule})" for letter, rule in SMART.items())
        raise BadName(
            f"{written!r} is no name of a series; write ROOT, or ROOT.LETTER.RANK: "
            f"LETTER {', '.join(letters)} or {last}, RANK 0, 1, 2..."
        )
    return Name(written)
