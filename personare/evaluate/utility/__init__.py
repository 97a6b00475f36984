"""One file per measure of what a release is still good for."""
