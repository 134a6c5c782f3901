"""Keeps what is known: contracts, prices, rolls. Imports nothing of engine or app."""

from store.archive import Archive, open_archive

__all__ = ["Archive", "open_archive"]
