"""The datasets that ship in the box, registered through the same hooks that a stranger would use."""
