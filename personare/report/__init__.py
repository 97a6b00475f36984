"""One self-contained HTML file from the results of a study."""
