"""State and its events, committed together. Start reading at `store.py`."""
