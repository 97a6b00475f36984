"""One file per attack on a release."""
