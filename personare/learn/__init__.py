"""What the learned methods share: nets, the training loop, checkpoints."""
