"""Running stage programs on batches: the same code in the driver, in a lazy dataset and inside Beam."""
