//! Mounting handlers: method and every spelling of the path come from ruma's metadata; what is mounted is listed for the
//! test that compares it with the specification.

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    routing::{MethodFilter, on},
};
use http::Method;
use ruma::api::{Metadata, path_builder::PathBuilder};
use std::{collections::HashMap, sync::Arc};

use crate::{
    extract::Typed,
    facts::{Route, RouteOptions},
    scheme::Serves,
};

/// A method at a path, as mounted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mounted {
    /// The method.
    pub method: String,
    /// The path, its parameters in braces.
    pub path: String,
}

/// Routes being collected.
pub struct Routes<S = ()> {
    router: Router<S>,
    mounted: Vec<Mounted>,
    /// The router wants one spelling of each path's parameters: the first one stays.
    shapes: HashMap<String, String>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet.
    pub fn new() -> Self {
        Self { router: Router::new(), mounted: Vec::new(), shapes: HashMap::new() }
    }

    /// Mounts a handler at every path of the endpoint its last argument names.
    pub fn mount<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Arguments<Last: Typed> + 'static,
    {
        self.mount_with(RouteOptions::new(), handler)
    }

    /// [`Self::mount`], with options.
    pub fn mount_with<H, T>(self, options: RouteOptions, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Arguments<Last: Typed> + 'static,
    {
        self.mount_metadata::<<T::Last as Typed>::Request, H, T>(options, handler)
    }

    /// Mounts a raw handler at every path of ruma's endpoint `R`: `mount_as::<send_message_event::v3::Request, _, _>(…)`.
    pub fn mount_as<R, H, T>(self, options: RouteOptions, handler: H) -> Self
    where
        R: Metadata,
        H: Handler<T, S>,
        T: Arguments<Last: Serves<R::Authentication>> + 'static,
    {
        self.mount_metadata::<R, H, T>(options, handler)
    }

    /// Mounts a handler at paths that ruma does not know.
    pub fn mount_at<H, T>(mut self, method: &Method, paths: &[&str], options: RouteOptions, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        for path in paths {
            self = self.place(method, path, options.completed(method, path, false), handler.clone());
        }
        self
    }

    /// Adds a plain axum router: pages and files that are no Matrix endpoints.
    pub fn merge(mut self, router: Router<S>) -> Self {
        self.router = self.router.merge(router);
        self
    }

    /// Puts two sets of routes together.
    pub fn join(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.mounted.extend(other.mounted);
        self.shapes.extend(other.shapes);
        self
    }

    /// Gives the handlers their state.
    pub fn with_state(self, state: S) -> Routes {
        Routes { router: self.router.with_state(state), mounted: self.mounted, shapes: self.shapes }
    }

    /// What is mounted, in order of path and method.
    pub fn mounted(&self) -> Vec<Mounted> {
        let mut mounted = self.mounted.clone();
        mounted.sort_by(|a, b| (&a.path, &a.method).cmp(&(&b.path, &b.method)));
        mounted
    }

    pub(crate) fn into_router(self) -> Router<S> {
        self.router
    }

    fn mount_metadata<R, H, T>(mut self, options: RouteOptions, handler: H) -> Self
    where
        R: Metadata,
        H: Handler<T, S>,
        T: 'static,
    {
        for path in R::PATH_BUILDER.all_paths() {
            let options = options.completed(&R::METHOD, path, R::RATE_LIMITED);
            // Spec, room state: the key may be left out, with and without the slash, and means the empty one.
            if let Some(keyless) = path.strip_suffix("/{state_key}") {
                self = self.place(&R::METHOD, keyless, options, handler.clone());
                self = self.place(&R::METHOD, &format!("{keyless}/"), options, handler.clone());
            }
            self = self.place(&R::METHOD, path, options, handler.clone());
        }
        self
    }

    fn place<H, T>(mut self, method: &Method, path: &str, options: RouteOptions, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let path = self.shapes.entry(shape(path)).or_insert_with(|| path.to_owned()).clone();
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        let placed = Placed { handler, route: Route(Arc::new(options)) };
        self.router = self.router.route(&path, on(filter, placed));
        self.mounted.push(Mounted { method: method.to_string(), path });
        self
    }
}

/// A path with its parameters' names left out.
pub(crate) fn shape(path: &str) -> String {
    let segment = |segment: &'_ str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A handler with its route's options, which it puts into each request.
#[derive(Clone)]
struct Placed<H> {
    handler: H,
    route: Route,
}

impl<H, T, S> Handler<T, S> for Placed<H>
where
    H: Handler<T, S>,
{
    type Future = H::Future;

    fn call(self, mut request: Request, state: S) -> Self::Future {
        request.extensions_mut().insert(self.route);
        self.handler.call(request, state)
    }
}

/// A handler's arguments, as axum sees them: the last one is the request.
pub trait Arguments {
    /// The request.
    type Last;
}

macro_rules! arguments {
    ($($argument:ident)*) => {
        impl<M, $($argument,)* Last> Arguments for (M, $($argument,)* Last,) {
            type Last = Last;
        }
    };
}

arguments!();
arguments!(A);
arguments!(A B);
arguments!(A B C);
arguments!(A B C D);
arguments!(A B C D E);
arguments!(A B C D E F);
arguments!(A B C D E F G);
