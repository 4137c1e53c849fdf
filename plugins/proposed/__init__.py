"""The proposed method: hierarchical composer and global-local scorer (arXiv 2603.09108, our reading)."""
