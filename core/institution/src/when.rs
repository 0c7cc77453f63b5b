//! Dates as people write them, in the campus's own time.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

/// The campus's calendar: turns dates into moments and back.
#[derive(Debug, Clone)]
pub struct Calendar(TimeZone);

impl Default for Calendar {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Calendar {
    /// The calendar of a time zone by its name, such as `Europe/Paris`.
    pub fn named(zone: &str) -> Option<Self> {
        TimeZone::get(zone).ok().map(Self)
    }

    /// The moment that a date (`2026-09-01`), a local time (`2026-09-01T08:00`) or a full timestamp means; a date means its
    /// first moment.
    pub fn start(&self, text: &str) -> Option<u64> {
        match text.parse::<Date>() {
            Ok(date) if is_date(text) => self.at(date.to_datetime(Time::midnight())),
            _ => self.moment(text),
        }
    }

    /// The same for the end of something: a date means the first moment after it, so that the whole day counts.
    pub fn end(&self, text: &str) -> Option<u64> {
        match text.parse::<Date>() {
            Ok(date) if is_date(text) => self.at(date.tomorrow().ok()?.to_datetime(Time::midnight())),
            _ => self.moment(text),
        }
    }

    fn moment(&self, text: &str) -> Option<u64> {
        match text.parse::<Timestamp>() {
            Ok(moment) => u64::try_from(moment.as_millisecond()).ok(),
            Err(_) => self.at(text.parse::<DateTime>().ok()?),
        }
    }

    fn at(&self, local: DateTime) -> Option<u64> {
        u64::try_from(local.to_zoned(self.0.clone()).ok()?.timestamp().as_millisecond()).ok()
    }

    /// A moment as people of the campus write it: `2026-09-01 08:00`.
    pub fn show(&self, ms: u64) -> String {
        match self.local(ms) {
            Some(local) => local.strftime("%Y-%m-%d %H:%M").to_string(),
            None => format!("{ms} ms"),
        }
    }

    /// The weekday (0 is Monday) and the minute of the day at a moment.
    pub fn minute_of_week(&self, ms: u64) -> Option<(u8, u16)> {
        let local = self.local(ms)?;
        let day = u8::try_from(local.weekday().to_monday_zero_offset()).ok()?;
        let minute = u16::try_from(local.hour()).ok()? * 60 + u16::try_from(local.minute()).ok()?;
        Some((day, minute))
    }

    fn local(&self, ms: u64) -> Option<DateTime> {
        let moment = Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
        Some(moment.to_zoned(self.0.clone()).datetime())
    }
}

/// A date alone: jiff would also read the date of a longer text.
fn is_date(text: &str) -> bool {
    text.len() == "2026-09-01".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_whole_day_of_the_campus() {
        let paris = Calendar::named("Europe/Paris").unwrap();
        let (start, end) = (paris.start("2026-03-29").unwrap(), paris.end("2026-03-29").unwrap());
        assert_eq!(end - start, 23 * 3_600_000, "the day on which summer begins has 23 hours");
        assert_eq!(paris.show(start), "2026-03-29 00:00");
        assert_eq!(paris.start("2026-03-28T23:00:00Z"), Some(start));
        assert_eq!(paris.start("2026-03-29T00:00"), Some(start));
        assert_eq!(Calendar::default().show(start), "2026-03-28 23:00");
        for wrong in ["", "soon", "2026-13-01", "2026-09-01x", "1.9.2026"] {
            assert_eq!(paris.start(wrong), None, "{wrong}");
        }
        assert!(Calendar::named("Atlantis/Harbour").is_none());
    }

    #[test]
    fn minutes_are_those_of_the_campus() {
        // Monday, 2 November 2026, 08:00 UTC.
        let monday = 1_793_606_400_000;
        assert_eq!(Calendar::default().minute_of_week(monday), Some((0, 480)));
        assert_eq!(Calendar::named("Asia/Tokyo").unwrap().minute_of_week(monday), Some((0, 1020)));
    }
}
