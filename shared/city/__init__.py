"""The city: its divisions, its days."""
