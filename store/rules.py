"""The exchanges' rules for the last trade and the first notice, each a function of a delivery month.

`config/contracts.csv` uses their names. All count trading days of the product's own calendar, as `days.Month` does.
The rulebook chapter or contract specification stands in each docstring, as read in 2025.
"""

import numpy as np

FRIDAY, THURSDAY, WEDNESDAY, MONDAY = "0000100", "0001000", "0010000", "1000000"
RULES = {}


def rule(function):
    """Enter a function under its name in RULES."""
    RULES[function.__name__] = function
    return function


# Equity, volatility, crypto


@rule
def third_friday(month):
    """Third Friday, or the session before. CME rulebook ch. 358 (E-mini S&P 500), 359; Eurex contract specifications 1.3."""
    return month.on_or_before(month.weekday(FRIDAY, 3))


@rule
def second_friday_eve(month):
    """Session before the second Friday. JPX-OSE, Nikkei 225 mini contract specifications; CME ch. 352A (Nikkei)."""
    return month.before(month.weekday(FRIDAY, 2))


@rule
def last_friday(month):
    """Last Friday, or the session before. CME rulebook ch. 348 (Micro Bitcoin), business day in London and the US."""
    return month.on_or_before(month.weekday(FRIDAY, -1))


@rule
def thirty_days_before_option_friday(month):
    """Wednesday 30 days before the next month's third Friday; a session earlier if either is a holiday of the options.
    Cfe rulebook ch. 12 and 12A, rule 1202 (b)."""
    options = month.on("CME_EQUITY")  # the futures trade on days on which the options do not
    friday = options.on_or_before(options.later(1).weekday(FRIDAY, 3))
    return options.on_or_before(friday - 30)


@rule
def second_last_session(month):
    """Session before the last of the month. HKEX, Hang Seng Index futures contract specifications."""
    return month.session(-2)


# Rates


@rule
def last_session(month):
    """Last session of the month. CBOT rulebook ch. 20, 21 (notes of 2 and 5 years), 22 (fed funds), CME ch. 101 (cattle)."""
    return month.session(-1)


@rule
def seven_before_last_session(month):
    """Seventh session before the last. CBOT rulebook ch. 18, 19 (bonds, 10-year notes); ch. 10-14 (grains) to 1999."""
    return month.session(-8)


@rule
def two_before_tenth(month):
    """Two exchange days before delivery on the tenth. Eurex contract specifications 1.2 (Bund, Bobl, Schatz, OAT, BTP)."""
    return month.shift(month.on_or_after(month.day(10)), -2)


@rule
def two_before_last_session(month):
    """Two sessions before the last of the month. ICE Futures Europe, Long Gilt contract specification."""
    return month.session(-3)


@rule
def eve_of_third_wednesday_next_quarter(month):
    """Session before the third Wednesday three months on. CME rulebook ch. 460 (3-month SOFR)."""
    return month.before(month.later(3).weekday(WEDNESDAY, 3))


@rule
def two_before_note_issue(month):
    """Second session before the issue of the month's 2-year note, which is its last day or the session after. CBOT rulebook
    ch. 21 of the 1990s; the last bars of 39 contracts from 1994 to 2004 say the same."""
    issue = month.on_or_after(month.later(1).first - 1)
    return month.on_or_before(month.before(issue, 2))


@rule
def five_before_twentieth(month):
    """Five sessions before delivery on the 20th. JPX contract specifications, 10-year JGB futures, from December 2015."""
    return month.shift(month.on_or_after(month.day(20)), -5)


@rule
def seven_before_twentieth(month):
    """Seven sessions before delivery on the 20th: 10-year JGB futures of the Tokyo exchange, to September 2015."""
    return month.shift(month.on_or_after(month.day(20)), -7)


@rule
def six_before_twentieth(month):
    """Session before the Japanese contract's own end. SGX contract specifications, mini 10-year JGB, from December 2015."""
    japan = month.on("OSE")  # Singapore trades on Japanese holidays, but they do not count
    return japan.before(five_before_twentieth(japan))


@rule
def eight_before_twentieth(month):
    """Session before the Japanese contract's own end. SGX contract specifications, 10-year JGB, 1998 to 2015."""
    japan = month.on("OSE")
    return japan.before(seven_before_twentieth(japan))


@rule
def twentieth_month_before(month):
    """The 20th of the month before delivery, or the session before: SIMEX 10-year JGB to 1998, as its last bars show."""
    return month.on("OSE").on_or_before(month.later(-1).day(20))


# Currency


@rule
def two_before_third_wednesday(month):
    """Second session before the third Wednesday. CME rulebook ch. 251-270, 292 (FX), 452 (Eurodollar); ICE ch. 15 (DX)."""
    return month.before(month.on_or_after(month.weekday(WEDNESDAY, 3)), 2)


@rule
def eve_of_third_wednesday(month):
    """Session before the third Wednesday. CME rulebook ch. 252 (Canadian dollar)."""
    return month.before(month.on_or_after(month.weekday(WEDNESDAY, 3)))


# Energy


@rule
def three_before_25th_month_before(month):
    """Third session before the 25th of the month before delivery (or before the session before the 25th, if that is none).
    NYMEX rulebook ch. 200 (light sweet crude)."""
    previous = month.on("NYMEX_EXPIRY").later(-1)
    return previous.shift(previous.on_or_before(previous.day(25)), -3)


