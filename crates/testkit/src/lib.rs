//! Doubles for tests: scripted roles, temporary stores.
