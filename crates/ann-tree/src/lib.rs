//! Tree indexes: space cut in two, again and again.

#![forbid(unsafe_code)]
