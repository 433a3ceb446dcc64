"""Templates: text made from the fields of each row."""
