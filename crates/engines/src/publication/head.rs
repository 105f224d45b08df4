//! A head of its own for a model whose head is its embedding.
//!
//! vLLM on a processor keeps the head as a copy that is packed for its kernels, and `reload_weights` fills what the folder
//! names: of a tied model it takes the embedding and goes on with the old head, without a word. A folder that names the head
//! as well is taken over whole.

use std::{fs, io, path::Path};

use serde_json::Value;

use super::tensor_file::TensorFile;

const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";
const FILE: &str = "model-head.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Adds the embedding to a folder once more, as the head, unless it has one.
pub(super) fn add(tensors: &[TensorFile], into: &Path) -> Result<(), String> {
    if tensors.iter().any(|file| file.holds(HEAD)) {
        return Ok(());
    }
    let Some(file) = tensors.iter().find(|file| file.holds(EMBEDDING)) else { return Ok(()) };
    let failed =
        |name: &str, error: &dyn ToString| format!("`{}`: {}", into.join(name).display(), error.to_string());
    file.copy(EMBEDDING, HEAD, &into.join(FILE)).map_err(|error| failed(FILE, &error))?;
    // of several files a server reads those that the index names
    let path = into.join(INDEX);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text.map_err(|error| failed(INDEX, &error))?,
    };
    let mut index: Value = serde_json::from_slice(&text).map_err(|error| failed(INDEX, &error))?;
    index["weight_map"][HEAD] = Value::from(FILE);
    // it is a link to the checkpoint's own, which stays as it is
    fs::remove_file(&path).map_err(|error| failed(INDEX, &error))?;
    fs::write(&path, index.to_string()).map_err(|error| failed(INDEX, &error))
}

#[cfg(test)]
mod tests {
    use safetensors::{Dtype, SafeTensors, tensor::TensorView};

    use super::*;

    fn save(path: &Path, tensors: &[(&str, [f32; 2])]) {
        let bytes: Vec<(&str, Vec<u8>)> = tensors
            .iter()
            .map(|(name, values)| (*name, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
            .collect();
        let views =
            bytes.iter().map(|(name, bytes)| (*name, TensorView::new(Dtype::F32, vec![2], bytes).unwrap()));
        fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    #[test]
    fn a_tied_model_is_given_its_embedding_as_head_and_another_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path();
        let path = into.join("model.safetensors");
        save(&path, &[("a", [1.0, 2.0]), (EMBEDDING, [3.0, 4.0]), ("z", [5.0, 6.0])]);
        fs::write(into.join(INDEX), r#"{"weight_map":{"a":"model.safetensors"}}"#).unwrap();
        add(&[TensorFile::read(&path).unwrap()], into).unwrap();
        let bytes = fs::read(into.join(FILE)).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        let expected: Vec<u8> = [3.0_f32, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(read.names(), [HEAD]);
        let head = read.tensor(HEAD).unwrap();
        assert_eq!((head.data(), head.shape(), head.dtype()), (&expected[..], &[2][..], Dtype::F32));
        let index: Value = serde_json::from_slice(&fs::read(into.join(INDEX)).unwrap()).unwrap();
        assert_eq!(index["weight_map"][HEAD], FILE);
        fs::remove_file(into.join(FILE)).unwrap();
        save(&path, &[(EMBEDDING, [3.0, 4.0]), (HEAD, [5.0, 6.0])]);
        add(&[TensorFile::read(&path).unwrap()], into).unwrap();
        assert!(!into.join(FILE).exists());
    }
}
