"""Made-up people: recordings of nobody, with everything that was set saved beside them."""
