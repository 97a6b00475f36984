"""One file per data set: turns what its authors publish into records of a cohort."""
