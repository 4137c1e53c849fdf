"""dermcir: the harness of the composed case-retrieval benchmark. It knows no dataset, backbone or method by name."""

__version__ = "0.1.0"
