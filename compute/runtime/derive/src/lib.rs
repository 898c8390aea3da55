//! Derives the order-preserving encoding of keys.
