"""What tokens mean in a row of them."""

# The token that ends a text. The places after it hold it too.
END = 0
# The token of what is not in the vocabulary of a tokenizer, which begins after it.
UNKNOWN = 1
