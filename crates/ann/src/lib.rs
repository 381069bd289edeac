//! ann

pub mod factory;
