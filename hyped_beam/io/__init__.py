"""Readers and writers: ranges in, batches out; batches in, files out."""
