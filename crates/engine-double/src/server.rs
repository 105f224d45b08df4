//! The double's process: a port, connections, and what a test does to it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::Sender,
    },
    thread,
};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use still_text::Tokenizer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::{
    adapter::{AdapterFault, Factors},
    completions,
    fault::{Armed, Fault, Faults},
    model::{self, Draw, Drawn, Order, Sizes},
    openai::{self, Teacher},
    protocol::{Answer, Body, error},
    sglang, vllm,
};

/// How a double speaks.
#[derive(Debug, Clone)]
pub enum Dialect {
    /// As vLLM 0.32 does.
    Vllm,
    /// As `SGLang` 0.5.23 does.
    Sglang,
    /// As `OpenAI`'s servers do, with these answers.
    Openai(Teacher),
    /// As they do, with a model.
    Completions,
}

/// How a double is started.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of a server by itself
pub struct Options {
    /// How it speaks.
    pub dialect: Dialect,
    /// Whether it speaks TLS, by [`crate::CERTIFICATE`].
    pub is_encrypted: bool,
    /// What questions must carry as their key, where it wants one.
    pub key: Option<String>,
    /// The model's folder.
    pub model: PathBuf,
    /// Its port; 0 takes a free one.
    pub port: u16,
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
    /// `--enable-lora` and what goes with it: the largest rank of an adapter that it takes.
    pub max_lora_rank: Option<usize>,
}

impl Options {
    /// A server of `SGLang` as a run wants it.
    pub fn sglang(model: &Path) -> Self {
        Self { dialect: Dialect::Sglang, ..Self::new(model) }
    }

    /// A server that speaks as `OpenAI`'s do, and answers as a teacher.
    pub fn openai(teacher: Teacher) -> Self {
        Self { dialect: Dialect::Openai(teacher), ..Self::new(Path::new("none")) }
    }

    /// A server that speaks as `OpenAI`'s do, with a model behind it.
    pub fn completions(model: &Path) -> Self {
        Self { dialect: Dialect::Completions, ..Self::new(model) }
    }

    /// A server of vLLM as a run wants it.
    pub fn new(model: &Path) -> Self {
        Self {
            dialect: Dialect::Vllm,
            is_encrypted: false,
            key: None,
            model: model.to_owned(),
            port: 0,
            slots: 8,
            context: 2048,
            has_generate: true,
            is_development: true,
            refuses_while_paused: false,
            max_lora_rank: None,
        }
    }
}

/// A server that speaks as an inference server does. It ends when it is dropped.
#[derive(Debug)]
pub struct EngineDouble {
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
    process: Arc<Process>,
}

/// What outlives a process of the double.
#[derive(Debug)]
struct Shared {
    faults: Mutex<Faults>,
    log: watch::Sender<Vec<String>>,
    frozen: watch::Sender<bool>,
    /// Questions that it has not answered.
    open: watch::Sender<usize>,
    scored: AtomicUsize,
}

/// What a process of it is.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) options: Options,
    pub(crate) sizes: Sizes,
    /// Where it speaks in texts.
    tokenizer: Option<Tokenizer>,
    orders: Sender<Order>,
    shared: Arc<Shared>,
    paused: watch::Sender<bool>,
    sleeping: AtomicBool,
    named: Mutex<Named>,
    next: AtomicU64,
}

/// What it says of its weights.
#[derive(Debug)]
struct Named {
    version: String,
    path: String,
}

