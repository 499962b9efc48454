"""The published language: the events of each service, one file a service. What others may rely on."""
