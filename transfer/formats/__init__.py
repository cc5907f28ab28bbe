"""Logs that other tools write, one file a format: how it is recognised, and what answers a row of it holds."""
