//! How requests read: to those who support, and to those who ask.

use lyceum_institution::Calendar;

use super::Request;

/// The beginning of a request's thread. `who` is named where the desk is not anonymous.
pub(super) fn opened(request: &Request, who: Option<&str>, role: &str) -> String {
    let from = who.map_or_else(|| format!("somebody ({role})"), |who| format!("{who} ({role})"));
    let number = request.number;
    format!("Request {number} from {from}. Answer in this thread; !done {number} closes it.")
}

/// What whoever asks is told first.
pub(super) fn greeting(request: &Request, anonymous: bool) -> String {
    let who = if anonymous { "and not who you are" } else { "and who you are" };
    format!("Your request has the number {}. Those who support see what you write here, {who}.", request.number)
}

/// What whoever asked is told when a request is closed.
pub(super) fn closed(number: u64, text: Option<&str>) -> String {
    let text = text.map(|text| format!(": {text}")).unwrap_or_default();
    format!("Your request {number} is closed{text}. Write again whenever something is left.")
}

/// An open request in a line of a list.
pub(super) fn line(request: &Request, calendar: &Calendar) -> String {
    format!("{}: since {}", request.number, calendar.show(request.opened_ms))
}
