//! placeholder
mod exit;
pub use exit::Exit;
