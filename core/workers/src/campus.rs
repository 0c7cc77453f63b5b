//! The institution's rooms: each unit has a space, each course and class a room, and everybody the default rooms. Who is in
//! them, and with what power, follows from roles and enrolments; what was changed by hand heals.

mod keep;
mod plan;
mod wake;

pub(crate) use plan::{MODERATION_ROOM, SUPPORT_ROOM, approvals_key};

pub use keep::{CampusRooms, CampusRoomsParts, KeepError, Settled};
