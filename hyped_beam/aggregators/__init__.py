"""The library of aggregators: one family of nodes a file."""
