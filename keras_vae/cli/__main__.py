"""`python -m keras_vae.cli COMMAND`: the command `keras-vae`."""

from keras_vae.cli.main import main

if __name__ == "__main__":
    main()
