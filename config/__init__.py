"""Facts and settings that ship with the product: contracts, symbols, holidays, costs, vendors, portfolios."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
