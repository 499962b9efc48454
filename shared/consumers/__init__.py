"""The consumer runtime: exactly-once effects, order per key, parking. Start reading at `runtime.py`."""
