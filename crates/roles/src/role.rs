//! What every role with a device or a server of its own has in common: how it is opened, how it tells, how it ends.

use std::{fmt, sync::Arc};

/// A role that works on its own and tells of it by events.
///
/// Dropping one lets it end by itself: it takes no further order, and nobody waits for it.
pub trait Role: Send {
    /// Takes no further order, and waits until the device is let go of. Blocks for as long as the work at hand takes.
    fn end(self: Box<Self>);

    /// Gives up a role that hangs: whoever is opened next must not wait for it. Never blocks.
    fn abandon(self: Box<Self>);
}

/// Where a role's events go. Clones lead to the same place; it may be called from any thread, and never blocks.
pub struct EventSink<E>(Arc<dyn Fn(E) + Send + Sync>);

/// Opens a role that tells its events to a sink.
type Open<R, E> = dyn Fn(EventSink<E>) -> Result<Box<R>, String> + Send + Sync;

/// Opens fresh roles of one kind on one device or server. Clones share the device.
pub struct RoleFactory<R: ?Sized, E> {
    name: Arc<str>,
    open: Arc<Open<R, E>>,
}

impl<E> EventSink<E> {
    /// Hands every event to `tell`.
    pub fn new(tell: impl Fn(E) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Tells an event.
    pub fn tell(&self, event: E) {
        (self.0)(event);
    }
}

impl<R: ?Sized, E> RoleFactory<R, E> {
    /// Roles on the device of that `name`, opened by `open`, anew after every failure.
    pub fn new(
        name: impl Into<Arc<str>>,
        open: impl Fn(EventSink<E>) -> Result<Box<R>, String> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), open: Arc::new(open) }
    }

    /// The device or server, as operators know it: `sampler-0`, `learner`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a role.
    ///
    /// # Errors
    /// When not even its thread or connection can be had; what fails later is reported as an event.
    pub fn open(&self, events: EventSink<E>) -> Result<Box<R>, String> {
        (self.open)(events)
    }
}

impl<E> Clone for EventSink<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: ?Sized, E> Clone for RoleFactory<R, E> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), open: Arc::clone(&self.open) }
    }
}

impl<E> fmt::Debug for EventSink<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink")
    }
}

impl<R: ?Sized, E> fmt::Debug for RoleFactory<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleFactory").field("name", &self.name).finish_non_exhaustive()
    }
}
