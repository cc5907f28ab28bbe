"""Attacks: damage that is made on purpose, and what must be said of it."""
