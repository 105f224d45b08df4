//! The daemon's pages, asked for over plain HTTP.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// Status, head and body of a page.
pub fn get(address: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a head has a status");
    assert!(!head.to_lowercase().contains("transfer-encoding"), "the body is read as it comes");
    (status, head.to_owned(), body.to_owned())
}
