"""From a plan to a Beam pipeline."""
