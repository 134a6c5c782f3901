"""The exchanges' rules for the last trade and the first notice, each a function of a delivery month, or of many.

`config/contracts.csv` uses their names. All count trading days of the product's own calendar, as `days.Month` does; of
an array of months they make an array of days.
The source stands in each docstring: the rulebook chapter or the contract specification by name (state of 2025), and
where a rule is older than those, the last bars of the contracts that ended by it (tests/test_store_expiry.py).
"""

from inspect import isfunction

import numpy as np

from store.days import DAY

FRIDAY, THURSDAY, WEDNESDAY, MONDAY = "0000100", "0001000", "0010000", "1000000"
BESIDE = ("CME_EQUITY", "ICE_UK", "NYMEX_EXPIRY", "OSE")  # calendars that rules ask beside the product's own


# Equity, volatility, crypto


def third_friday(month):
    """Third Friday, or the session before. CME rulebook ch. 358 (E-mini S&P 500); Eurex product
    specifications, index futures; ICE Futures Europe, FTSE 100."""
    return month.on_or_before(month.weekday(FRIDAY, 3))


def eve_of_third_friday(month):
    """Session before the third Friday. Montreal Exchange contract specifications, S&P/TSX 60."""
    return month.before(month.weekday(FRIDAY, 3))


def third_thursday(month):
    """Third Thursday, or the session before. ASX 24 contract specifications, SPI 200."""
    return month.on_or_before(month.weekday(THURSDAY, 3))


def second_thursday(month):
    """Second Thursday, or the session before. KRX contract specifications, KOSPI 200."""
    return month.on_or_before(month.weekday(THURSDAY, 2))


def second_friday_eve(month):
    """Session before the second Friday. Contract specifications of JPX, Nikkei 225 mini, and CME, Nikkei 225."""
    return month.before(month.weekday(FRIDAY, 2))


def last_friday(month):
    """Last Friday, or the session before. CME contract specifications, Bitcoin and Micro Bitcoin."""
    return month.on_or_before(month.weekday(FRIDAY, -1))


def thirty_days_before_option_friday(month):
    """Wednesday 30 days before the next month's third Friday; a session earlier if either is a holiday of the options.
    Cfe contract specifications, VX and VXM."""
    options = month.on("CME_EQUITY")  # the futures trade on days on which the options do not
    friday = options.on_or_before(options.later(1).weekday(FRIDAY, 3))
    return options.on_or_before(friday - 30 * DAY)


def second_last_session(month):
    """Session before the last of the month. Specifications of HKEX, Hang Seng Index, and SGX, MSCI Singapore."""
    return month.session(-2)


# Rates


def last_session(month):
    """Last session of the month. CBOT rulebook ch. 20-22 (notes of 5 and 2 years, fed funds), CME ch. 101 (cattle)."""
    return month.session(-1)


def seven_before_last_session(month):
    """Seventh session before the last. CBOT rulebook ch. 18, 19 (bonds, 10-year notes); grains to 1999 and
    2 and 5-year notes to 1994 and 2006, as their last bars show. Coffee to 1987."""
    return month.session(-8)


def two_before_tenth(month):
    """Two exchange days before delivery on the tenth. Eurex product specifications, fixed income futures."""
    return month.shift(month.on_or_after(month.day(10)), -2)


def two_before_last_session(month):
    """Two sessions before the last of the month. ICE Futures Europe, Long Gilt contract specification."""
    return month.session(-3)


def eve_of_third_wednesday_next_quarter(month):
    """Session before the third Wednesday three months on. CME rulebook ch. 460 (3-month SOFR)."""
    return month.before(month.later(3).weekday(WEDNESDAY, 3))


def two_before_note_issue(month):
    """Second session before the issue of the month's 2-year note, which is its last day or the session after. CBOT,
    2-year note of the 1990s; the last bars of 33 of 39 contracts from 1994 to 2004 say the same."""
    issue = month.on_or_after(month.later(1).first - DAY)
    return month.on_or_before(month.before(issue, 2))


