"""What every room may use, and nothing of the models."""
