//! Patience with new connections: no delay on small packets, and a peer that connects and does not speak is let go.
//!
//! hyper times out a slow HTTP/1 head, but not the first bytes by which it tells HTTP/2 from HTTP/1.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a new connection may take to send its first bytes.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(10);

/// As many as tell the protocol: the length of HTTP/2's preface.
const FIRST_BYTES: usize = 24;

/// Accepts connections with [`FIRST_BYTES_TIMEOUT`].
#[derive(Clone, Default)]
pub(super) struct Patient;

impl<S> Accept<TcpStream, S> for Patient {
    type Stream = Opening<TcpStream>;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let ready = stream.set_nodelay(true).map(|()| (Opening::new(stream), service));
        std::future::ready(ready)
    }
}

/// A stream whose first bytes have a deadline.
pub(super) struct Opening<S> {
    stream: S,
    waiting: Option<Waiting>,
}

struct Waiting {
    deadline: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl<S> Opening<S> {
    fn new(stream: S) -> Self {
        let deadline = Box::pin(sleep(FIRST_BYTES_TIMEOUT));
        Self { stream, waiting: Some(Waiting { deadline, bytes_left: FIRST_BYTES }) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let Some(waiting) = &mut this.waiting else { return polled };
        waiting.bytes_left = waiting.bytes_left.saturating_sub(buffer.filled().len() - before);
        if waiting.bytes_left == 0 {
            this.waiting = None;
        } else if polled.is_pending() && waiting.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opening<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
