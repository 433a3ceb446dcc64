"""The command line: `python -m hyped_beam.compile TARGET`."""
