//! ann-testkit
