//! Every guard of the outgoing client, over real loopback sockets.

use http::{HeaderValue, Method, header};
use lyceum_outbound::{ConfigError, Outbound, OutboundConfig, OutboundError, Redirects, Request};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

/// A server that answers every request head with what `answer` makes of it, and counts its connections.
struct Listener {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Listener {
    async fn at(ip: &str, answer: impl Fn(&str) -> String + Send + Sync + Clone + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, answer.clone()));
            }
        });
        Self { address, connections }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: impl Fn(&str) -> String) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).await.is_ok_and(|read| read == 1) {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            let response = answer(&String::from_utf8_lossy(&head));
            if response.is_empty() || stream.write_all(response.as_bytes()).await.is_err() {
                return std::future::pending().await;
            }
            head.clear();
        }
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn moved(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, url).expect("a URL")
}

fn outbound(config: &OutboundConfig) -> Outbound {
    Outbound::new(config).expect("a client")
}

fn only(networks: &[&str]) -> Outbound {
    let allowed_networks = networks.iter().map(|one| one.parse().expect("a network")).collect();
    outbound(&OutboundConfig { allowed_networks, ..OutboundConfig::default() })
}

async fn failure(outbound: &Outbound, request: Request) -> OutboundError {
    match outbound.send(request).await {
        Ok(response) => panic!("expected a refusal, got {}", response.status()),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_private_address_is_refused_before_any_connection() {
    let listener = Listener::at("127.0.0.1", |_| ok("secret")).await;
    let closed = outbound(&OutboundConfig::default());
    let port = listener.address.port();
    for url in [
        listener.url("/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
    ] {
        let error = failure(&closed, get(&url)).await;
        assert!(matches!(error, OutboundError::AddressRefused(_)), "{url}: {error}");
    }
    let via = get("http://campus.example/").via("127.0.0.1", port);
    assert!(matches!(failure(&closed, via).await, OutboundError::AddressRefused(_)));
    assert_eq!(listener.connections(), 0, "nothing may have been connected to");
}

#[tokio::test]
async fn configuration_opens_private_addresses_wholly_or_by_network() {
    let listener = Listener::at("127.0.0.1", |_| ok("hello")).await;
    let open = outbound(&OutboundConfig { allow_private_networks: true, ..OutboundConfig::default() });
    for client in [open, only(&["127.0.0.1/32"])] {
        let response = client.send(get(&listener.url("/"))).await.expect("an answer");
        assert_eq!(response.bytes().await.expect("a body"), "hello");
    }
    let denied = OutboundConfig {
        allow_private_networks: true,
        denied_networks: vec!["127.0.0.0/8".parse().expect("a network")],
        ..OutboundConfig::default()
    };
    assert!(matches!(failure(&outbound(&denied), get(&listener.url("/"))).await, OutboundError::AddressRefused(_)));
}

#[tokio::test]
async fn what_the_operator_configured_may_be_anywhere() {
    let listener = Listener::at("127.0.0.1", |_| ok("bridge")).await;
    let closed = outbound(&OutboundConfig::default());
    let response = closed.send(get(&listener.url("/")).configured()).await.expect("an answer");
    assert_eq!(response.bytes().await.expect("a body"), "bridge");
    assert!(matches!(failure(&closed, get(&listener.url("/"))).await, OutboundError::AddressRefused(_)));
}

#[tokio::test]
async fn a_redirect_meets_the_same_rules() {
    let hidden = Listener::at("127.0.0.2", |_| ok("secret")).await;
    let literal = hidden.url("/");
    let door = Listener::at("127.0.0.1", move |head| match head {
        head if head.starts_with("GET /literal") => moved(&literal),
        head if head.starts_with("GET /round") => moved("/round"),
        _ => ok("here"),
    })
    .await;
    let client = only(&["127.0.0.1/32"]);
    let error = failure(&client, get(&door.url("/literal")).follow(Redirects::Web(5))).await;
    assert!(matches!(error, OutboundError::AddressRefused(_)), "{error}");
    assert_eq!(hidden.connections(), 0);
    let error = failure(&client, get(&door.url("/round")).follow(Redirects::Web(5))).await;
    assert!(matches!(error, OutboundError::TooManyRedirects(5)), "{error}");
    let error = failure(&client, get(&door.url("/literal")).follow(Redirects::Secure(5))).await;
    assert!(matches!(error, OutboundError::RedirectRefused(_)), "{error}");
    let response = client.send(get(&door.url("/literal"))).await.expect("the redirect itself");
    assert_eq!(response.status(), 302);
}

#[tokio::test]
async fn a_body_past_its_limit_is_not_read() {
    let declared = Listener::at("127.0.0.1", |_| ok(&"x".repeat(10_000))).await;
    let endless = Listener::at("127.0.0.1", |_| {
        let mut body = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        (0..100).for_each(|_| body.push_str(&format!("1000\r\n{}\r\n", "x".repeat(4096))));
        body
    })
    .await;
    let client = only(&["127.0.0.0/8"]);
    for listener in [&declared, &endless] {
        let response = client.send(get(&listener.url("/")).body_bytes_max(9_999)).await.expect("headers");
        let error = response.bytes().await.expect_err("too large");
        assert!(matches!(error, OutboundError::TooLarge(9_999)), "{error}");
    }
    let response = client.send(get(&declared.url("/")).body_bytes_max(10_000)).await.expect("headers");
    assert_eq!(response.bytes().await.expect("exactly the limit").len(), 10_000);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let silent = Listener::at("127.0.0.1", |_| String::new()).await;
    let half = Listener::at("127.0.0.1", |_| "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_owned()).await;
    let client = only(&["127.0.0.0/8"]);
    let soon = Duration::from_millis(200);
    assert!(matches!(failure(&client, get(&silent.url("/")).timeout(soon)).await, OutboundError::Timeout));
    let response = client.send(get(&half.url("/")).timeout(soon)).await.expect("headers");
    assert!(matches!(response.bytes().await, Err(OutboundError::Timeout)));
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let client = only(&["127.0.0.0/8"]);
    let error = failure(&client, get(&format!("http://{address}/"))).await;
    assert!(matches!(error, OutboundError::Connect(_)), "{error}");
    let error = failure(&client, get("http://nobody.invalid/")).await;
    assert!(matches!(error, OutboundError::NoAddress(_)), "{error}");
    assert!(Request::new(Method::GET, "file:///etc/passwd").is_err());
}

#[tokio::test]
async fn connections_are_reused_and_via_keeps_the_name() {
    let listener = Listener::at("127.0.0.1", |head| {
        let host = head.lines().find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned));
        ok(&host.unwrap_or_default())
    })
    .await;
    let client = only(&["127.0.0.0/8"]);
    let port = listener.address.port();
    for _ in 0..3 {
        let request = get("http://campus.example/").via("127.0.0.1", port);
        let response = client.send(request).await.expect("an answer");
        assert_eq!(response.bytes().await.expect("a body"), "campus.example");
    }
    assert_eq!(listener.connections(), 1);
    let own =
        get("http://campus.example:1/").via("127.0.0.1", port).host(HeaderValue::from_static("other.example:8448"));
    let response = client.send(own).await.expect("an answer");
    assert_eq!(response.bytes().await.expect("a body"), "other.example:8448");
}

#[tokio::test]
async fn tls_trusts_configured_authorities_for_the_name_in_the_url() {
    let certificate = rcgen::generate_simple_self_signed(vec!["campus.example".to_owned()]).expect("a certificate");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, certificate.cert.pem()).expect("written");
    let port = tls_listener(&certificate).await;

    let trusting =
        OutboundConfig { allow_private_networks: true, trusted_ca_files: vec![file], ..OutboundConfig::default() };
    let trusting_client = outbound(&trusting);
    let request = get("https://campus.example:8448/").via("127.0.0.1", port);
    let response = trusting_client.send(request.clone()).await.expect("an answer");
    assert_eq!(response.bytes().await.expect("a body"), "private");

    let stranger = outbound(&OutboundConfig { trusted_ca_files: Vec::new(), ..trusting });
    assert!(matches!(failure(&stranger, request).await, OutboundError::Connect(_)));
    let other_name = get("https://other.example/").via("127.0.0.1", port);
    assert!(matches!(failure(&trusting_client, other_name).await, OutboundError::Connect(_)));
}

async fn tls_listener(certificate: &rcgen::CertifiedKey) -> u16 {
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(certificate.key_pair.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key.into())
        .expect("a usable certificate");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, |_| ok("private")).await;
                }
            });
        }
    });
    port
}

