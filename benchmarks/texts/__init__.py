"""Models of sentences: what each cure of posterior collapse does, and the same model in PyTorch."""
