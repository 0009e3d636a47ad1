"""The contestants, which worker processes make. A framework is only imported with the file of its contestant."""
