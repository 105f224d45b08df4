//! The score of a sequence, which is of the policy that the server was given or is none.

use super::{Completions, Protocol, Sglang, Vllm, no_server};
use crate::{
    endpoint::{Endpoint, Serves},
    engine::{Fault, Scores},
    settings::EngineKind,
};

/// Asks a server what the policy that it serves thinks of a sequence: the log-probability of every token but the first. What
/// names the policy is held until the answer is there, so that an adapter stays on the server as long.
pub(crate) async fn score(endpoint: &Endpoint, serves: &Serves, tokens: &[u32]) -> Result<Vec<f32>, Fault> {
    async fn asked<P: Protocol>(
        endpoint: &Endpoint,
        serves: &Serves,
        tokens: &[u32],
    ) -> Result<Vec<f32>, Fault> {
        let about =
            endpoint.about().ok_or_else(|| Fault::Failed("nothing is known of the server".to_owned()))?;
        let (count, context) = (tokens.len() as u64, about.context);
        match count {
            0 => return Err(Fault::Refused("there is no token to score".to_owned())),
            1 => return Ok(Vec::new()),
            _ if count >= context => {
                return Err(Fault::Refused(format!(
                    "{count} tokens leave no room in the server's context of {context}, and a score takes one more: start it \
                     with a larger {}",
                    P::CONTEXT_OPTION
                )));
            }
            _ => {}
        }
        let Scores { log_probabilities, versions } =
            P::score(endpoint, serves.adapter.as_deref(), tokens).await?;
        let versions = match versions {
            Some(versions) => versions,
            // a name is given once: weights that have it now had it then
            None => vec![P::version(endpoint).await.map_err(Fault::Broken)?],
        };
        if versions.is_empty() || versions.iter().any(|version| *version != serves.version) {
            return Err(Fault::OtherWeights(format!(
                "it was scored by weights called {versions:?} and not `{}`",
                serves.version
            )));
        }
        Ok(log_probabilities)
    }
    spoken!(endpoint, asked(serves, tokens), Fault::Failed(no_server(endpoint.kind)))
}
