"""What one machine runs for itself: child processes, a mongod."""
