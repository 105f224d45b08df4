//! The requests of the control protocol, each handed to the [`ControlPlane`].

use std::{convert::Infallible, sync::Arc, task::Poll};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, State, rejection::BytesRejection},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use serde::{Serialize, de::DeserializeOwned};
use still_control::{
    ActivityRequest, DemonstrationList, DemonstrationQuery, DemonstrationShowQuery, Done, ErrorKind,
    ErrorReply, Event, ImportQuery, ImportReport, KillRequest, OnError, PoolEntry, PoolQuery, PoolRecord,
    PoolShowQuery, ProblemQuery, ProblemShowQuery, PromoteRequest, RoundReport, ServerStatus, SetLine,
};
use tokio::sync::watch;

use super::plane::{ControlPlane, EventStream, Imported};
use crate::import::{self, Batch, Parsed};

/// Largest file that one request may import, in bytes.
const MAX_BODY_BYTES: usize = 1 << 30;
/// Broken lines that a report lists.
const MAX_LISTED: usize = 100;

/// What every request needs.
struct Shared<C> {
    plane: Arc<C>,
    closing: watch::Receiver<bool>,
}

/// A refusal on its way out.
struct Refusal(ErrorReply);

type Answer<T> = Result<Json<T>, Refusal>;
type Content = Result<Bytes, BytesRejection>;

/// The routes of the protocol; streams end once `closing` holds true.
pub(super) fn router<C: ControlPlane>(plane: Arc<C>, closing: watch::Receiver<bool>) -> Router {
    let router = Router::new()
        .route("/v1/status", get(status::<C>))
        .route("/v1/events", get(events::<C>))
        .route("/v1/pause", post(pause::<C>))
        .route("/v1/resume", post(resume::<C>))
        .route("/v1/drain", post(drain::<C>))
        .route("/v1/stop", post(stop::<C>))
        .route("/v1/checkpoint", post(checkpoint::<C>))
        .route("/v1/seal", post(seal::<C>))
        .route("/v1/problems", get(problems::<C>))
        .route("/v1/problems/show", get(problem_show::<C>))
        .route("/v1/problems/suspects", get(suspects::<C>))
        .route("/v1/problems/import", post(import_problems::<C>))
        .route("/v1/problems/revive", post(revive::<C>))
        .route("/v1/demonstrations", get(demonstrations::<C>))
        .route("/v1/demonstrations/show", get(demonstration_show::<C>))
        .route("/v1/rounds", get(rounds::<C>))
        .route("/v1/sets", get(sets::<C>))
        .route("/v1/demonstrations/import", post(import_demonstrations::<C>))
        .route("/v1/pool", get(pool_list::<C>))
        .route("/v1/pool/show", get(pool_show::<C>))
        .route("/v1/pool/export", get(pool_export::<C>))
        .route("/v1/policies", get(policies::<C>))
        .route("/v1/policies/promote", post(promote::<C>))
        .route("/v1/policies/rollback", post(rollback::<C>))
        .route("/v1/servers", get(servers::<C>))
        .route("/v1/servers/add", post(add_server::<C>))
        .route("/v1/servers/remove", post(remove_server::<C>));
    let router = if cfg!(feature = "fault-injection") {
        router.route("/v1/fault/kill", post(kill::<C>))
    } else {
        router
    };
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(Shared { plane, closing }))
}

type Shell<C> = State<Arc<Shared<C>>>;

async fn status<C: ControlPlane>(State(shared): Shell<C>) -> Answer<still_control::Status> {
    answer(shared.plane.status().await)
}

async fn events<C: ControlPlane>(State(shared): Shell<C>) -> Response {
    let mut closing = shared.closing.clone();
    let closed = async move {
        // a sender that is gone closes as well
        let _ = closing.wait_for(|closing| *closing).await;
    };
    lines(until_closed(shared.plane.events(), closed.boxed()).map(Ok).boxed())
}

/// The events until there is none at hand and the daemon closes: what it reported before, its end above all, is
/// never cut off.
fn until_closed(
    mut events: EventStream,
    mut closed: BoxFuture<'static, ()>,
) -> impl Stream<Item = Event> + Send {
    stream::poll_fn(move |context| match events.poll_next_unpin(context) {
        Poll::Pending => closed.poll_unpin(context).map(|()| None),
        ready @ Poll::Ready(_) => ready,
    })
}

async fn pause<C: ControlPlane>(State(shared): Shell<C>, body: Content) -> Answer<Done> {
    let ActivityRequest { activity } = read(body)?;
    answer(shared.plane.pause(activity).await)
}

async fn resume<C: ControlPlane>(State(shared): Shell<C>, body: Content) -> Answer<Done> {
    let ActivityRequest { activity } = read(body)?;
    answer(shared.plane.resume(activity).await)
}

async fn drain<C: ControlPlane>(State(shared): Shell<C>) -> Answer<Done> {
    answer(shared.plane.drain().await)
}

async fn stop<C: ControlPlane>(State(shared): Shell<C>) -> Answer<Done> {
    answer(shared.plane.stop().await)
}

