"""Why a stored run found what it found: overlays of masks and the parts of a score, on the user's own machine."""
