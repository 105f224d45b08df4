//! The control protocol between `stillctl` and `stilld`: HTTP/1.1 with JSON over a Unix domain socket.
//!
//! The socket is [`SOCKET_NAME`] in the data directory, mode 0600: who may read the data may control the
//! daemon. A reply below status 400 carries the type named here; above, an [`ErrorReply`].
//!
//! | request | body or query | reply |
//! |---|---|---|
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/events` | | one [`Event`] a line, the present phase first, until the daemon ends |
//! | `POST /v1/pause`, `/v1/resume` | [`ActivityRequest`] | [`Done`] |
//! | `POST /v1/drain`, `/v1/stop`, `/v1/checkpoint`, `/v1/seal` | | [`Done`] |
//! | `POST /v1/problems/revive` | [`ReviveRequest`] | [`Done`] |
//! | `POST /v1/problems/import`, `/v1/demonstrations/import` | JSONL; [`ImportQuery`] | [`ImportReport`] |
//! | `GET /v1/problems` | [`ProblemQuery`] | [`ProblemList`] |
//! | `GET /v1/problems/show` | [`ProblemShowQuery`] | `still_domain::Problem` |
//! | `GET /v1/demonstrations` | [`DemonstrationQuery`] | [`DemonstrationList`] |
//! | `GET /v1/demonstrations/show` | [`DemonstrationShowQuery`] | `still_domain::Demonstration` |
//! | `GET /v1/rounds` | | list of [`RoundReport`] |
//! | `GET /v1/sets` | | list of [`SetLine`] |
//! | `GET /v1/problems/suspects` | | list of [`SuspectLine`] |
//! | `GET /v1/pool` | [`PoolQuery`] | one [`PoolEntry`] a line |
//! | `GET /v1/pool/show` | [`PoolShowQuery`] | [`PoolRecord`] |
//! | `GET /v1/pool/export` | [`PoolQuery`] | one `still_domain::JudgedTrajectory` a line |
//! | `GET /v1/policies` | | list of `still_domain::PolicyRecord` |
//! | `POST /v1/policies/promote` | [`PromoteRequest`] | [`Done`] |
//! | `POST /v1/policies/rollback` | | [`Done`] |
//! | `GET /v1/servers` | | list of [`ServerStatus`] |
//! | `POST /v1/servers/add` | [`AddServerRequest`] | [`Done`] |
//! | `POST /v1/servers/remove` | [`RemoveServerRequest`] | [`Done`] |
//! | `POST /v1/fault/kill` (builds with fault injection) | [`KillRequest`] | [`Done`] |

mod duration;
mod error;
mod event;
mod exit;
mod failure;
mod levels;
mod pool;
mod request;
mod servers;
mod status;
mod task;

pub use duration::duration;
pub use error::{ErrorKind, ErrorReply};
pub use event::{Event, RoundReport};
pub use exit::Exit;
pub use failure::{Failure, OrExit};
pub use pool::{PoolEntry, PoolRecord};
pub use request::{
    Activity, ActivityRequest, AddServerRequest, Done, ImportQuery, ImportRemark, ImportReport, KillRequest,
    LeftOut, LineProblem, OnConflict, OnError, PoolQuery, PoolShowQuery, PromoteRequest, RemoveServerRequest,
    ReviveRequest, SuspectLine,
};
pub use servers::{LaunchStatus, ServerState, ServerStatus};
pub use status::{ActorState, ActorStatus, DeviceState, DeviceStatus, Status, Wait};
pub use task::{
    DemonstrationLine, DemonstrationList, DemonstrationQuery, DemonstrationShowQuery, ProblemLine,
    ProblemList, ProblemQuery, ProblemShowQuery, SetLine,
};

/// Name of the control socket inside the data directory.
pub const SOCKET_NAME: &str = "stilld.sock";
/// What every path of this version of the protocol begins with.
pub const PREFIX: &str = "/v1";
