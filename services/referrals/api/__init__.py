"""What callers may ask: one noun a module."""
