"""From a graph to stages: what is scanned, what is fused, what is combined."""
