"""The rules on series of bars, each once, by severity: `refuse` keeps a market from being run until somebody decides.

A rule is a function (bars, spec) of one market of one source; it finds the rows at fault and changes nothing. They are
in price_rules, chain_rules, activity_rules and session_rules; docs/quality.md says of each what it finds, why, and how
often it was wrong on real data.
"""

from store import activity_rules, chain_rules, price_rules, session_rules
from store.price_rules import suspicious
from store.series import Check, prepare

__all__ = ["CHECKS", "DUPLICATE_MARKET", "RESTATED", "Check", "prepare", "suspicious"]

CHECKS = (
    Check("unit_slip", "refuse", price_rules.unit_slip),
    Check("unit_level", "refuse", price_rules.unit_level),
    Check("time_shift", "refuse", session_rules.time_shift, within_days=True),
    Check("spike", "warn", price_rules.spike),
    Check("lone_move", "warn", price_rules.lone_move),
    Check("beside_chain", "warn", price_rules.beside_chain),
    Check("stale", "warn", price_rules.stale),
    Check("settle_outside", "warn", price_rules.settle_outside),
    Check("off_tick", "warn", price_rules.off_tick),
    Check("price_limit", "warn", price_rules.price_limit),
    Check("crossed_chain", "warn", chain_rules.crossed_chain),
    Check("duplicate_contract", "warn", chain_rules.duplicate_contract),
    Check("missing_contract", "warn", chain_rules.missing_contract),
    Check("cut_short", "warn", chain_rules.cut_short),
    Check("early_contract", "warn", chain_rules.early_contract),
    Check("no_volume", "warn", activity_rules.no_volume),
    Check("oi_jump", "warn", activity_rules.oi_jump),
    Check("volume_without_oi", "warn", activity_rules.volume_without_oi),
    Check("after_last_trade", "warn", session_rules.after_last_trade),
    Check("oi_after_expiry", "warn", session_rules.oi_after_expiry),
    Check("before_listing", "warn", session_rules.before_listing),
    Check("no_session", "warn", session_rules.no_session),
    Check("gap", "warn", session_rules.gap),
    Check("missing_session", "warn", session_rules.missing_session),
)

RESTATED = Check("restated", "refuse", None)  # told by the import (checks.refusals)
DUPLICATE_MARKET = Check("duplicate_market", "warn", None)  # told of two markets (checks.duplicates)
