"""The methods of string refs, one family of nodes a file."""
