//! Clustering of embeddings.

#![forbid(unsafe_code)]
