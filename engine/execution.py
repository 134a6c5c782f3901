"""What happens to positions on a bar: market orders and marks.

All in contract prices. docs/positions.md tells the rules; what happens inside the bar is in `engine.bracket`, rolls are
in `engine.rolling`.
"""

import numpy as np

from engine.blotter import CRUMB, event, impact_by, move, respread, rest, trade, trade_left
from engine.book import FRACTIONAL, LOCKED, PARTIAL, SPREAD_WAITS
from engine.bracket import entered, inside, opens_beyond, trail
from engine.fills import cap
from engine.kernel import fused, inner
from engine.netting import whole_part
from engine.rolling import BUSY, ROLLING, read, roll_lines


@fused
def quiet_lines(lines, facts, marks, sweep, one_sleeve, row, found, extras, held, books):
    """Mark the lines that have nothing to do on the bar, and tell their profit and positions.

    Returns how many others have something to do, or roll: their numbers are put into `found`; and the profit of the
    quiet ones, if there is `one_sleeve`: else each line keeps its own, in `earned`.
    """
    count, total = 0, 0.0
    for i in range(lines.shape[0]):
        line = lines[i]
        size = line.position
        waits = line.target != size
        if extras is not None:
            waits |= line.left != 0.0 or line.ordered
        if waits:
            line.busy = BUSY
            found[count] = i
            count += 1
            continue
        fact, mark = facts[line.instrument], marks[line.instrument]
        if held is not None:
            held.position[row, i] = size
        if mark == mark:
            if size != 0.0:
                value = fact.multiplier * fact.fx
                cash = size * (mark - line.last)
                amount = cash * value
                if fact.offset != line.offset:
                    line.residual -= size * (fact.offset - line.offset) * value
                    line.offset = fact.offset
                if books is not None:
                    line.gross += amount
                    line.bars += 1.0
                if held is not None:
                    held.price[row, i] += amount
                if one_sleeve:
                    total += amount
                else:
                    line.earned += amount
                if not sweep:
                    line.balance += cash * fact.multiplier
            line.last = mark
        if fact.roll or fact.closed:
            line.opened, line.busy = size, ROLLING
            found[count] = i
            count += 1
    return count, total


@fused
def busy_lines(t, count, given, extras, state, books):
    """The bar of the lines that trade at the market, have orders or roll: the first `count` of `state.found`."""
    lines, members, rules, found = state.lines, state.members, given.rules[0], state.found
    marks, facts, terms = given.quotes.mark[t], given.facts[given.row[t]], given.terms[given.row[t]]
    if extras is not None and not rules.at_open:
        inside_first(t, given, extras, state, books)
    orders = False
    for n in range(count):
        line = lines[found[n]]
        if line.busy == BUSY:
            read(t, line, given)
            if line.target != line.position:
                orders |= order(t, line, members[line.member], rules, extras, books)
    if extras is not None and orders and rules.shared:
        together(t, given, state, books)
    rolls = False
    for n in range(count):
        line = lines[found[n]]
        if line.busy == BUSY and not np.isnan(marks[line.instrument]):
            if extras is not None and line.ordered:
                cash = bracketed(t, line, members[line.member], given, extras, books)
            else:
                cash = traded(t, line, rules, extras, books)
            line.balance += 0.0 if rules.sweep else cash
        fact = facts[line.instrument]
        if line.position == 0.0:
            line.last = terms[line.instrument].roll_to if fact.roll else line.last
        elif fact.roll or fact.closed or line.left != 0.0:
            line.busy, rolls = ROLLING, True
    if rolls:
        roll_lines(t, count, given, extras, state, books)


@fused
def order(t, line, member, rules, extras, books):
    """What a line trades at the market on this bar, where its target is not its position; whether anything."""
    delta = wished(line) if line.out != t else 0.0
    line.share, line.part, line.cut, line.delta = 1.0, 0.0, 0, delta
    if delta != 0.0:
        if np.isnan(line.bar.market) or np.isnan(line.bar.mark):
            line.delta = 0.0
        elif line.bar.locked * delta > 0.0:
            event(t, line.number, LOCKED, delta, 0.0, books)
            line.delta = 0.0
        elif extras is not None:
            if member.ordered and rules.at_open and opens_beyond(line, member):
                line.delta = 0.0
            elif line.left * delta < 0.0:
                line.delta = possible(line, delta, rules)
    line.net = abs(of_the_bar(line))
    return delta != 0.0


