"""The models in other libraries: scikit-learn and the Hugging Face Hub."""
