//! The little HTTP that a Netty server without manners speaks. Goes in: a
//! connection. Comes out: one request, and the bytes of one reply, after
//! which the connection closes. Written by hand because no server crate lets
//! a reply go out with neither length nor chunks, or no reply at all.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Netty's `HttpObjectAggregator(1024 * 1024)` in arklet.
pub(crate) const BODY_MAX_BYTES: usize = 1 << 20;
/// Netty takes 4 KiB of request line and 8 KiB of headers.
const HEAD_MAX_BYTES: usize = 12 << 10;
/// Netty has no limit; a request of ours has about ten.
const HEADERS_MAX: usize = 64;
/// What is read and thrown away of a body that is too long, so that the
/// client sees the 413 and not a reset: its send buffer and a good deal more.
const DRAIN_MAX_BYTES: u64 = 16 << 20;

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) body: Vec<u8>,
}

/// What to do with the connection.
pub(crate) enum Reply {
    /// Write these bytes and close.
    Bytes(Vec<u8>),
    /// Write nothing and leave it open until the client goes away.
    Silence,
    /// Close it without a byte.
    Cut,
}

/// What came in.
pub(crate) enum Incoming {
    Request(Request),
    /// Answer this at once; it was no request to handle.
    Refused(&'static [u8]),
    /// The client went away, or spoke no HTTP.
    Nothing,
}

/// Reads one request.
pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<Incoming> {
    let mut bytes = Vec::with_capacity(1024);
    let (mut request, length, expects, head) = loop {
        if bytes.len() > HEAD_MAX_BYTES || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(Incoming::Nothing);
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(&bytes) {
            Ok(httparse::Status::Partial) => continue,
            Err(_) => return Ok(Incoming::Nothing),
            Ok(httparse::Status::Complete(head)) => {
                let header = |name: &str| {
                    parsed
                        .headers
                        .iter()
                        .find(|header| header.name.eq_ignore_ascii_case(name))
                        .and_then(|header| std::str::from_utf8(header.value).ok())
                };
                if header("transfer-encoding").is_some() {
                    return Ok(Incoming::Refused(NOT_CHUNKED));
                }
                let target = parsed.path.unwrap_or("/");
                let request = Request {
                    method: parsed.method.unwrap_or_default().to_owned(),
                    path: target.split('?').next().unwrap_or("/").to_owned(),
                    host: header("host").unwrap_or_default().to_owned(),
                    body: Vec::new(),
                };
                let length: u64 = header("content-length")
                    .and_then(|length| length.trim().parse().ok())
                    .unwrap_or(0);
                break (request, length, header("expect").is_some(), head);
            }
        }
    };
    let got = (bytes.len() - head) as u64;
    if length > BODY_MAX_BYTES as u64 {
        if !expects {
            let rest = length.saturating_sub(got).min(DRAIN_MAX_BYTES);
            tokio::io::copy(&mut stream.take(rest), &mut tokio::io::sink()).await?;
        }
        return Ok(Incoming::Refused(TOO_LARGE));
    }
    if expects {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    request.body = bytes.split_off(head);
    let mut rest = stream.take(length.saturating_sub(got));
    rest.read_to_end(&mut request.body).await?;
    if (request.body.len() as u64) < length {
        return Ok(Incoming::Nothing);
    }
    Ok(Incoming::Request(request))
}

/// Writes the reply, or does not.
pub(crate) async fn write(stream: &mut TcpStream, reply: Reply) -> io::Result<()> {
    match reply {
        Reply::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Silence => {
            tokio::io::copy(stream, &mut tokio::io::sink()).await?;
            Ok(())
        }
        Reply::Cut => Ok(()),
    }
}

/// As arklet answers: neither length nor type; the end is the close.
pub(crate) fn arklet_reply(json: &str) -> Reply {
    Reply::Bytes(format!("HTTP/1.1 200 OK\r\n\r\n{json}").into_bytes())
}

/// As arklet answers another method; the header's name is a slip of its own.
pub(crate) fn arklet_refusal(message: &str) -> Reply {
    let length = message.len();
    Reply::Bytes(
        format!("HTTP/1.1 500 Internal Server Error\r\nContent_Length: {length}\r\n\r\n{message}")
            .into_bytes(),
    )
}

/// As Tomcat answers.
pub(crate) fn tomcat_reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut head = format!("HTTP/1.1 {status} \r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = body.len();
    Reply::Bytes(
        format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes(),
    )
}

const TOO_LARGE: &[u8] = b"HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0\r\n\r\n";
const NOT_CHUNKED: &[u8] =
    b"HTTP/1.1 501 Not Implemented\r\n\r\nthe fake base takes bodies with a Content-Length only";
