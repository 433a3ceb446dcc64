"""Readers: each file holds one format."""
