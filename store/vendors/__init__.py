"""Vendors whose files can be read: one file a source, each with NAME, `recognises(file)` and `read(file)`."""

from store.vendors import barchart, profile, pysystemtrade

VENDORS = {vendor.NAME: vendor for vendor in (barchart, pysystemtrade)} | profile.PROFILES
