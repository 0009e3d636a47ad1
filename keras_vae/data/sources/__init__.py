"""The sources of data, with a file for each kind: drawn, shipped, folders, arrays and prepared data sets."""
