//! Python's `range`: whole numbers that have a length and places, and print themselves as what they are.

use std::{fmt, sync::Arc};

use minijinja::{
    Error, Value, functions,
    value::{Enumerator, Object, ObjectRepr},
};

use super::python_value;

#[derive(Debug)]
struct Range {
    /// As Python prints it.
    shown: String,
    items: Vec<Value>,
}

impl Object for Range {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The function of templates.
pub(super) fn range(first: isize, second: Option<isize>, step: Option<isize>) -> Result<Value, Error> {
    let items = python_value::items(&functions::range(first, second, step)?);
    let (from, to) = second.map_or((0, first), |to| (first, to));
    let step = step.filter(|step| *step != 1).map_or_else(String::new, |step| format!(", {step}"));
    Ok(Value::from_object(Range { shown: format!("range({from}, {to}{step})"), items }))
}
