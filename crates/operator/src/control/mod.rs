//! The control socket: HTTP and JSON over a Unix domain socket in the data directory.
//!
//! The server knows the daemon only as a [`ControlPlane`]. The socket has mode 0600; one that a crash left
//! behind is replaced, one that a living daemon listens on is an error that names its process.

mod plane;
mod routes;
mod server;
mod socket;

pub use plane::{ControlPlane, EventStream, Imported, TrajectoryStream, event_stream};
pub use server::ControlServer;
pub use socket::SocketError;
