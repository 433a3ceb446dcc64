"""Nodes on times: fields, truncation, epochs, arithmetic, text."""
