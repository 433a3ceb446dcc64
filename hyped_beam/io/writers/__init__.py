"""Writers: each file holds one format."""
