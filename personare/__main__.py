"""Run the command line with ``python -m personare``."""

from personare.cli import main

main()
