"""Ways: how views show what is picked: axes, units, rules, runs beside each other. The link of a page tells them."""

from urllib.parse import quote, unquote


class Way:
    """An attribute that stands in the link of its board: `axis = Way("axis", AXES, "linear")`.

    Its owner, a view or what some views share, has a `board`. A value that the link asks for and that is not allowed is
    as if it had not been asked for.

    Parameters
    ----------
    name : str
        What it is called in a link.
    allowed : collection, callable or None
        Values there are, or a function of the owner that tells them; None: all.
    usual : value or callable
        Where nothing was chosen; or a function of the owner.
    many : bool
        Whether a value is a tuple of texts, each of which has to be allowed.
    """

    names = set()  # noqa: RUF012 (all that a link may ask for)

    def __init__(self, name, allowed=None, usual=None, many=False):
        self.name, self.allowed, self.usual, self.many = name, allowed, usual, many
        Way.names.add(name)

    def __get__(self, owner, kind=None):
        if owner is None:
            return self
        asked = owner.board.ways.get(self.name)
        if asked is None:
            return self._usual(owner)
        allowed = self.allowed(owner) if callable(self.allowed) else self.allowed
        if self.many:
            return tuple(value for value in asked if allowed is None or value in allowed)
        return asked[0] if asked and (allowed is None or asked[0] in allowed) else self._usual(owner)

    def __set__(self, owner, value):
        usual = not callable(self.usual) and value == self.usual
        owner.board.choose(self.name, None if usual else tuple(value) if self.many else (value,))

    def _usual(self, owner):
        return self.usual(owner) if callable(self.usual) else self.usual


def to_query(ways):
    """{name: texts} as one short text.

    >>> to_query({"axis": ("log",), "runs": ("a1", "b 2")})
    'axis:log;runs:a1,b%202'
    """
    return ";".join(f"{name}:{','.join(quote(text, safe='') for text in ways[name])}" for name in sorted(ways))


def from_query(text):
    """What `to_query` told; ValueError with the part that cannot be read.

    >>> from_query("axis:log;runs:a1,b%202")
    {'axis': ('log',), 'runs': ('a1', 'b 2')}
    """
    found = {}
    for part in filter(None, text.split(";")):
        name, colon, values = part.partition(":")
        if name not in Way.names or not colon:
            raise ValueError(
                f"The link asks for the view {part!r}; allowed are NAME:VALUE or NAME:VALUE,VALUE, with a semicolon "
                f"between them; names are {', '.join(sorted(Way.names))}."
            )
        found[name] = tuple(unquote(value) for value in values.split(",") if value)
    return found
