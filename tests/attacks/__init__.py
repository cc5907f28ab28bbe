"""Attacks: each does one damage, and tells what must be said of it and what must not be lost."""
