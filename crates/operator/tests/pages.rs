//! The read-only page over a real port.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fake;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use fake::FakePlane;
use still_operator::http::{PageError, PageServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

struct Served {
    plane: Arc<FakePlane>,
    address: SocketAddr,
    close: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn start() -> Self {
        let plane = Arc::new(FakePlane::default());
        let page = PageServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (close, closed) = oneshot::channel::<()>();
        let address = page.address();
        let served = page.serve(Arc::clone(&plane), || "still_rounds_total 3\n".to_owned(), async move {
            let _ = closed.await;
        });
        Self { plane, address, close, server: tokio::spawn(served) }
    }

    /// Status and whole answer of a request.
    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
    }

    async fn end(self) {
        self.close.send(()).unwrap();
        self.server.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn metrics_are_given_as_prometheus_reads_them() {
    let served = Served::start().await;
    let (status, text) = served.ask("GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    assert!(text.ends_with("still_rounds_total 3\n"), "{text}");
    served.end().await;
}

#[tokio::test]
async fn ready_means_a_policy_and_every_actor_at_work() {
    let served = Served::start().await;
    let (status, text) = served.ask("GET", "/readyz").await;
    assert_eq!(status, 503);
    assert!(text.contains("no policy is published yet"), "{text}");
    served.plane.is_ready.store(true, Ordering::Relaxed);
    assert_eq!(served.ask("GET", "/readyz").await.0, 200);
    served.end().await;
}

#[tokio::test]
async fn live_means_that_the_supervisor_lives() {
    let served = Served::start().await;
    assert_eq!(served.ask("GET", "/livez").await.0, 200);
    served.plane.is_dead.store(true, Ordering::Relaxed);
    assert_eq!(served.ask("GET", "/livez").await.0, 503);
    served.end().await;
}

#[tokio::test]
async fn the_dashboard_is_one_page_that_changes_nothing() {
    let served = Served::start().await;
    let (status, text) = served.ask("GET", "/").await;
    assert_eq!(status, 200);
    assert!(text.contains("sampler") && text.contains("<polyline") && !text.contains("{{"), "{text}");
    assert!(text.contains("&lt;worse&gt;") && !text.contains("<worse>"), "texts are escaped");
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("<script"), "{text}");
    assert_eq!(served.ask("POST", "/").await.0, 405);
    assert_eq!(served.ask("GET", "/v1/status").await.0, 404, "control is not reachable here");
    served.end().await;
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_remedy() {
    let served = Served::start().await;
    let error = PageServer::bind(served.address).await.unwrap_err();
    assert!(matches!(error, PageError::InUse { .. }));
    let message = error.to_string();
    assert!(message.contains(&served.address.to_string()) && message.contains("http.listen"), "{message}");
    served.end().await;
}
