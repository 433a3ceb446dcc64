"""Readers (ranges in, batches out), writers (batches in, files out), and the commit of what was written."""
