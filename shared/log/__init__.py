"""The log: how archived events reach consumers. Two implementations of one small interface, held by one
contract suite: Kafka (`kafka.py`) and the archives in MongoDB themselves (`embedded.py`)."""
