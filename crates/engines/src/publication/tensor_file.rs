//! A file of tensors by its header: which tensors it holds, and where.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

/// Longest header that is read, in bytes.
const MAX_HEADER_BYTES: u64 = 100 << 20;
/// The header's own length comes before it.
const LENGTH_BYTES: u64 = 8;

/// A file of tensors that is whole.
#[derive(Debug)]
pub(super) struct TensorFile {
    path: PathBuf,
    header: Map<String, Value>,
    /// Where the tensors begin.
    data: u64,
}

impl TensorFile {
    /// Reads the header, and makes sure that all is there that it names: a server that loads a truncated file is left
    /// without a model.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let damaged =
            |reason: &dyn ToString| format!("`{}` is damaged: {}", path.display(), reason.to_string());
        let mut file = File::open(path).map_err(|error| damaged(&error))?;
        let length = file.metadata().map_err(|error| damaged(&error))?.len();
        let mut size = [0; LENGTH_BYTES as usize];
        file.read_exact(&mut size).map_err(|error| damaged(&error))?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER_BYTES.min(length) {
            return Err(damaged(&"its header is longer than the file"));
        }
        let mut header = Vec::new();
        file.take(size).read_to_end(&mut header).map_err(|error| damaged(&error))?;
        let header = serde_json::from_slice(&header).map_err(|error| damaged(&error))?;
        let found = Self { path: path.to_owned(), header, data: LENGTH_BYTES + size };
        let ends = found.header.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
        let wanted = found.data + ends.max().unwrap_or(0);
        if wanted == length { Ok(found) } else { Err(damaged(&format!("{length} bytes of {wanted}"))) }
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.header.contains_key(name)
    }

    /// Writes a tensor alone, under another name, to a file of its own.
    pub(super) fn copy(&self, name: &str, new_name: &str, to: &Path) -> io::Result<()> {
        let none = || io::Error::other(format!("`{}` has no `{name}`", self.path.display()));
        let tensor = self.header.get(name).ok_or_else(none)?;
        let offset = |index: usize| tensor["data_offsets"][index].as_u64().ok_or_else(none);
        let range: Range<u64> = offset(0)?..offset(1)?;
        let length = range.end.checked_sub(range.start).ok_or_else(none)?;
        let mut copied = tensor.clone();
        copied["data_offsets"] = serde_json::json!([0, length]);
        let mut header = serde_json::json!({"__metadata__": {"format": "pt"}});
        header[new_name] = copied;
        let mut header = header.to_string().into_bytes();
        // tensors begin where they may be mapped
        header.resize(header.len().next_multiple_of(LENGTH_BYTES as usize), b' ');
        let mut from = File::open(&self.path)?;
        from.seek(SeekFrom::Start(self.data + range.start))?;
        let mut file = File::create(to)?;
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        let written = io::copy(&mut from.take(length), &mut file)?;
        if written == length { file.sync_all() } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
