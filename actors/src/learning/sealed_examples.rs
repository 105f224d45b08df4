//! The examples of a sealed set, read from the store one by one: responses are never held all at once.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use still_domain::{AttemptId, ProblemId, Statement, TrainingSet};
use still_roles::{Example, ExampleSource, PreferenceExample, Response, SftExample, SourceError};
use still_store::StoreError;

use crate::ground::store_access::StoreAccess;

/// The examples of a sealed set: demonstrations first, then trajectories, or pairs; in the manifest's order.
pub(crate) struct SealedExamples {
    access: StoreAccess,
    set: TrainingSet,
    /// Statements of problems, each read once and shared by all examples of it.
    statements: Mutex<HashMap<ProblemId, Statement>>,
}

impl SealedExamples {
    pub(crate) fn new(access: StoreAccess, set: TrainingSet) -> Self {
        Self { access, set, statements: Mutex::default() }
    }

    fn response(&self, id: &AttemptId) -> Result<Response, SourceError> {
        let judged = self.access.store.trajectory(id).map_err(|error| failed(&error))?;
        let judged = judged.ok_or_else(|| missing("trajectory", id))?;
        Ok(Response::Tokens(judged.trajectory.tokens))
    }

    fn statement(&self, id: &ProblemId) -> Result<Statement, SourceError> {
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = statements.get(id) {
            return Ok(statement.clone());
        }
        let problem = self.access.store.problem(id).map_err(|error| failed(&error))?;
        let statement = Statement::from(&problem.ok_or_else(|| missing("problem", id))?);
        statements.insert(id.clone(), statement.clone());
        Ok(statement)
    }
}

impl ExampleSource for SealedExamples {
    fn count(&self) -> usize {
        self.set.example_count()
    }

    fn read(&self, index: usize) -> Result<Example, SourceError> {
        let content = &self.set.content;
        if let Some(id) = content.demonstrations.get(index) {
            let demonstration = self.access.store.demonstration(id).map_err(|error| failed(&error))?;
            let demonstration = demonstration.ok_or_else(|| missing("demonstration", id))?;
            let problem = Statement::from(&demonstration);
            let response = Response::Text(demonstration.response);
            return Ok(Example::Sft(SftExample { problem, response }));
        }
        let index = index - content.demonstrations.len();
        if let Some(id) = content.trajectories.get(index) {
            let (problem, response) = (self.statement(&id.problem)?, self.response(id)?);
            return Ok(Example::Sft(SftExample { problem, response }));
        }
        let pair = index.checked_sub(content.trajectories.len()).and_then(|index| content.pairs.get(index));
        let pair =
            pair.ok_or_else(|| SourceError(format!("the set {} has no example {index}", self.set.id)))?;
        Ok(Example::Preference(PreferenceExample {
            problem: self.statement(&pair.chosen.problem)?,
            chosen: self.response(&pair.chosen)?,
            rejected: self.response(&pair.rejected)?,
        }))
    }
}

fn failed(error: &StoreError) -> SourceError {
    SourceError(error.to_string())
}

fn missing(what: &str, id: impl std::fmt::Display) -> SourceError {
    SourceError(format!("{what} {id} is not in the store"))
}
