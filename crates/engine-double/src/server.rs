//! The double's process: a port, connections, and what a test does to it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::Sender,
    },
    thread,
};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinSet,
};

use crate::{
    fault::{Armed, Fault, Faults},
    model::{self, Busy, Drawn, Order, Sizes},
    protocol::{Answer, Body, completed, error, generated, not_found, ok, read},
};

/// How a double is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The model's folder.
    pub model: PathBuf,
    /// Sequences at once.
    pub slots: usize,
    /// Tokens of a sequence, prompt included.
    pub context: usize,
    /// `--enable-scale-out`: whether `/inference/v1/generate` is there.
    pub has_generate: bool,
    /// `VLLM_SERVER_DEV_MODE=1`: whether it can be paused and given weights.
    pub is_development: bool,
    /// Whether what comes while it is paused is answered by 503, as vLLM 0.33 does, or waits.
    pub refuses_while_paused: bool,
}

impl Options {
    /// A server as a run wants it.
    pub fn new(model: &Path) -> Self {
        Self {
            model: model.to_owned(),
            slots: 8,
            context: 2048,
            has_generate: true,
            is_development: true,
            refuses_while_paused: false,
        }
    }
}

/// A server that speaks as vLLM does. It ends when it is dropped.
#[derive(Debug)]
pub struct VllmDouble {
    options: Options,
    address: SocketAddr,
    running: Option<Running>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Running {
    orders: Sender<Order>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What outlives a process of the double.
#[derive(Debug)]
struct Shared {
    faults: Mutex<Faults>,
    log: watch::Sender<Vec<String>>,
    frozen: watch::Sender<bool>,
}

/// What a process of it is.
struct Process {
    options: Options,
    sizes: Sizes,
    orders: Sender<Order>,
    shared: Arc<Shared>,
    paused: watch::Sender<bool>,
    version: Mutex<String>,
    next: AtomicU64,
}

impl VllmDouble {
    /// Starts one on a port of its own.
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            log: watch::Sender::new(Vec::new()),
            frozen: watch::Sender::new(false),
        });
        let mut double =
            Self { options, address: SocketAddr::from(([127, 0, 0, 1], 0)), running: None, shared };
        double.restart(None);
        double
    }

    /// `http://127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the process at once: connections break, the port is closed.
    pub fn kill(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let _ = running.orders.send(Order::End);
        running.stop.take();
        running.thread.take().map(thread::JoinHandle::join).transpose().expect("a double panicked");
    }

    /// Starts it anew on the same port, with this model or the one before; what it served is forgotten.
    pub fn restart(&mut self, model: Option<&Path>) {
        self.kill();
        if let Some(model) = model {
            model.clone_into(&mut self.options.model);
        }
        let (orders, sizes) = model::start(&self.options.model, self.options.slots, self.options.context);
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let process = Arc::new(Process {
            options: self.options.clone(),
            sizes,
            orders: orders.clone(),
            shared: Arc::clone(&self.shared),
            paused: watch::Sender::new(false),
            version: Mutex::new("default".to_owned()),
            next: AtomicU64::new(0),
        });
        let at = self.address;
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(at).await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = accept(listener, process) => {}
                    _ = stopped => {}
                }
            });
        });
        self.address = address.recv().unwrap();
        self.running = Some(Running { orders, stop: Some(stop), thread: Some(thread) });
    }

    /// Stops or goes on as a process does that is sent SIGSTOP or SIGCONT: it accepts, and says nothing.
    pub fn freeze(&self, is_frozen: bool) {
        self.shared.frozen.send_replace(is_frozen);
        if let Some(running) = &self.running {
            let _ = running.orders.send(Order::Freeze(is_frozen));
        }
    }

    /// Has the next `times` questions at `path` fail.
    pub fn fail(&self, path: &str, fault: Fault, times: usize) {
        self.faults().arm(Armed { path: path.to_owned(), fault, times });
    }

    /// Has nothing more fail; how many have.
    pub fn heal(&self) -> usize {
        let mut faults = self.faults();
        faults.clear();
        faults.happened
    }

    /// What it was asked so far, in order: method and path.
    pub fn log(&self) -> Vec<String> {
        self.shared.log.borrow().clone()
    }

    /// Waits until what it was asked fulfils a condition. Blocks.
    pub fn wait_until_asked(&self, mut condition: impl FnMut(&[String]) -> bool) {
        let mut log = self.shared.log.subscribe();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { log.wait_for(|log| condition(log)).await.unwrap() });
    }

    /// The same, for who runs on a runtime.
    pub async fn asked(&self, mut condition: impl FnMut(&[String]) -> bool) {
        self.shared.log.subscribe().wait_for(|log| condition(log)).await.unwrap();
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults()
    }
}

