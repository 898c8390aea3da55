//! Write MapReduce jobs: mapper, reducer, combiner, fold, partitioner.
