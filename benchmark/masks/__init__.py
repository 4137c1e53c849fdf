"""Do masks look where they should? Maps of attention against the true regions of a dataset that knows them."""
