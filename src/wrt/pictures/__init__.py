"""Formula, array → something to look at: the room of layers, graphs and plots."""
