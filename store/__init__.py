"""Keeps what is known: contracts, prices, rolls. Imports nothing of engine or app."""

from store.archive import Archive, open_archive
from store.pybroker import pybroker_source

__all__ = ["Archive", "open_archive", "pybroker_source"]
