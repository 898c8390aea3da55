//! Write in-memory programs: contexts, datasets, broadcasts, accumulators.
