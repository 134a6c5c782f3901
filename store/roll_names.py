"""Names of stored roll calendars: tags, and versions by their first digits; each text means one thing only.

1. A tag is a letter, then letters, digits, dashes, underscores and dots. It names one version of a market; a version
   may have several.
2. No tag reads as a rule (it would hide it), as a version (hex digits alone) or as the name of a vendor.
3. A version is told by at least `LEAST` of its first digits, if no other version begins with them.
"""

import re
from difflib import get_close_matches

from store import segments
from store.roll_rules import DATES, KNOWN_AFTER, SMART, UnknownRule, parse_rule

FILE = "file"  # the rule of a calendar that somebody edited
LEAST = 4  # hex digits of a version that tell it
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_HEX = re.compile(r"[0-9a-f]+")
_RULE_LIKE = re.compile(rf"(?:{'|'.join((*KNOWN_AFTER, *DATES))})(?![a-z0-9_]).*")


def checked(tag):
    """The tag, if it is one that can be taken for nothing else; Refused if not.

    >>> checked("desk-2026"), checked("oils")
    ('desk-2026', 'oils')
    >>> checked("cafe")
    Traceback (most recent call last):
    ...
    store.segments.Refused: tag 'cafe' reads as a version, as all its letters are hex digits: add another one
    """
    from store.vendors import VENDORS

    lower = str(tag).lower()
    if not _TAG.fullmatch(str(tag)):
        why = "is no tag: a letter first, then letters, digits, dashes, underscores and dots, 64 at most"
    elif _HEX.fullmatch(lower):
        why = "reads as a version, as all its letters are hex digits: add another one"
    elif _RULE_LIKE.fullmatch(lower) or lower in (*SMART, FILE):
        why = "reads as a roll rule: begin with another word"
    elif lower in VENDORS:
        why = "is the name of a vendor, whose own rolls are the rule of that name: take another one"
    else:
        return tag
    raise segments.Refused(f"tag {tag!r} {why}")


def tags(head):
    """The tags of a calendar, a row of `roll_versions`."""
    return head["tag"].split(",") if head["tag"] else []


def digits(text):
    """Whether a text can be the beginning of a version.

    >>> digits("3F2a"), digits("3f2"), digits("live")
    (True, False, False)
    """
    return len(text) >= LEAST and _HEX.fullmatch(text.lower()) is not None


def is_rule(text):
    """Whether a text is a rule by activity or date."""
    try:
        parse_rule(text)
    except UnknownRule:
        return False
    return True


def possible(text):
    """Whether a text may be the name of a roll calendar, stored or not: a tag, a version, or one of a vendor's.

    >>> [possible(text) for text in ("desk-2026", "lean:oi", "3f2a", "volume:x", "volum:2")]
    [True, True, True, False, False]
    """
    from store.vendors import VENDORS

    lower = text.lower()
    return (
        text.partition(":")[0] in VENDORS
        or digits(text)
        or bool(_TAG.fullmatch(text) and not _RULE_LIKE.fullmatch(lower))
    )


def found(heads, root, name):
    """The calendar that a tag or the first digits of a version tell, of `heads` in the order of time; None for none."""
    name = str(name).strip()
    fits = [head for head in heads if name in tags(head)]
    if not fits and digits(name):
        fits = [head for head in heads if head["version"].startswith(name.lower())]
    if len({head["version"] for head in fits}) > 1:
        told = ", ".join(short(head) for head in fits)
        raise segments.Refused(f"{root}: {name} is the beginning of several versions, write more of it: {told}")
    return fits[-1] if fits else None  # of equal ones of two sources the one stored last


def chosen(heads, root, name):
    """As `found`; Refused, telling the nearest, where there is none."""
    head = found(heads, root, name)
    if head is not None:
        return head
    known = {text: head for head in heads for text in (*tags(head), head["version"])}
    near = get_close_matches(str(name), list(known), 1)
    told = f"did you mean {near[0]}? " if near else ""
    told += (
        f"{'There' if near else 'there'} are {', '.join(short(head) for head in heads)}" if heads else "none is stored"
    )
    raise segments.Refused(f"{root}: no stored roll calendar has the tag or version {name!r}; {told}")


def short(head):
    """Version, rule and tags of a calendar.

    >>> short({"version": "3f2a81cc01de", "rule": "volume:1", "tag": "live"})
    '3f2a81cc01de (volume:1, live)'
    """
    rank = [f"rank {head['rank']}"] if head.get("rank") else []
    return f"{head['version']} ({', '.join([head['rule'], *rank, *tags(head)])})"


def moved(heads, head, tag):
    """Give a tag to one of the heads, in place, and take it from the one that had it; what was done, a list of texts,
    empty if it had the tag before."""
    if checked(tag) in tags(head):
        return []
    had = next((other for other in heads if tag in tags(other)), None)
    if had is not None:
        had["tag"] = ",".join(name for name in tags(had) if name != tag) or None
    head["tag"] = ",".join([*tags(head), tag])
    return [f"{tag} is now {head['version']}" + (f", and {had['version']} no longer" if had is not None else "")]