def five_before_twentieth(month):
    """Five sessions before delivery on the 20th. JPX contract specifications, 10-year JGB, from December 2015."""
    return month.shift(month.on_or_after(month.day(20)), -5)


def seven_before_twentieth(month):
    """Seven sessions before delivery on the 20th: 10-year JGB futures of the Tokyo exchange, to September 2015."""
    return month.shift(month.on_or_after(month.day(20)), -7)


def six_before_twentieth(month):
    """Session before the Japanese contract's own end. SGX contract specifications, mini JGB, from December 2015."""
    japan = month.on("OSE")  # Singapore trades on Japanese holidays, but they do not count
    return japan.before(five_before_twentieth(japan))


def eight_before_twentieth(month):
    """Session before the Japanese contract's own end. SGX contract specifications, 10-year JGB, 1998 to 2015."""
    japan = month.on("OSE")
    return japan.before(seven_before_twentieth(japan))


def twentieth_month_before(month):
    """The 20th of the month before delivery, or the session before: SIMEX JGB to 1998, as its last bars show."""
    return month.on("OSE").on_or_before(month.later(-1).day(20))


# Currency


def two_before_third_wednesday(month):
    """Second session before the third Wednesday. CME rulebook ch. 251, 255, 261 (FX), 452 (Eurodollar); ICE Futures
    U.S. contract specification, U.S. Dollar Index."""
    return month.before(month.on_or_after(month.weekday(WEDNESDAY, 3)), 2)


def eve_of_third_wednesday(month):
    """Session before the third Wednesday. CME rulebook ch. 252 (Canadian dollar)."""
    return month.before(month.on_or_after(month.weekday(WEDNESDAY, 3)))


# Energy


def three_before_25th_month_before(month):
    """Third session before the 25th of the month before delivery, or before the session before it, if that is none.
    NYMEX rulebook ch. 200 (light sweet crude)."""
    previous = month.on("NYMEX_EXPIRY").later(-1)
    return previous.shift(previous.on_or_before(previous.day(25)), -3)


def four_before_25th_month_before(month):
    """A session before crude oil's own end. CME contract specifications, Micro WTI and E-mini crude oil; ICE Futures
    Europe, WTI crude."""
    return month.on("NYMEX_EXPIRY").before(three_before_25th_month_before(month))


def third_last_session_month_before(month):
    """Third last session of the month before delivery. NYMEX rulebook ch. 220 (Henry Hub natural gas)."""
    return month.on("NYMEX_EXPIRY").later(-1).session(-3)


def fourth_last_session_month_before(month):
    """A session before natural gas's own end. CME contract specifications, E-mini natural gas."""
    return month.on("NYMEX_EXPIRY").later(-1).session(-4)


def last_session_month_before(month):
    """Last session of the month before delivery. NYMEX ch. 150, 191 (ULSD, RBOB); ICE Futures U.S., sugar 11.
    As a first notice: COMEX ch. 113, 112, 111 (gold, silver, copper); CBOT ch. 10-14, 18-21 (grains, Treasuries)."""
    return month.later(-1).session(-1)


def last_session_two_months_before(month):
    """Last session of the second month before delivery, in December the one before. ICE Futures Europe, Brent crude
    specification, from March 2016; CME contract specifications, Brent last day."""
    end = month.on("ICE_UK").later(-2)  # trading goes on, but English bank holidays do not count
    return np.where(end.number == 12, end.session(-2), end.session(-1))


def session_before_15_days_before_month(month):
    """Session before the 15th day before delivery, or before the session before it, if that is none. ICE Futures
    Europe, Brent crude specification, to February 2016."""
    return month.before(month.on_or_before(month.first - 15 * DAY))


def two_before_14th(month):
    """Two sessions before the 14th; a 14th that is none counts from where it falls. ICE Futures Europe, Low Sulphur
    Gasoil specification."""
    return month.before(month.day(14), 2)


def fourth_last_session(month):
    """Fourth last session of the month: COMEX silver to 1984, as its last bars show."""
    return month.session(-4)


