//! Servers that speak with each other: what one asks and tells, the other answers and believes, or not.

mod answering;
mod ends;
mod hostile;
mod impostors;
mod joining;
mod named_errors;
mod partial;
mod people;
mod policy;
mod receiving;
mod simulation;
mod telling;
mod third_party;
mod waiting;
