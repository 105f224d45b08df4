//! Signals against this very process: the first drains, the second ends.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use still_operator::signals::EndSignals;
use tokio::sync::mpsc;

fn send(signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &std::process::id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_ends() {
    let (signals, mut heard) = mpsc::unbounded_channel();
    let second = signals.clone();
    let watch = EndSignals::install().unwrap().watch(
        move |signal| signals.send(("drain", signal)).unwrap(),
        move |signal| second.send(("end", signal)).unwrap(),
    );
    send("TERM");
    assert_eq!(heard.recv().await, Some(("drain", "SIGTERM")));
    send("INT");
    assert_eq!(heard.recv().await, Some(("end", "SIGINT")));
    watch.await.unwrap();
}
