"""How a release is judged: what can still be learned, and what attacks still find out."""