#[test]
fn a_bad_authority_file_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let (missing, empty) = (dir.path().join("missing.pem"), dir.path().join("empty.pem"));
    std::fs::write(&empty, "no certificate").expect("written");
    let with = |file: &std::path::Path| {
        let config = OutboundConfig { trusted_ca_files: vec![file.to_owned()], ..OutboundConfig::default() };
        Outbound::new(&config).err().expect("refused")
    };
    assert!(matches!(with(&missing), ConfigError::Unreadable { .. }));
    assert!(matches!(with(&empty), ConfigError::NoCertificate(_)));
}

#[tokio::test]
async fn a_wire_stands_in_for_the_network() {
    struct Echo;
    #[async_trait::async_trait]
    impl lyceum_outbound::Wire for Echo {
        async fn call(
            &self,
            request: http::Request<bytes::Bytes>,
        ) -> Result<http::Response<bytes::Bytes>, OutboundError> {
            let (path, auth) = (request.uri().to_string(), request.headers().contains_key(header::AUTHORIZATION));
            let moved = path.ends_with("/moved");
            let response = http::Response::builder().status(if moved { 302 } else { 200 });
            let response = if moved { response.header(header::LOCATION, "https://beta/there") } else { response };
            Ok(response.body(format!("{path} {auth}").into()).expect("a response"))
        }
    }
    let client = Outbound::over(Echo);
    let request = get("https://alpha:8448/moved")
        .header(header::AUTHORIZATION, HeaderValue::from_static("X"))
        .follow(Redirects::Secure(1));
    let response = client.send(request).await.expect("an answer");
    assert_eq!(response.url(), "https://beta/there");
    assert_eq!(response.bytes().await.expect("a body"), "https://beta/there false");
    let response = client.send(get("https://alpha/x").body_bytes_max(3)).await.expect("headers");
    assert!(matches!(response.bytes().await, Err(OutboundError::TooLarge(3))));
}
