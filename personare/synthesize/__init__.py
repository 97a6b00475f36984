"""Ways to make people who do not exist: one file per method."""
