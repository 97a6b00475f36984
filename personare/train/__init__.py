"""Ways to train a model that keeps its people private: one file per method."""
