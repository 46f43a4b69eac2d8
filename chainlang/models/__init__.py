"""Models by name: what a name means, and the engines that are open."""
