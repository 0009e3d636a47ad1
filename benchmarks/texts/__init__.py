"""Models of sentences with each cure of posterior collapse, and beside the same model in PyTorch."""
