"""The only package that knows the MongoDB driver."""
