"""Readers: what the rows of a flow come from."""
