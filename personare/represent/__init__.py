"""Ways to describe behavior without the person: one file per method."""
