"""Slow twin of how spreads break: what becomes of the other legs when one can no longer trade.

Written from docs/positions.md. A leg is silent on a day without a price of its market on which another leg had one; how
many days in a row that has been is looked up anew each time, from the day back.
"""

import math


def check(book, t, ended):
    """Which spreads break on the bar, `ended` being lines whose contract ended on it, and which are flat again."""
    for member in book.members:
        if len(member.legs) == 1:
            continue
        held = [i for i in member.legs if book.held(i)]
        if not held:
            member.broken = False
        elif not member.broken and (ended & set(member.legs) or too_long(book, t, member)):
            member.broken = True
            for i in member.legs:
                book.books.event(t, i, "spread broken", book.held(i), 0.0)


def too_long(book, t, member):
    """Whether a leg has been silent for as many days as the account allows."""
    return any(silent_days(book, t, member, i) >= book.account.stale_leg_days for i in member.legs)


def silent_days(book, t, member, i):
    """Days in a row, the last that has ended at bar `t` first, on which a leg had no price while another had."""
    count = 0
    for bars in reversed(days_until(book, t)):
        priced = {k for k in member.legs for s in bars if not math.isnan(book.price("mark", s, k))}
        if i in priced:
            return count
        count += bool(priced)
    return count


def days_until(book, t):
    """The bars of each day that has ended by bar `t`."""
    days = [[]]
    for s in range(t + 1):
        days[-1].append(s)
        if book.clock["day_end"][s]:
            days.append([])
    return days[:-1]
