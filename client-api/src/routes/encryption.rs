//! The endpoints of end-to-end encryption: keys, backups, messages to devices, dehydrated devices.

use http::Method;
use lyceum_web::{Family, RouteOptions, Routes};
use ruma::api::client::{
    backup as stored,
    keys::{
        claim_keys as claim, get_key_changes as changes, get_keys as query, upload_keys as upload,
        upload_signing_keys as cross_signing,
    },
    to_device::send_event_to_device,
};

use crate::{
    Api, backup, dehydrated_device,
    keys::{claim_keys, get_key_changes, get_keys, upload_keys, upload_signatures, upload_signing_keys},
    to_device,
};

const PLAIN: RouteOptions = RouteOptions::new();
const KEYS: RouteOptions = RouteOptions::new().guests().family(Family::Keys);

pub(super) fn routes(routes: Routes<Api>) -> Routes<Api> {
    dehydrated(backup_keys(backup_versions(keys(routes))))
}

fn keys(routes: Routes<Api>) -> Routes<Api> {
    let signatures = ["/_matrix/client/v3/keys/signatures/upload", "/_matrix/client/unstable/keys/signatures/upload"];
    routes
        .mount_as::<upload::v3::Request, _, _>(KEYS, upload_keys::upload_keys)
        .mount_as::<query::v3::Request, _, _>(KEYS, get_keys::get_keys)
        .mount_as::<claim::v3::Request, _, _>(KEYS, claim_keys::claim_keys)
        .mount_as::<changes::v3::Request, _, _>(KEYS, get_key_changes::get_key_changes)
        .mount_as::<cross_signing::v3::Request, _, _>(PLAIN, upload_signing_keys::upload_signing_keys)
        .mount_at(&Method::POST, &signatures, PLAIN, upload_signatures::upload_signatures)
        .mount_as::<send_event_to_device::v3::Request, _, _>(KEYS, to_device::send_event_to_device)
}

fn backup_versions(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount_as::<stored::create_backup_version::v3::Request, _, _>(PLAIN, backup::create_backup_version)
        .mount_as::<stored::get_latest_backup_info::v3::Request, _, _>(PLAIN, backup::get_latest_backup_info)
        .mount_as::<stored::get_backup_info::v3::Request, _, _>(PLAIN, backup::get_backup_info)
        .mount_as::<stored::update_backup_version::v3::Request, _, _>(PLAIN, backup::update_backup_version)
        .mount_as::<stored::delete_backup_version::v3::Request, _, _>(PLAIN, backup::delete_backup_version)
}

fn backup_keys(routes: Routes<Api>) -> Routes<Api> {
    routes
        .mount_as::<stored::add_backup_keys::v3::Request, _, _>(PLAIN, backup::add_backup_keys)
        .mount_as::<stored::add_backup_keys_for_room::v3::Request, _, _>(PLAIN, backup::add_backup_keys_for_room)
        .mount_as::<stored::add_backup_keys_for_session::v3::Request, _, _>(PLAIN, backup::add_backup_keys_for_session)
        .mount_as::<stored::get_backup_keys::v3::Request, _, _>(PLAIN, backup::get_backup_keys)
        .mount_as::<stored::get_backup_keys_for_room::v3::Request, _, _>(PLAIN, backup::get_backup_keys_for_room)
        .mount_as::<stored::get_backup_keys_for_session::v3::Request, _, _>(PLAIN, backup::get_backup_keys_for_session)
        .mount_as::<stored::delete_backup_keys::v3::Request, _, _>(PLAIN, backup::delete_backup_keys)
        .mount_as::<stored::delete_backup_keys_for_room::v3::Request, _, _>(PLAIN, backup::delete_backup_keys_for_room)
        .mount_as::<stored::delete_backup_keys_for_session::v3::Request, _, _>(
            PLAIN,
            backup::delete_backup_keys_for_session,
        )
}

fn dehydrated(routes: Routes<Api>) -> Routes<Api> {
    let device = ["/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"];
    let events = ["/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events"];
    routes
        .mount_at(&Method::PUT, &device, PLAIN, dehydrated_device::put_dehydrated_device)
        .mount_at(&Method::GET, &device, PLAIN, dehydrated_device::get_dehydrated_device)
        .mount_at(&Method::DELETE, &device, PLAIN, dehydrated_device::delete_dehydrated_device)
        .mount_at(&Method::POST, &events, PLAIN, dehydrated_device::get_events)
}
