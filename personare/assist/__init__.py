"""The user-aware assistant: what it knows of its user behind a gate, how it is trained, and who answers."""
