//! Durable truth: typed ordered keys, checksummed values, one atomic commit.
