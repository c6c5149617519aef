//! What a browser or scraper asks for, and the head of what it gets. No I/O.
//!
//! Only GET and HEAD of a few paths exist; a request has no body and its head is at most [`HEAD_MAX`]
//! bytes, so a client can make the server remember little and compute only what it would tell anyway.

/// Longest head of a request.
pub const HEAD_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;

/// What there is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// A list of the others.
    Index,
    /// Figures for Prometheus.
    Metrics,
    /// Whether the process lives.
    Health,
    /// Whether it serves.
    Ready,
}

/// What the bytes received so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// More must come.
    Incomplete,
    /// A request; `body` is false for HEAD.
    Request {
        /// What is wanted.
        page: Page,
        /// Whether the body is wanted too.
        body: bool,
    },
    /// A request that gets this status.
    Refused(Status),
}

/// The statuses we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Status {
    Ok,
    Bad,
    NotFound,
    NotAllowed,
    TooLarge,
    Unavailable,
}

impl Status {
    /// Number and words of the status line.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::Bad => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::NotAllowed => "405 Method Not Allowed",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

/// Reads a head.
pub fn parse(input: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(input) {
        Err(httparse::Error::TooManyHeaders) => return Parsed::Refused(Status::TooLarge),
        Err(_) => return Parsed::Refused(Status::Bad),
        Ok(httparse::Status::Partial) if input.len() >= HEAD_MAX => {
            return Parsed::Refused(Status::TooLarge);
        }
        Ok(httparse::Status::Partial) => return Parsed::Incomplete,
        Ok(httparse::Status::Complete(_)) => {}
    }
    let body = match request.method {
        Some("GET") => true,
        Some("HEAD") => false,
        _ => return Parsed::Refused(Status::NotAllowed),
    };
    let path = request.path.unwrap_or_default();
    let page = match path.split(['?', '#']).next() {
        Some("/") => Page::Index,
        Some("/metrics") => Page::Metrics,
        Some("/healthz") => Page::Health,
        Some("/readyz") => Page::Ready,
        _ => return Parsed::Refused(Status::NotFound),
    };
    Parsed::Request { page, body }
}

/// A whole response. Every connection serves one request, so its end is the end of the body.
pub fn response(status: Status, kind: &str, text: &str, body: bool) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         {}Connection: close\r\n\r\n",
        status.line(),
        text.len(),
        if status == Status::NotAllowed { "Allow: GET, HEAD\r\n" } else { "" },
    )
    .into_bytes();
    if body {
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_prefix_is_incomplete() {
        let whole = b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), Parsed::Incomplete, "cut at {cut}");
        }
        assert_eq!(parse(whole), Parsed::Request { page: Page::Metrics, body: true });
    }

    #[test]
    fn what_is_not_served_is_refused() {
        let refused = |head: &str| match parse(head.as_bytes()) {
            Parsed::Refused(status) => status,
            other => panic!("{head}: {other:?}"),
        };
        assert_eq!(refused("POST /metrics HTTP/1.1\r\n\r\n"), Status::NotAllowed);
        assert_eq!(refused("GET /etc/passwd HTTP/1.1\r\n\r\n"), Status::NotFound);
        assert_eq!(refused("GET /metrics/../x HTTP/1.1\r\n\r\n"), Status::NotFound);
        assert_eq!(refused("*1\r\n$4\r\nPING\r\n"), Status::Bad);
        assert_eq!(
            refused(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65))),
            Status::TooLarge
        );
        let long = format!("GET / HTTP/1.1\r\na: {}", "x".repeat(HEAD_MAX));
        assert_eq!(refused(&long), Status::TooLarge);
    }

    #[test]
    fn responses_say_their_length() {
        let head = String::from_utf8(response(Status::Ok, "text/plain", "four", false)).unwrap();
        assert!(head.contains("Content-Length: 4\r\n") && head.ends_with("\r\n\r\n"));
        let whole = String::from_utf8(response(Status::Ok, "text/plain", "four", true)).unwrap();
        assert!(whole.ends_with("\r\n\r\nfour"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
