//! The control protocol between stillctl and stilld.