@inner
def together(t, given, state, books):
    """What the lines trade at the market, all together: spreads whole, volume, and the net of each contract."""
    lines, rules, facts = state.lines, given.rules[0], given.facts[given.row[t]]
    for i in range(lines.shape[0]):
        line = lines[i]
        if line.target == line.position:
            line.share, line.net, line.part, line.cut = 1.0, 0.0, 0.0, 0
    if rules.spreads:
        both_or_none(t, lines, state.members, books)
    if rules.participation != np.inf:
        capped(t, lines, facts, given.quotes.volume[t], rules, state.members, books)
    netted(lines, facts)


@fused
def wished(line):
    """Target less position; fractions of contracts leave no crumbs of rounding."""
    target, held = line.target, line.position
    return target - held if abs(target - held) > CRUMB * max(abs(target), abs(held)) else 0.0


@inner
def left_price(line, rules):
    """At what a market order leaves the contract rolled out of."""
    return line.bar.left_open if rules.at_open else line.bar.left_mark


@inner
def possible(line, delta, rules):
    """A reduction takes the contract rolled out of first, as much of it as its volume allows.

    What that does not allow, or all where it has no price, is taken from the other part; nothing is turned by it.
    """
    own, size = abs(line.position - line.left), abs(delta)
    if np.isnan(left_price(line, rules)):
        return np.copysign(min(size, own), delta) + 0.0
    due = min(size, abs(line.left))
    part = cap(due, line.bar.left_volume, rules.participation, rules.rounding != FRACTIONAL)
    line.part = np.copysign(part, delta) + 0.0
    if part == due:
        return delta
    line.cut = 1 if part + own < size else 0
    return np.copysign(min(size, part + own), delta) + 0.0


@fused
def of_the_bar(line):
    """The part of a line's order that is in the contract of the bar."""
    return rest(line.delta - line.part, abs(line.delta))


@inner
def both_or_none(t, lines, members, books):
    """A member of several legs trades all that it wants to trade, or nothing; each leg for itself once it is broken."""
    for j in range(members.shape[0]):
        first, after = members[j].first, members[j].after
        stuck = False
        for k in range(first, after):
            stuck |= lines[k].delta != wished(lines[k])
        if stuck and after - first > 1 and not members[j].broken:
            event(t, first, SPREAD_WAITS, lines[first].target - lines[first].position, 0.0, books)
            for k in range(first, after):
                lines[k].delta = lines[k].net = lines[k].part = 0.0
                lines[k].cut = 0


@inner
def same_contract(one, other, facts):
    """Whether two lines trade the same contract on the bar."""
    return one.root == other.root and facts[one.instrument].contract == facts[other.instrument].contract


@inner
def capped(t, lines, facts, volume, rules, members, books):
    """At most the portfolio's share of the bar's volume, net of each contract; spreads in whole units."""
    n, whole = lines.shape[0], rules.rounding != FRACTIONAL
    for i in range(n):  # `net` is the factor for now
        net = 0.0
        for k in range(n):
            if lines[k].delta != 0.0 and same_contract(lines[i], lines[k], facts):
                net += of_the_bar(lines[k])
        most = cap(abs(net), volume[lines[i].instrument], rules.participation, whole)
        lines[i].net = most / abs(net) if abs(net) > most else 1.0
    for j in range(members.shape[0]):
        first, after = members[j].first, members[j].after
        if members[j].broken:
            for k in range(first, after):
                shared_out(k, k + 1, lines, whole)
        else:
            shared_out(first, after, lines, whole)
    for i in range(n):
        lines[i].net = abs(of_the_bar(lines[i]))
        if lines[i].cut:
            event(t, i, PARTIAL, lines[i].target - lines[i].position, lines[i].delta, books)


