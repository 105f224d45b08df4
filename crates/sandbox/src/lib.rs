//! Confined execution of candidate programs.