async fn checkpoint<C: ControlPlane>(State(shared): Shell<C>) -> Answer<Done> {
    answer(shared.plane.checkpoint().await)
}

async fn seal<C: ControlPlane>(State(shared): Shell<C>) -> Answer<Done> {
    answer(shared.plane.seal().await)
}

async fn problems<C: ControlPlane>(State(shared): Shell<C>, uri: Uri) -> Answer<still_control::ProblemList> {
    let query: ProblemQuery = query(&uri)?;
    answer(shared.plane.problems(query).await)
}

async fn problem_show<C: ControlPlane>(State(shared): Shell<C>, uri: Uri) -> Answer<still_domain::Problem> {
    let ProblemShowQuery { id } = query(&uri)?;
    let found = shared.plane.problem(id.clone()).await.map_err(Refusal)?;
    found.map(Json).ok_or_else(|| missing(format!("there is no problem `{id}`: `problems list` names them")))
}

async fn demonstrations<C: ControlPlane>(State(shared): Shell<C>, uri: Uri) -> Answer<DemonstrationList> {
    let query: DemonstrationQuery = query(&uri)?;
    answer(shared.plane.demonstrations(query).await)
}

async fn demonstration_show<C: ControlPlane>(
    State(shared): Shell<C>,
    uri: Uri,
) -> Answer<still_domain::Demonstration> {
    let DemonstrationShowQuery { id } = query(&uri)?;
    let found = shared.plane.demonstration(id.clone()).await.map_err(Refusal)?;
    let reason = || format!("there is no demonstration `{id}`: `demonstrations list` names them");
    found.map(Json).ok_or_else(|| missing(reason()))
}

async fn rounds<C: ControlPlane>(State(shared): Shell<C>) -> Answer<Vec<RoundReport>> {
    answer(shared.plane.rounds().await)
}

async fn sets<C: ControlPlane>(State(shared): Shell<C>) -> Answer<Vec<SetLine>> {
    answer(shared.plane.sets().await)
}

async fn suspects<C: ControlPlane>(State(shared): Shell<C>) -> Answer<Vec<still_control::SuspectLine>> {
    answer(shared.plane.suspects().await)
}

async fn import_problems<C: ControlPlane>(
    State(shared): Shell<C>,
    uri: Uri,
    body: Content,
) -> Answer<ImportReport> {
    let asked: ImportQuery = query(&uri)?;
    let text = body.map_err(too_large)?;
    let (source, split, kind) = (asked.source.clone(), asked.split, shared.plane.answer_kind());
    let parsed = in_background(move || import::problems_of_kind(&text, &source, split, kind)).await?;
    let (records, mut report) = accept(parsed, &asked)?;
    report.kinds = import::kinds(&records.records);
    let imported = shared.plane.import_problems(records, asked.on_conflict).await.map_err(Refusal)?;
    Ok(Json(complete(report, imported)))
}

async fn import_demonstrations<C: ControlPlane>(
    State(shared): Shell<C>,
    uri: Uri,
    body: Content,
) -> Answer<ImportReport> {
    let asked: ImportQuery = query(&uri)?;
    let text = body.map_err(too_large)?;
    let (source, format) = (asked.source.clone(), shared.plane.format());
    let parsed = in_background(move || import::demonstrations(&text, &source, format)).await?;
    let (records, report) = accept(parsed, &asked)?;
    let imported = shared.plane.import_demonstrations(records).await.map_err(Refusal)?;
    Ok(Json(complete(report, imported)))
}

async fn pool_list<C: ControlPlane>(State(shared): Shell<C>, uri: Uri) -> Result<Response, Refusal> {
    let query: PoolQuery = query(&uri)?;
    let pool = shared.plane.pool(query).await.map_err(Refusal)?;
    Ok(lines(pool.map(|item| item.map(|judged| PoolEntry::from(&judged))).boxed()))
}

async fn pool_show<C: ControlPlane>(State(shared): Shell<C>, uri: Uri) -> Answer<PoolRecord> {
    let PoolShowQuery { id } = query(&uri)?;
    let found = shared.plane.trajectory(id.clone()).await.map_err(Refusal)?;
    found.map(Json).ok_or_else(|| missing(format!("the pool holds no trajectory `{id}`")))
}

async fn pool_export<C: ControlPlane>(State(shared): Shell<C>, uri: Uri) -> Result<Response, Refusal> {
    let query: PoolQuery = query(&uri)?;
    Ok(lines(shared.plane.pool(query).await.map_err(Refusal)?))
}

async fn revive<C: ControlPlane>(State(shared): Shell<C>, body: Content) -> Answer<Done> {
    answer(shared.plane.revive(read(body)?).await)
}

async fn policies<C: ControlPlane>(State(shared): Shell<C>) -> Answer<Vec<still_domain::PolicyRecord>> {
    answer(shared.plane.policies().await)
}

async fn promote<C: ControlPlane>(State(shared): Shell<C>, body: Content) -> Answer<Done> {
    let PromoteRequest { version } = read(body)?;
    answer(shared.plane.promote(version).await)
}

async fn rollback<C: ControlPlane>(State(shared): Shell<C>) -> Answer<Done> {
    answer(shared.plane.rollback().await)
}

