"""Use of the models with other libraries: scikit-learn and the Hugging Face Hub."""