impl EngineDouble {
    /// Starts one on a port of its own.
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            log: watch::Sender::new(Vec::new()),
            frozen: watch::Sender::new(false),
            open: watch::Sender::new(0),
            scored: AtomicUsize::new(0),
        });
        let address = SocketAddr::from(([127, 0, 0, 1], options.port));
        let mut double = Self { options, address, running: None, shared };
        double.restart(None);
        double
    }

    /// `http://127.0.0.1:port`, or `https`.
    pub fn address(&self) -> String {
        let scheme = if self.options.is_encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
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
        let (orders, sizes) = match self.options.dialect {
            // nothing is drawn
            Dialect::Openai(_) => (std::sync::mpsc::channel().0, Sizes { context: 0, vocabulary: 0 }),
            Dialect::Vllm | Dialect::Sglang | Dialect::Completions => {
                model::start(&self.options.model, self.options.slots, self.options.context)
            }
        };
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let process = Arc::new(Process {
            options: self.options.clone(),
            sizes,
            tokenizer: matches!(self.options.dialect, Dialect::Completions)
                .then(|| Tokenizer::load(&self.options.model).unwrap()),
            orders: orders.clone(),
            shared: Arc::clone(&self.shared),
            paused: watch::Sender::new(false),
            sleeping: AtomicBool::new(false),
            named: Mutex::new(Named {
                version: "default".to_owned(),
                path: self.options.model.display().to_string(),
            }),
            next: AtomicU64::new(0),
        });
        let (at, served) = (self.address, Arc::clone(&process));
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(at).await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = accept(listener, served) => {}
                    _ = stopped => {}
                }
            });
        });
        self.address = address.recv().unwrap();
        self.running = Some(Running { orders, stop: Some(stop), thread: Some(thread), process });
    }

    /// Stops or goes on as a process does that is sent SIGSTOP or SIGCONT: it accepts, and says nothing.
    pub fn freeze(&self, is_frozen: bool) {
        self.shared.frozen.send_replace(is_frozen);
        if let Some(running) = &self.running {
            let _ = running.orders.send(Order::Freeze(is_frozen));
        }
    }

    /// Pauses it or has it go on, as somebody else may.
    pub fn pause(&self, is_paused: bool) {
        let Some(running) = &self.running else { return };
        running.process.set_paused(is_paused);
        let _ = running.orders.send(Order::Pause(is_paused));
    }

    /// Texts that it has scored, probes among them.
    pub fn scored(&self) -> usize {
        self.shared.scored.load(Ordering::Relaxed)
    }

    /// Waits until so many questions wait for their answers: those that nobody waits for any more are given up. Blocks.
    pub fn wait_until_open(&self, count: usize) {
        let mut open = self.shared.open.subscribe();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { open.wait_for(|open| *open == count).await.unwrap() });
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

