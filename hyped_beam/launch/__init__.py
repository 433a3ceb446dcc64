"""Runner profiles, options, progress and results of jobs."""
