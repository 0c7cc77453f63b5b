//! Which request follows a response that says "elsewhere". Pure.

use http::{HeaderMap, Method, StatusCode, header};

use crate::{OutboundError, Redirects, Request, request::Reach};

/// Headers that are meant for one origin only.
const PRIVATE_HEADERS: [header::HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// The next request after `hops` earlier redirects, if the response is a redirect that `request` follows.
pub(crate) fn next(
    request: &Request,
    hops: u8,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Request>, OutboundError> {
    let (most, secure) = match request.redirects {
        Redirects::No => return Ok(None),
        Redirects::Secure(most) => (most, true),
        Redirects::Web(most) => (most, false),
    };
    let moved = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let repeatable = matches!(request.method, Method::GET | Method::HEAD) && request.reach == Reach::Guarded;
    let Some(location) = headers.get(header::LOCATION).filter(|_| moved && repeatable) else { return Ok(None) };
    if hops >= most {
        return Err(OutboundError::TooManyRedirects(most));
    }
    let shown = String::from_utf8_lossy(location.as_bytes()).into_owned();
    let url = request.url.join(&shown).map_err(|_| OutboundError::RedirectRefused(shown.clone()))?;
    let allowed = url.scheme() == "https" || (!secure && url.scheme() == "http");
    if !allowed || !url.has_host() {
        return Err(OutboundError::RedirectRefused(shown));
    }
    let mut next = Request { url, via: None, ..request.clone() };
    next.headers.remove(header::HOST);
    if next.url.origin() != request.url.origin() {
        for name in &PRIVATE_HEADERS {
            next.headers.remove(name);
        }
    }
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn follow(request: &Request, hops: u8, location: &'static str) -> Result<Option<Request>, OutboundError> {
        let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_static(location))]);
        next(request, hops, StatusCode::FOUND, &headers)
    }

    fn get(url: &str) -> Request {
        Request::new(Method::GET, url).expect("a URL")
    }

    #[test]
    fn a_redirect_is_followed_only_as_the_request_allows() {
        let plain = get("https://a.example/x");
        assert!(follow(&plain, 0, "/y").expect("no error").is_none());

        let secure = plain.clone().follow(Redirects::Secure(2));
        let there = follow(&secure, 0, "/y?z").expect("no error").expect("followed");
        assert_eq!(there.url.as_str(), "https://a.example/y?z");
        assert!(matches!(follow(&secure, 0, "http://a.example/"), Err(OutboundError::RedirectRefused(_))));
        assert!(matches!(follow(&secure, 0, "file:///etc/passwd"), Err(OutboundError::RedirectRefused(_))));
        assert!(matches!(follow(&secure, 2, "/y"), Err(OutboundError::TooManyRedirects(2))));

        let web = plain.clone().follow(Redirects::Web(2));
        assert!(follow(&web, 0, "http://a.example/").expect("no error").is_some());
        let post = Request { method: Method::POST, ..web };
        assert!(follow(&post, 0, "/y").expect("no error").is_none());
    }

    #[test]
    fn credentials_and_host_stay_behind() {
        let secret = HeaderValue::from_static("secret");
        let request = get("https://a.example/x")
            .follow(Redirects::Secure(2))
            .host(HeaderValue::from_static("b.example"))
            .via("192.0.2.1", 8448)
            .header(header::AUTHORIZATION, secret);
        let same = follow(&request, 0, "/y").expect("no error").expect("followed");
        assert!(same.headers.contains_key(header::AUTHORIZATION) && !same.headers.contains_key(header::HOST));
        assert!(same.via.is_none());
        let other = follow(&request, 0, "https://c.example/").expect("no error").expect("followed");
        assert!(!other.headers.contains_key(header::AUTHORIZATION));
    }
}
