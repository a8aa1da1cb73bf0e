//! What of podman's words is shown.

use super::*;

#[test]
fn tail_leaves_noise_out() {
    let text = "one\n\ntime=… level=warning msg=x\nfailed to connect to syslog: y\ntwo\nthree\n";
    assert_eq!(tail(text, 2), ["two", "three"]);
}
