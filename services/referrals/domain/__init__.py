"""The rules, without I/O: one noun a module."""
