"""The baselines: published composers, one readable file a method, and the controls that use one modality."""
