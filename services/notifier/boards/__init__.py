"""One machine for all boards: what is counted, how it is read and shown. Start at `declare.py`."""