impl Drop for EngineDouble {
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
    let acceptor = process.options.is_encrypted.then(acceptor);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (process, acceptor) = (Arc::clone(&process), acceptor.clone());
        connections.spawn(async move {
            match acceptor {
                None => speak(stream, process).await,
                Some(acceptor) => {
                    // a client that does not trust it goes
                    if let Ok(encrypted) = acceptor.accept(stream).await {
                        speak(encrypted, process).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn speak<S>(stream: S, process: Arc<Process>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(Arc::clone(&process), request));
    // a connection that is closed on purpose ends in an error
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Speaks TLS by the double's own certificate.
fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(crate::CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../tls/key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// The connection closes without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dropped")
    }
}

impl std::error::Error for Dropped {}

async fn answer(process: Arc<Process>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let given =
        request.headers().get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes();
    process.shared.log.send_modify(|log| log.push(format!("{method} {uri}")));
    let _open = Open::new(&process.shared);
    let mut frozen = process.shared.frozen.subscribe();
    frozen.wait_for(|is_frozen| !is_frozen).await.map_err(|_| Dropped)?;
    let wanted = process.options.key.as_ref().map(|key| format!("Bearer {key}"));
    if wanted.is_some_and(|wanted| given.as_ref() != Some(&wanted)) {
        return Ok(response(error(401, "AuthenticationError", "Incorrect API key provided")));
    }
    let fault = process.shared.faults().take(uri.path());
    match fault {
        Some(Fault::Drop) => Err(Dropped),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Status(status)) => {
            Ok(response(error(status, "InternalServerError", "it was told to fail")))
        }
        Some(Fault::DropAfter | Fault::InPart | Fault::InName) | None => {
            let query = uri.query().unwrap_or_default();
            let given = process.obey(&method, uri.path(), query, &body, fault.as_ref()).await?;
            frozen.wait_for(|is_frozen| !is_frozen).await.map_err(|_| Dropped)?;
            if fault == Some(Fault::DropAfter) { Err(Dropped) } else { Ok(response(given)) }
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
    async fn obey(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        body: &[u8],
        fault: Option<&Fault>,
    ) -> Result<Answer, Dropped> {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        match &self.options.dialect {
            Dialect::Vllm => vllm::obey(self, method, path, query, &json, fault).await,
            Dialect::Sglang => sglang::obey(self, method, path, &json, fault).await,
            Dialect::Completions => match &self.tokenizer {
                Some(tokenizer) => completions::obey(self, tokenizer, method, path, &json).await,
                None => Err(Dropped),
            },
            Dialect::Openai(teacher) => Ok(openai::obey(teacher, method, path, &json)),
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.paused.send_replace(is_paused);
    }

    /// Whether its memory is let go.
    pub(crate) fn is_sleeping(&self) -> bool {
        self.sleeping.load(Ordering::Relaxed)
    }

    pub(crate) fn set_sleeping(&self, is_sleeping: bool) {
        self.sleeping.store(is_sleeping, Ordering::Relaxed);
    }

    /// What it calls its weights.
    pub(crate) fn weights_name(&self) -> String {
        self.named().version.clone()
    }

    pub(crate) fn name_weights(&self, name: &str) -> Result<(), Dropped> {
        self.order(Order::Name(name.to_owned()))?;
        name.clone_into(&mut self.named().version);
        Ok(())
    }

    /// Where its weights come from, as it says.
    pub(crate) fn model_path(&self) -> String {
        self.named().path.clone()
    }

    pub(crate) fn set_model_path(&self, path: &str) {
        path.clone_into(&mut self.named().path);
    }

    fn named(&self) -> MutexGuard<'_, Named> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an adapter in. Where only in name, the base answers under it.
    pub(crate) async fn load_adapter(
        &self,
        json: &Value,
        fault: Option<&Fault>,
    ) -> Result<Result<(), AdapterFault>, Dropped> {
        let name = json["lora_name"].as_str().unwrap_or_default().to_owned();
        let folder = Path::new(json["lora_path"].as_str().unwrap_or_default());
        let factors = match Factors::read(folder, self.options.max_lora_rank.unwrap_or_default()) {
            Ok(factors) => (fault != Some(&Fault::InName)).then_some(factors),
            Err(fault) => return Ok(Err(fault)),
        };
        self.ask(|answer| Order::LoadAdapter { name, factors, answer }).await
    }

    /// Whether an adapter was there to be taken out.
    pub(crate) async fn unload_adapter(&self, json: &Value) -> Result<bool, Dropped> {
        let name = json["lora_name"].as_str().unwrap_or_default().to_owned();
        self.ask(|answer| Order::UnloadAdapter { name, answer }).await
    }

    /// The names of all models: the base and adapters beside it.
    pub(crate) async fn models(&self, base: &str) -> Result<Vec<Value>, Dropped> {
        let (root, context) = (self.model_path(), self.sizes.context);
        let one = |id: &str, parent: Value| json!({"id": id, "object": "model", "root": root, "parent": parent, "max_model_len": context});
        let mut models = vec![one(base, Value::Null)];
        models.extend(self.ask(Order::Adapters).await?.iter().map(|name| one(name, json!(base))));
        Ok(models)
    }

    /// Draws once nobody has it paused, and scores the prompt before, where that is asked for. The inner error is the
    /// model's, which refuses the request.
    pub(crate) async fn draw(
        &self,
        draw: Draw,
        is_scored: bool,
    ) -> Result<Result<(Option<Vec<f32>>, Drawn), String>, Dropped> {
        let mut paused = self.paused.subscribe();
        paused.wait_for(|is_paused| !is_paused).await.map_err(|_| Dropped)?;
        let mut scored = None;
        if is_scored {
            let (adapter, tokens) = (draw.adapter.clone(), draw.prompt.clone());
            match self.ask(|answer| Order::Score { adapter, tokens, answer }).await? {
                Ok(values) => {
                    self.shared.scored.fetch_add(1, Ordering::Relaxed);
                    scored = Some(values);
                }
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let _cancelled_when_the_client_goes = Guard { id, orders: self.orders.clone() };
        let drawn = self.ask(|answer| Order::Draw { id, draw, answer }).await?;
        Ok(drawn.map(|drawn| (scored, drawn)))
    }

    pub(crate) fn order(&self, order: Order) -> Result<(), Dropped> {
        self.orders.send(order).map_err(|_| Dropped)
    }

    /// Asks the model's thread; one that has ended breaks every connection, as a process that died does.
    pub(crate) async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Dropped> {
        let (answer, answered) = oneshot::channel();
        self.order(order(answer))?;
        answered.await.map_err(|_| Dropped)
    }
}

/// A question that is not answered yet; it ends with its connection too.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.send_modify(|open| *open += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
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
