"""Data types, protocols, errors, registry and randomness: numpy and pandas only."""
