"""Vendors whose files can be read: one file a source, each with NAME, `recognises(file)` and `read(file)`."""

from store.vendors import (
    barchart,
    cfe,
    csi,
    databento,
    ddfplus,
    firstrate,
    firstrate_daily,
    iqfeed,
    lean,
    nearby,
    ninjatrader,
    norgate,
    parquet,
    percontract,
    plain,
    profile,
    pysystemtrade,
    quantiacs,
    rtl,
    tradingview,
)

VENDORS = {
    vendor.NAME: vendor
    for vendor in (
        barchart,
        cfe,
        csi,
        databento,
        ddfplus,
        firstrate,
        firstrate_daily,
        iqfeed,
        lean,
        nearby,
        ninjatrader,
        norgate,
        parquet,
        percontract,
        plain,
        pysystemtrade,
        quantiacs,
        rtl,
        tradingview,
    )
} | profile.PROFILES
