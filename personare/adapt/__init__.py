"""Ways to adapt a fitted generator to what experts prefer, one file each."""
