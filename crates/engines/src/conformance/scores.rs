//! What is taken for granted of scores: they are of the policy that the server was given, or they are none.

use crate::{
    Fault,
    conformance::{GAP, Model, Subject},
    endpoint::Serves,
    probe,
    protocol::{poll, score},
};

/// The longest context that is filled.
const MAX_FILLED: u64 = 1_024;

impl Subject {
    async fn assert_scored_by(&self, model: &Model, serves: &Serves, tokens: &[u32]) {
        let scored = score(&self.endpoint, serves, tokens).await.unwrap();
        let gap = probe::gap(&scored, &model.score(tokens));
        assert!(gap < GAP, "{} tokens are {gap} nats a token from their model", tokens.len());
    }

    pub(super) async fn scores(&self) {
        let mut before = None;
        for (number, policy) in [(0, &self.base), (1, &self.other), (0, &self.base)] {
            self.swap(policy).await.unwrap();
            let (serves, model) = (self.endpoint.serves().unwrap(), &self.models[number]);
            for length in [2, 9, 24] {
                self.assert_scored_by(model, &serves, &self.probe[..length]).await;
            }
            // many at once
            let of = |from: usize| self.assert_scored_by(model, &serves, &self.probe[from..from + 12]);
            tokio::join!(of(0), of(3), of(7), of(11));
            // what was to be scored by the weights before is none of these
            if let Some(before) = before.replace(serves) {
                let other = score(&self.endpoint, &before, &self.probe).await;
                assert!(
                    matches!(&other, Err(Fault::OtherWeights(reason)) if reason.contains(&before.version))
                );
            }
        }
        let serves = before.unwrap();
        assert_eq!(score(&self.endpoint, &serves, &[5]).await, Ok(Vec::new()));
        let context = self.endpoint.about().unwrap().context;
        for (tokens, part) in
            [(Vec::new(), "no token"), (vec![5; context as usize], "no room"), (vec![5, 9_999_999, 6], "")]
        {
            let refused = score(&self.endpoint, &serves, &tokens).await.unwrap_err();
            assert!(matches!(&refused, Fault::Refused(reason) if reason.contains(part)), "{refused:?}");
        }
        if context <= MAX_FILLED {
            self.assert_scored_by(&self.models[0], &serves, &vec![5; context as usize - 1]).await;
        }
    }

    pub(super) async fn scores_under_adapters(&self) {
        let ((first, first_model), (second, second_model)) = (self.adapter(30, 4), self.adapter(31, 8));
        self.swap(&first).await.unwrap();
        let under_first = self.endpoint.serves().unwrap();
        assert!(under_first.adapter.is_some());
        self.assert_scored_by(&first_model, &under_first, &self.probe).await;
        self.swap(&second).await.unwrap();
        let under_second = self.endpoint.serves().unwrap();
        // one beside the other, for as long as somebody names it
        self.assert_scored_by(&second_model, &under_second, &self.probe).await;
        self.assert_scored_by(&first_model, &under_first, &self.probe).await;
        poll(&self.endpoint).await.unwrap();
        self.assert_scored_by(&first_model, &under_first, &self.probe).await;
        let (version, policy) = (under_first.version.clone(), under_first.policy);
        let name = under_first.adapter.as_ref().unwrap().name.clone();
        drop(under_first);
        poll(&self.endpoint).await.unwrap();
        let adapter = Some(std::sync::Arc::new(crate::endpoint::Adapter { name, policy: first }));
        let gone = score(&self.endpoint, &Serves { version, policy, adapter }, &self.probe).await;
        assert!(matches!(gone, Err(Fault::OtherWeights(_))), "{gone:?}");
        // the weights beneath are another policy
        self.swap(&self.base).await.unwrap();
        self.assert_scored_by(&self.models[0], &self.endpoint.serves().unwrap(), &self.probe).await;
    }
}
