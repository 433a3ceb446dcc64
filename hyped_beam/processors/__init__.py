"""The library of processors: one family of nodes a file."""
