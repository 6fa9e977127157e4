"""Tests that cross services; each member has its own beside its code."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The checkout."""
