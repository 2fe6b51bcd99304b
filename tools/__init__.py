"""One module per command line; each parses, calls the libraries and reports."""
