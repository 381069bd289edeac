//! What nearly every program needs: `use ann::prelude::*;`.

pub use crate::{BuildOptions, Hit, Index, Matrix, MatrixView, Metric, Par, SearchParams, Spec};
