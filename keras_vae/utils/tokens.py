"""What tokens mean in a row of them."""

# The token that ends a text. The places after it hold it too.
END = 0
