//! What a double is told to fail at.

/// How an answer fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is an error of this status.
    Status(u16),
    /// The connection closes without one.
    Drop,
    /// None comes; the connection stays open.
    Hang,
    /// The request is carried out, and then the connection closes.
    DropAfter,
    /// The request is carried out in part, and answered by an error: where a dialect knows of such.
    InPart,
    /// The request is answered as if it had been carried out: where a dialect knows of such.
    InName,
}

/// A fault that waits for its question.
#[derive(Debug, Clone)]
pub(crate) struct Armed {
    pub(crate) path: String,
    pub(crate) fault: Fault,
    pub(crate) times: usize,
}

/// The faults of a double.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
    pub(crate) happened: usize,
}

impl Faults {
    pub(crate) fn arm(&mut self, armed: Armed) {
        self.armed.push(armed);
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// What is to happen to a question now.
    pub(crate) fn take(&mut self, path: &str) -> Option<Fault> {
        let armed = self.armed.iter_mut().find(|armed| armed.path == path && armed.times > 0)?;
        armed.times -= 1;
        self.happened += 1;
        Some(armed.fault.clone())
    }
}
