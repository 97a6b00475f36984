"""Ways to hide a person in a recording: one file per modality and method."""
