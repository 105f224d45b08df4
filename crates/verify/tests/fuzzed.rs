//! What fuzzing found, so that it stays found.

use still_verify::fingerprint;

#[test]
fn numbers_too_large_to_write_share_their_fingerprint() {
    for (one, other) in [("9^{9^{9}}", "9^{387420489}"), ("3^{10^{9}}", "9^{5 \\cdot 10^{8}}")] {
        assert_eq!(fingerprint(one), fingerprint(other), "{one} and {other}");
    }
    assert_ne!(fingerprint("9^{9^{9}}"), fingerprint("9^{9^{9}}+1"));
}
