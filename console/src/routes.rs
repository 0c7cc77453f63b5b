//! Every endpoint of `/_lyceum/v1`, a line each; `openapi.json` has the same in its own words.

use bytes::Bytes;
use http::Method;
use lyceum_web::{Family, PublicRaw, RawJson, RouteOptions, Routes};

use crate::{
    Api,
    asked::{NoQuery, Raw},
    audit, cases, enrolments, oversight, people, posts, restraints, units,
};

/// The document that describes this API.
const OPENAPI: &[u8] = include_bytes!("openapi.json");

/// All are counted against the address's limit.
const COUNTED: RouteOptions = RouteOptions::new().family(Family::Other);

/// The routes of the institution's door.
pub fn routes() -> Routes<Api> {
    let (get, put, post, delete) = (&Method::GET, &Method::PUT, &Method::POST, &Method::DELETE);
    Routes::new()
        .mount_at(get, &["/_lyceum/v1/openapi.json"], COUNTED, openapi)
        .mount_at(get, &["/_lyceum/v1/people"], COUNTED, people::list)
        .mount_at(get, &["/_lyceum/v1/people/{userId}"], COUNTED, people::get)
        .mount_at(put, &["/_lyceum/v1/people/{userId}"], COUNTED, people::put)
        .mount_at(delete, &["/_lyceum/v1/people/{userId}"], COUNTED, people::delete)
        .mount_at(get, &["/_lyceum/v1/units"], COUNTED, units::list)
        .mount_at(get, &["/_lyceum/v1/units/{code}"], COUNTED, units::get)
        .mount_at(put, &["/_lyceum/v1/units/{code}"], COUNTED, units::put)
        .mount_at(delete, &["/_lyceum/v1/units/{code}"], COUNTED, units::delete)
        .mount_at(get, &["/_lyceum/v1/enrolments"], COUNTED, enrolments::list)
        .mount_at(get, &["/_lyceum/v1/enrolments/{unit}/{userId}"], COUNTED, enrolments::get)
        .mount_at(put, &["/_lyceum/v1/enrolments/{unit}/{userId}"], COUNTED, enrolments::put)
        .mount_at(delete, &["/_lyceum/v1/enrolments/{unit}/{userId}"], COUNTED, enrolments::delete)
        .mount_at(get, &["/_lyceum/v1/cases"], COUNTED, cases::list)
        .mount_at(get, &["/_lyceum/v1/cases/{number}"], COUNTED, cases::get)
        .mount_at(get, &["/_lyceum/v1/cases/{number}/context"], COUNTED, cases::context)
        .mount_at(post, &["/_lyceum/v1/cases/{number}/assign"], COUNTED, cases::assign)
        .mount_at(post, &["/_lyceum/v1/cases/{number}/note"], COUNTED, cases::note)
        .mount_at(post, &["/_lyceum/v1/cases/{number}/measure"], COUNTED, cases::measure)
        .mount_at(post, &["/_lyceum/v1/cases/{number}/close"], COUNTED, cases::close)
        .mount_at(get, &["/_lyceum/v1/cases/{number}/original"], COUNTED, oversight::original)
        .mount_at(get, &["/_lyceum/v1/rooms/{roomId}/messages"], COUNTED, oversight::messages)
        .mount_at(get, &["/_lyceum/v1/search"], COUNTED, oversight::search)
        .mount_at(get, &["/_lyceum/v1/exams"], COUNTED, restraints::exams)
        .mount_at(put, &["/_lyceum/v1/exams/{unit}"], COUNTED, restraints::set_exam)
        .mount_at(delete, &["/_lyceum/v1/exams/{unit}"], COUNTED, restraints::end_exam)
        .mount_at(get, &["/_lyceum/v1/blocks"], COUNTED, restraints::blocks)
        .mount_at(put, &["/_lyceum/v1/blocks/{userId}"], COUNTED, restraints::block)
        .mount_at(delete, &["/_lyceum/v1/blocks/{userId}"], COUNTED, restraints::lift)
        .mount_at(get, &["/_lyceum/v1/posts"], COUNTED, posts::list)
        .mount_at(post, &["/_lyceum/v1/posts/{eventId}/approve"], COUNTED, posts::approve)
        .mount_at(post, &["/_lyceum/v1/posts/{eventId}/refuse"], COUNTED, posts::refuse)
        .mount_at(get, &["/_lyceum/v1/audit"], COUNTED, audit::list)
        .mount_at(get, &["/_lyceum/v1/audit/verify"], COUNTED, audit::verify)
}

/// `GET /_lyceum/v1/openapi.json`
async fn openapi(_: PublicRaw<(), NoQuery>) -> Raw {
    Ok(RawJson(Bytes::from_static(OPENAPI)))
}
