"""The distributions that the models are made of, and how they are drawn from noise that is handed in."""