impl Drop for VllmDouble {
    fn drop(&mut self) {
        self.shared.frozen.send_replace(false);
        self.kill();
    }
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until it is dropped; its connections go with it.
async fn accept(listener: TcpListener, process: Arc<Process>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let process = Arc::clone(&process);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&process), request));
            // a connection that is closed on purpose ends in an error
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// The connection closes without an answer.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dropped")
    }
}

impl std::error::Error for Dropped {}

async fn answer(process: Arc<Process>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let body = request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes();
    process.shared.log.send_modify(|log| log.push(format!("{method} {uri}")));
    let mut frozen = process.shared.frozen.subscribe();
    frozen.wait_for(|is_frozen| !is_frozen).await.map_err(|_| Dropped)?;
    let fault = process.shared.faults().take(uri.path());
    match fault {
        Some(Fault::Drop) => Err(Dropped),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Status(status)) => {
            Ok(response(error(status, "InternalServerError", "it was told to fail")))
        }
        Some(Fault::DropAfter) | None => {
            let query = uri.query().unwrap_or_default();
            let given = process.obey(&method, uri.path(), query, &body).await?;
            frozen.wait_for(|is_frozen| !is_frozen).await.map_err(|_| Dropped)?;
            if fault.is_some() { Err(Dropped) } else { Ok(response(given)) }
        }
    }
}

fn response((status, body): Answer) -> Response<Full<Bytes>> {
    let (kind, text) = match body {
        Body::Json(value) => ("application/json", value.to_string()),
        Body::Text(text) => ("text/plain", text),
    };
    Response::builder().status(status).header("content-type", kind).body(Full::new(text.into())).unwrap()
}

impl Process {
    async fn obey(&self, method: &Method, path: &str, query: &str, body: &[u8]) -> Result<Answer, Dropped> {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_get = method == Method::GET;
        Ok(match (path, is_get) {
            ("/health", true) => (200, Body::Text(String::new())),
            ("/version", true) => ok(json!({"version": "0.32.0"})),
            ("/v1/models", true) => {
                let model = self.options.model.display().to_string();
                ok(json!({"object": "list", "data": [{
                    "id": "policy", "object": "model", "root": model, "parent": null,
                    "max_model_len": self.sizes.context
                }]}))
            }
            ("/metrics", true) => self.metrics().await?,
            ("/inference/v1/generate", false) if !self.options.has_generate => {
                error(403, "PermissionDeniedError", "start it with --enable-scale-out")
            }
            ("/inference/v1/generate" | "/v1/completions", false) => self.draw(path, &json).await?,
            _ if !self.options.is_development => not_found(),
            ("/is_paused", true) => ok(json!({"is_paused": *self.paused.borrow()})),
            ("/pause", false) => {
                self.paused.send_replace(true);
                if query.contains("mode=abort") || !query.contains("mode=") {
                    self.order(Order::CancelAll)?;
                }
                self.order(Order::Pause(true))?;
                ok(json!({"status": "paused"}))
            }
            ("/resume", false) => {
                self.order(Order::Pause(false))?;
                self.paused.send_replace(false);
                ok(json!({"status": "resumed"}))
            }
            ("/collective_rpc", false) => {
                let folder = json["kwargs"]["weights_path"].as_str().unwrap_or_default().into();
                if json["method"] != "reload_weights" {
                    return Ok(error(500, "InternalServerError", "no such method"));
                }
                match self.ask(|answer| Order::Load { folder, answer }).await? {
                    Ok(()) => ok(json!({"results": [null]})),
                    Err(reason) => error(500, "InternalServerError", &reason),
                }
            }
            ("/reset_prefix_cache", false) => {
                self.order(Order::ResetCache)?;
                ok(json!({"success": true}))
            }
            ("/update_weight_version", false) => {
                let name = json["new_version"].as_str().unwrap_or_default().to_owned();
                self.order(Order::Name(name.clone()))?;
                *self.version() = name;
                ok(json!({"success": true}))
            }
            ("/weight_info", true) => ok(json!({"weight_version": *self.version()})),
            _ => not_found(),
        })
    }

