"""The work of a bounded job without Beam: ranges, partitions, reduces, and the loop that drives them."""
