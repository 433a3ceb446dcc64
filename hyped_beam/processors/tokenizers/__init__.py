"""Tokenizers: text to the numbers that a language model takes."""
