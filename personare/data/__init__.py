"""Cohorts on disk: reading, writing, checking, splitting by person, and the vault that guards recordings."""
