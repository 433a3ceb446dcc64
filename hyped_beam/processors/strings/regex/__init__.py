"""Regular expressions with the meaning that they have in Python's `re`, matched by RE2 in linear time."""
