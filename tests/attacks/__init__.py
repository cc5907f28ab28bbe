"""Attacks on the instrument, by kind: the damage, the command, and what must be said."""