@rule
def four_before_25th_month_before(month):
    """A session before crude oil's own end. NYMEX rulebook ch. 200A (micro WTI), ch. 402 (E-mini)."""
    return month.on("NYMEX_EXPIRY").before(three_before_25th_month_before(month))


@rule
def third_last_session_month_before(month):
    """Third last session of the month before delivery. NYMEX rulebook ch. 220 (Henry Hub natural gas)."""
    return month.on("NYMEX_EXPIRY").later(-1).session(-3)


@rule
def fourth_last_session_month_before(month):
    """A session before natural gas's own end. NYMEX rulebook ch. 402 (E-mini natural gas)."""
    return month.on("NYMEX_EXPIRY").later(-1).session(-4)


@rule
def last_session_month_before(month):
    """Last session of the month before delivery. NYMEX ch. 150, 191 (ULSD, RBOB); ICE Futures U.S. ch. 11 (sugar 11).
    As a first notice: COMEX ch. 113, 112, 111 (gold, silver, copper); CBOT ch. 10-14, 18-21 (grains, Treasuries)."""
    return month.later(-1).session(-1)


@rule
def last_session_two_months_before(month):
    """Last session of the second month before delivery, in December the one before. ICE Futures Europe, Brent crude
    specification, from March 2016; NYMEX ch. 698 (Brent last day)."""
    end = month.on("ICE_UK").later(-2)  # trading goes on, but English bank holidays do not count
    return end.session(-2) if end.number == 12 else end.session(-1)


@rule
def session_before_15_days_before_month(month):
    """Session before the 15th day before delivery (or before the session before it, if that is none). ICE Futures Europe, Brent crude specification, to February 2016."""
    return month.before(month.on_or_before(month.first - 15))


@rule
def fourth_last_session(month):
    """Fourth last session of the month: COMEX silver to 1984, as its last bars show."""
    return month.session(-4)


@rule
def third_last_session(month):
    """Third last session of the month. COMEX rulebook ch. 111-113 (copper, silver, gold), NYMEX ch. 105, 106."""
    return month.session(-3)


# Grains, softs, livestock


@rule
def eve_of_15th(month):
    """Session before the 15th. CBOT rulebook ch. 10-14 (corn, oats, soybeans, wheat), from 2000."""
    return month.before(month.day(15))


@rule
def five_before_last_session(month):
    """Fifth session before the last. CME rulebook ch. 101 (live cattle), 1991 to 1998; coffee to 1980."""
    return month.session(-6)


@rule
def eight_before_last_session(month):
    """Eighth session before the last. ICE Futures U.S. rulebook ch. 8 (coffee C)."""
    return month.session(-9)


@rule
def eleven_before_last_session(month):
    """Eleventh session before the last. ICE Futures U.S. rulebook ch. 9 (cocoa)."""
    return month.session(-12)


@rule
def fourteen_before_last_session(month):
    """Fourteenth session before the last. ICE Futures U.S. rulebook ch. 13 (orange juice)."""
    return month.session(-15)


@rule
def seventeen_before_end(month):
    """Seventeen sessions from the end of the month. ICE Futures U.S. rulebook ch. 10 (cotton 2)."""
    return month.session(-17)


@rule
def tenth_session(month):
    """Tenth session of the month. CME rulebook ch. 152 (lean hogs)."""
    return month.session(10)


@rule
def twentieth(month):
    """The 20th, or the session before. CME rulebook ch. 101 (live cattle), to the 1990s."""
    return month.on_or_before(month.day(20))


@rule
def last_thursday(month):
    """Last Thursday that is a session after four sessions; November the Thursday before Thanksgiving. CME ch. 102."""
    if month.number == 11:
        return month.on_or_before(month.weekday(THURSDAY, 4) - 7)
    thursday = month.weekday(THURSDAY, -1)
    week = np.busday_count(thursday - 4, thursday + 1, busdaycal=month.calendar)
    return thursday if week == 4 else month.on_or_before(thursday - 7)


# First notices of their own


@rule
def first_session(month):
    """First session of the month. ICE Futures U.S. rulebook ch. 13 (orange juice)."""
    return month.session(1)


@rule
def five_before_month(month):
    """Fifth session before the first one of the month. ICE Futures U.S. rulebook ch. 10 (cotton 2)."""
    return month.shift(month.session(1), -5)


@rule
def seven_before_month(month):
    """Seventh session before the first one of the month. ICE Futures U.S. rulebook ch. 8 (coffee C)."""
    return month.shift(month.session(1), -7)


@rule
def ten_before_month(month):
    """Tenth session before the first one of the month. ICE Futures U.S. rulebook ch. 9 (cocoa)."""
    return month.shift(month.session(1), -10)


@rule
def first_monday(month):
    """First Monday, or the session after. CME rulebook ch. 101 (live cattle)."""
    return month.on_or_after(month.weekday(MONDAY, 1))


@rule
def second_session(month):
    """Second session of the month: notice for barrels delivered in it. NYMEX rulebook ch. 150, 191 (ULSD, RBOB)."""
    return month.session(2)


@rule
def second_last_session_month_before(month):
    """Second last session of the month before delivery. ICE Futures Europe, Long Gilt contract specification."""
    return month.later(-1).session(-2)


@rule
def after_natural_gas(month):
    """Session after natural gas's own end. NYMEX rulebook ch. 220."""
    return month.on("NYMEX_EXPIRY").later(-1).session(-2)


@rule
def two_after_crude(month):
    """Second session after crude oil's last trade. NYMEX rulebook ch. 200."""
    return month.on("NYMEX_EXPIRY").shift(three_before_25th_month_before(month), 2)
