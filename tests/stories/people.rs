//! People: making accounts, signing in and out, what is theirs.

mod account;
mod account_data;
mod devices;
mod directory;
mod encryption;
mod pages;
mod profile;
mod push_rules;
mod registration;
mod restrictions;
mod sessions;
