"""One file per modality: decode, encode, describe, draw."""
