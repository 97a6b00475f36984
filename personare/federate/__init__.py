"""Ways to train one model over several sites whose recordings stay where they are, one file each."""
