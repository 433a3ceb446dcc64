"""Writers: the files that rows go to."""
