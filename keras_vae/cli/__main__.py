"""`python -m keras_vae.cli COMMAND` is the command `keras-vae COMMAND`."""

from keras_vae.cli.main import main

if __name__ == "__main__":
    main()
