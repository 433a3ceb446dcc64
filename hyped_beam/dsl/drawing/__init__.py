"""Pictures of flows: what is drawn, where graphviz puts it, and how matplotlib shows it."""