def third_last_session(month):
    """Third last session of the month. COMEX rulebook ch. 111-113 (copper, silver, gold), NYMEX ch. 105, 106."""
    return month.session(-3)


# Grains, softs, livestock


def eve_of_15th(month):
    """Session before the 15th. CBOT rulebook ch. 10 to 17 (corn, soybeans, oil, meal, wheat, oats, rice), from 2000."""
    return month.before(month.day(15))


def five_before_last_session(month):
    """Fifth session before the last. CME rulebook ch. 101 (live cattle), 1991 to 1998; coffee to 1980."""
    return month.session(-6)


def eight_before_last_session(month):
    """Eighth session before the last. ICE Futures U.S. contract specification, Coffee C."""
    return month.session(-9)


def eleven_before_last_session(month):
    """Eleventh session before the last. ICE Futures U.S. contract specification, Cocoa."""
    return month.session(-12)


def fourteen_before_last_session(month):
    """Fourteenth session before the last. ICE Futures U.S. contract specification, FCOJ-A."""
    return month.session(-15)


def seventeen_before_end(month):
    """Seventeen sessions from the end of the month. ICE Futures U.S. contract specification, Cotton No. 2."""
    return month.session(-17)


def tenth_session(month):
    """Tenth session of the month. CME rulebook ch. 152 (lean hogs)."""
    return month.session(10)


def twentieth(month):
    """The 20th, or the session before. CME rulebook ch. 101 (live cattle), to the 1990s."""
    return month.on_or_before(month.day(20))


def last_thursday(month):
    """Last Thursday that closes five sessions without a holiday, in November the Thursday before Thanksgiving's.
    CME rulebook ch. 102 (feeder cattle)."""
    november = month.on_or_before(month.weekday(THURSDAY, 4) - 7 * DAY)
    thursday = month.weekday(THURSDAY, -1)
    week = np.busday_count(thursday - 6 * DAY, thursday + DAY, busdaycal=month.calendar)
    other = np.where(week == 5, thursday, month.on_or_before(thursday - 7 * DAY))
    return np.where(month.number == 11, november, other)


# First notices of their own


def first_session(month):
    """First session of the month. ICE Futures U.S. contract specification, FCOJ-A."""
    return month.session(1)


def three_before_month(month):
    """Third session before the first one of the month. Montreal Exchange, CGB and CGF, until settlement in one day."""
    return month.shift(month.session(1), -3)


def five_before_month(month):
    """Fifth session before the first one of the month. ICE Futures U.S. contract specification, Cotton No. 2."""
    return month.shift(month.session(1), -5)


def seven_before_month(month):
    """Seventh session before the first one of the month. ICE Futures U.S. contract specification, Coffee C."""
    return month.shift(month.session(1), -7)


def ten_before_month(month):
    """Tenth session before the first one of the month. ICE Futures U.S. contract specification, Cocoa."""
    return month.shift(month.session(1), -10)


def first_monday(month):
    """First Monday, or the session after. CME rulebook ch. 101 (live cattle)."""
    return month.on_or_after(month.weekday(MONDAY, 1))


def second_session(month):
    """Second session of the month: notice for barrels delivered in it. NYMEX rulebook ch. 150, 191 (ULSD, RBOB)."""
    return month.session(2)


def second_last_session_month_before(month):
    """Second last session of the month before delivery. ICE Futures Europe, Long Gilt contract specification."""
    return month.later(-1).session(-2)


def after_natural_gas(month):
    """Session after natural gas's own end. NYMEX rulebook ch. 220."""
    return month.on("NYMEX_EXPIRY").later(-1).session(-2)


def two_after_crude(month):
    """Second session after crude oil's last trade. NYMEX rulebook ch. 200."""
    return month.on("NYMEX_EXPIRY").shift(three_before_25th_month_before(month), 2)


RULES = {name: rule for name, rule in list(globals().items()) if isfunction(rule) and name != "isfunction"}
