"""Methods of lists: one family of nodes a file."""
