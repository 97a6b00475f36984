"""The stages of a study in order: cohort, releases, utility and risk, frontier."""
