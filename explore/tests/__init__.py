"""The rooms, in a real browser; and the server that they come from."""