async fn servers<C: ControlPlane>(State(shared): Shell<C>) -> Answer<Vec<ServerStatus>> {
    answer(shared.plane.servers().await)
}

async fn add_server<C: ControlPlane>(State(shared): Shell<C>, body: Content) -> Answer<Done> {
    answer(shared.plane.add_server(read(body)?).await)
}

async fn remove_server<C: ControlPlane>(State(shared): Shell<C>, body: Content) -> Answer<Done> {
    answer(shared.plane.remove_server(read(body)?).await)
}

async fn kill<C: ControlPlane>(State(shared): Shell<C>, body: Content) -> Answer<Done> {
    let KillRequest { actor } = read(body)?;
    answer(shared.plane.kill(actor).await)
}

async fn unknown_path(uri: Uri) -> Refusal {
    let message = format!("the daemon knows no `{}`: the client may be newer than the daemon", uri.path());
    Refusal(ErrorReply::new(ErrorKind::NotFound, message))
}

async fn unknown_method(uri: Uri) -> Refusal {
    Refusal(ErrorReply::new(ErrorKind::BadRequest, format!("`{}` is not asked for this way", uri.path())))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0)).into_response()
    }
}

fn answer<T>(result: Result<T, ErrorReply>) -> Answer<T> {
    result.map(Json).map_err(Refusal)
}

/// A request's JSON; an empty body is an empty object.
fn read<T: DeserializeOwned>(body: Content) -> Result<T, Refusal> {
    let bytes = body.map_err(too_large)?;
    let bytes = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
    serde_json::from_slice(bytes).map_err(|error| bad_request(&error))
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    Query::try_from_uri(uri).map(|Query(query)| query).map_err(|error| bad_request(&error.body_text()))
}

fn missing(message: String) -> Refusal {
    Refusal(ErrorReply::new(ErrorKind::NotFound, message))
}

fn bad_request(error: &dyn ToString) -> Refusal {
    Refusal(ErrorReply::new(
        ErrorKind::BadRequest,
        format!("the request cannot be read: {}", error.to_string()),
    ))
}

#[expect(clippy::needless_pass_by_value, reason = "used as a conversion of errors")]
fn too_large(rejection: BytesRejection) -> Refusal {
    let message =
        format!("{}: at most {MAX_BODY_BYTES} bytes at once, split the file", rejection.body_text());
    Refusal(ErrorReply::new(ErrorKind::BadInput, message))
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Refusal(ErrorReply::new(ErrorKind::Internal, error.to_string())))
}

/// The good records with a report of the broken lines; with `abort`, a broken line refuses the file.
fn accept<T>(parsed: Parsed<T>, asked: &ImportQuery) -> Result<(Batch<T>, ImportReport), Refusal> {
    let Parsed { records, lines, repeated, mut left_out, remarks, mut broken } = parsed;
    let left_out_count = left_out.len() as u64;
    let broken_count = broken.len() as u64;
    if let (OnError::Abort, Some(first)) = (asked.on_error, broken.first()) {
        let message = format!(
            "{}: {broken_count} broken of {} lines, nothing was imported; {first} (or keep the good lines with `--on-error skip`)",
            asked.source,
            records.len() as u64 + repeated + left_out_count + broken_count,
        );
        return Err(Refusal(ErrorReply::new(ErrorKind::BadInput, message)));
    }
    broken.truncate(MAX_LISTED);
    left_out.truncate(MAX_LISTED);
    let report = ImportReport {
        known: repeated,
        left_out,
        left_out_count,
        remarks,
        broken,
        broken_count,
        ..ImportReport::default()
    };
    Ok((Batch { records, lines }, report))
}

fn complete(report: ImportReport, imported: Imported) -> ImportReport {
    let Imported { imported, known, contaminated, replaced, kept, imitated, mut cleaned, faults } = imported;
    let cleaned_count = cleaned.len() as u64;
    cleaned.truncate(MAX_LISTED);
    ImportReport {
        imported,
        known: report.known + known,
        contaminated,
        replaced,
        kept,
        imitated,
        cleaned,
        cleaned_count,
        faults,
        ..report
    }
}

/// One JSON object a line. An error that comes once the reply has begun is the last line: `{"error": ...}`.
fn lines<T: Serialize + 'static>(items: BoxStream<'static, Result<T, ErrorReply>>) -> Response {
    let text = items.map(|item| {
        let mut line = match item {
            Ok(item) => serde_json::to_vec(&item),
            Err(error) => serde_json::to_vec(&serde_json::json!({"error": error})),
        }
        .unwrap_or_default();
        line.push(b'\n');
        Ok::<_, Infallible>(line)
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(text)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_told_before_the_close_is_passed_on_and_an_open_stream_is_ended_by_it() {
        let reported = [Event::Draining, Event::Finished { reason: "drained".to_owned() }];
        let waiting = stream::iter(reported.clone()).chain(stream::pending()).boxed();
        let passed: Vec<_> = until_closed(waiting, async {}.boxed()).collect().await;
        assert_eq!(passed, reported);
    }
}
