"""Tests that cross services. Each member has its own tests next to its code."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The root of the checkout."""
