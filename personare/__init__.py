"""personare: let behavior sound through; keep the person behind the mask."""

__version__ = "0.1.0"
