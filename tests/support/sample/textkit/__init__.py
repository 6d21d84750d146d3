"""Prices and words."""
