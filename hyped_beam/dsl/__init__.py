"""What a user writes: flows, jobs, and how they are applied to datasets."""
