//! What a launched server is asked beside the fleet's questions: whether it is up, to sleep, to wake.

use std::time::Duration;

use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::http::Http;

/// Between two looks at a server that is coming up: it tells nobody when it is.
const LOOK: Duration = Duration::from_millis(250);
/// Longest wait for a sign of life.
const SIGN: Duration = Duration::from_secs(5);
/// Longest wait for weights to leave the devices, or to come back.
const MOVE: Duration = Duration::from_mins(5);

/// Over when the server answers a question that it answers once it is well.
pub(super) async fn up(http: &Http, question: &str) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if http.text(question, SIGN).await.is_ok() {
            return;
        }
    }
}

/// Has a server of vLLM let its devices' memory go: weights to the host's memory, the cache away.
pub(super) async fn sleep(http: &Http) -> Result<(), String> {
    http.order("/sleep?level=1", None, MOVE).await.map_err(|fault| fault.to_string())?;
    sleeps(http, true).await
}

/// Has it take its devices' memory back. What its weights are by then is the fleet's to find out.
pub(super) async fn wake(http: &Http) -> Result<(), String> {
    http.order("/wake_up", None, MOVE).await.map_err(|fault| fault.to_string())?;
    sleeps(http, false).await
}

async fn sleeps(http: &Http, wanted: bool) -> Result<(), String> {
    let answer = http.get("/is_sleeping", SIGN).await.map_err(|fault| fault.to_string())?;
    if answer["is_sleeping"] == json!(wanted) { Ok(()) } else { Err(format!("/is_sleeping says {answer}")) }
}