    fn version(&self) -> MutexGuard<'_, String> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn draw(&self, path: &str, json: &Value) -> Result<Answer, Dropped> {
        let is_generate = path == "/inference/v1/generate";
        if let Some(model) = json["model"].as_str().filter(|model| *model != "policy") {
            return Ok(error(404, "NotFoundError", &format!("The model `{model}` does not exist.")));
        }
        let (prompt, parameters) = if is_generate {
            (&json["token_ids"], &json["sampling_params"])
        } else {
            (&json["prompt"], json)
        };
        let (draw, is_scored) = match read(prompt, parameters, &self.sizes) {
            Ok(read) => read,
            Err(refused) => return Ok(refused),
        };
        if *self.paused.borrow() && self.options.refuses_while_paused {
            return Ok(error(503, "ServiceUnavailableError", "it is paused"));
        }
        let mut paused = self.paused.subscribe();
        paused.wait_for(|is_paused| !is_paused).await.map_err(|_| Dropped)?;
        let ids = draw.prompt.clone();
        let mut scored = None;
        if is_scored {
            match self.ask(|answer| Order::Score { tokens: ids.clone(), answer }).await? {
                Ok(values) => scored = Some(values),
                Err(reason) => return Ok(error(500, "InternalServerError", &reason)),
            }
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let _cancelled_when_the_client_goes = Guard { id, orders: self.orders.clone() };
        let drawn: Drawn = match self.ask(|answer| Order::Draw { id, draw, answer }).await? {
            Ok(drawn) => drawn,
            Err(reason) => return Ok(error(400, "BadRequestError", &reason)),
        };
        if is_generate {
            return Ok(generated(&ids, &drawn, scored.as_deref(), &json["request_id"]));
        }
        Ok(completed(&ids, &drawn, scored.as_deref(), json["return_token_ids"] == json!(true)))
    }

    async fn metrics(&self) -> Result<Answer, Dropped> {
        let Busy { running, waiting, slots, tokens, ended, aborted } = self.ask(Order::Busy).await?;
        let share = running as f64 / slots.max(1) as f64 * 0.5;
        let label = "{engine=\"0\",model_name=\"policy\"}";
        Ok((
            200,
            Body::Text(format!(
                "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{label} {running}.0\n\
             vllm:num_requests_waiting{label} {waiting}.0\nvllm:kv_cache_usage_perc{label} {share}\n\
             vllm:generation_tokens_total{label} {tokens}.0\nvllm:prompt_tokens_total{label} 0.0\n\
             vllm:request_success_total{{finished_reason=\"stop\"}} {ended}.0\n\
             vllm:request_success_total{{finished_reason=\"abort\"}} {aborted}.0\n"
            )),
        ))
    }

    fn order(&self, order: Order) -> Result<(), Dropped> {
        self.orders.send(order).map_err(|_| Dropped)
    }

    /// Asks the model's thread; one that has ended breaks every connection, as a process that died does.
    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Dropped> {
        let (answer, answered) = oneshot::channel();
        self.order(order(answer))?;
        answered.await.map_err(|_| Dropped)
    }
}

/// Ends a request whose client is gone.
struct Guard {
    id: u64,
    orders: Sender<Order>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Cancel(self.id));
    }
}
