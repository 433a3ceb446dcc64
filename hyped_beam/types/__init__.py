"""Feature patterns, features as Arrow types, and promotion."""
