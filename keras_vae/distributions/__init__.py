"""The distributions that models are made of, and `sampling.draw`, which draws them from noise that is handed in."""
