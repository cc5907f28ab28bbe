"""Attacks: work, files and settings that mean harm, and what the commands make of them."""
