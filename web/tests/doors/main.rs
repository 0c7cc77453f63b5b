//! The doors seen from outside: who gets in, what is refused and how, through real routers.

mod callers;
mod limits;
mod requests;
mod telling;
mod world;
