"""The kinds of releases, one file each, named like the table of a study file that plans them."""