@inner
def shared_out(first, after, lines, whole):
    """What the lines that trade as one get of their orders: whole units, by the leg that gets least."""
    factor, legs = 1.0, after - first > 1
    for k in range(first, after):
        if lines[k].delta != 0.0:
            factor = min(factor, lines[k].net)
    for k in range(first, after):
        line = lines[k]
        if factor < 1.0 and line.delta != 0.0:
            size = line.delta if legs else of_the_bar(line)
            each = abs(line.ratio) if legs else 1.0
            units = abs(size) / each * factor
            units = whole_part(units) if whole else units
            got = line.delta - size + np.copysign(units * each, size)
            line.cut = 1 if got != line.delta else line.cut
            line.delta = got + 0.0
            line.part = np.copysign(min(abs(line.part), abs(got)), line.part)


@inner
def netted(lines, facts):
    """Lines of one contract trade their net: the share of each line's size, and the net size."""
    n = lines.shape[0]
    for i in range(n):
        if lines[i].delta == 0.0:
            continue
        net, gross = 0.0, 0.0
        for k in range(n):
            if lines[k].delta != 0.0 and same_contract(lines[i], lines[k], facts):
                part = of_the_bar(lines[k])
                net += part
                gross += abs(part)
        lines[i].share, lines[i].net = abs(net) / gross if gross > 0.0 else 1.0, abs(net)


@inner
def inside_first(t, given, extras, state, books):
    """Where market orders fill late in the bar, what happens inside it comes before them."""
    rules = given.rules[0]
    for i in range(state.lines.shape[0]):
        line = state.lines[i]
        line.opened = line.position
        member = state.members[line.member]
        if member.ordered and not np.isnan(given.quotes.mark[t, line.instrument]):
            read(t, line, given)
            cash = inside(t, line, member, extras, rules, books)
            line.balance += 0.0 if rules.sweep else cash


@inner
def bracketed(t, line, member, given, extras, books):
    """The bar of a line that may have orders inside it; returns local cash."""
    rules, held, cash = given.rules[0], line.position, 0.0
    if line.delta != 0.0:
        cash += at_market(t, line, rules, extras, books)
        if line.position * held <= 0.0 and line.position != 0.0:
            asked = extras.orders[t - 1, line.member]
            member.stop_at, member.goal_at = asked.stop_at, asked.target_at
            entered(t, line, member, line.bar.market, asked)
    if rules.at_open:
        line.opened = line.position
        cash += inside(t, line, member, extras, rules, books)
    cash += marked(t, line, extras, books)
    if line.position != 0.0:
        trail(t, line, member)
        member.seen = 1
    return cash


@fused
def traded(t, line, rules, extras, books):
    """The bar of a line that trades at the market alone, or is rolling; returns local cash."""
    line.opened = line.position
    cash = at_market(t, line, rules, extras, books) if line.delta != 0.0 else 0.0
    if rules.at_open:
        line.opened = line.position
    return cash + marked(t, line, extras, books)


@fused
def marked(t, line, extras, books):
    """The line's mark: variation margin, and what the contract rolled out of earned differently; local cash."""
    cash = move(line, line.bar.mark, line.fact)
    if extras is not None and line.left != 0.0 and not np.isnan(line.bar.left_mark):
        spread = line.bar.left_mark - line.bar.mark
        cash += respread(t, line, line.left, spread, books)
        line.spread = spread
    if books is not None and line.position != 0.0:
        line.bars += 1.0
    return cash


@fused
def at_market(t, line, rules, extras, books):
    """A market order at the bar's fill price: what is left of the last contract goes first; returns local cash."""
    price = line.bar.market
    cash = move(line, price, line.fact)
    kind, why, own, part = np.int64(line.kind), np.int64(line.why), of_the_bar(line), line.part
    if extras is not None and part != 0.0:
        impact = impact_by(abs(part), line.bar.left_volume, line, rules.power)
        cash += trade_left(t, line, part, left_price(line, rules), price, kind, why, impact, books)
    if own != 0.0:
        impact = impact_by(line.net, line.bar.volume, line, rules.power)
        cash += trade(t, line, own, price, kind, why, line.share, impact, 1.0, books)
    line.delta = 0.0
    return cash
