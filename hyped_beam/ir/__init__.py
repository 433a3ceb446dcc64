"""The graph of a data flow: nodes, scopes and kinds, without what nodes compute."""
