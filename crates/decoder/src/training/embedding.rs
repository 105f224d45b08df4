//! Looking tokens up, and adding their gradients up.

/// Rows of `table` (`[vocabulary, hidden_size]`) for `tokens`, times `multiplier`: `[tokens, hidden_size]`.
pub fn embedding_forward(table: &[f32], hidden_size: usize, tokens: &[u32], multiplier: f32) -> Vec<f32> {
    let mut x = Vec::with_capacity(tokens.len() * hidden_size);
    for token in tokens {
        let start = *token as usize * hidden_size;
        x.extend(table[start..start + hidden_size].iter().map(|value| value * multiplier));
    }
    x
}

/// Adds the gradient of the embedded rows to `grad_table` (`[vocabulary, hidden_size]`).
pub fn embedding_backward(grad_x: &[f32], tokens: &[u32], multiplier: f32, grad_table: &mut [f32]) {
    let hidden_size = grad_x.len().checked_div(tokens.len()).unwrap_or_default();
    for (token, grad_x) in tokens.iter().zip(grad_x.chunks_exact(hidden_size.max(1))) {
        let start = *token as usize * hidden_size;
        for (grad, grad_x) in grad_table[start..start + hidden_size].iter_mut().zip(grad_x) {
            *grad += grad_x * multiplier;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "these sums are exact")]
    fn a_token_that_occurs_twice_has_both_gradients() {
        let table = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(embedding_forward(&table, 2, &[1, 0, 1], 2.0), [6.0, 8.0, 2.0, 4.0, 6.0, 8.0]);
        let mut grad = [0.0; 4];
        embedding_backward(&[1.0, 2.0, 10.0, 20.0, 3.0, 4.0], &[1, 0, 1], 2.0, &mut grad);
        assert_eq!(grad, [20.0, 40.0, 8.0, 12.0]);
    }
}
