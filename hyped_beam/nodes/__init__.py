"""What a node is: refs, processors, aggregators, their signatures, and the registry that finds them."""
