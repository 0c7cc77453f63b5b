//! Hours of the week, as people write them: `mon-fri 08:00-18:00`, `22:00-06:00`, `sat,sun`.

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 24 * 60;

/// Hours on some days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hours {
    days: [bool; 7],
    from: u16,
    /// Less than `from` when it is on the next day.
    until: u16,
}

impl Hours {
    /// Reads them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut hours = Self { days: [true; 7], from: 0, until: DAY_MINUTES };
        let (mut days, mut times) = (false, false);
        for word in text.split_ascii_whitespace() {
            match time_range(word) {
                Some((from, until)) if !times => (hours.from, hours.until, times) = (from, until, true),
                None if !days && !times => (hours.days, days) = (day_list(word)?, true),
                _ => return None,
            }
        }
        (days || times).then_some(hours)
    }

    /// Whether a minute of a day of the week (0 is Monday) lies in them.
    pub(crate) fn contain(&self, (day, minute): (u8, u16)) -> bool {
        let (today, before) = (usize::from(day) % 7, (usize::from(day) + 6) % 7);
        if self.from < self.until {
            return self.days[today] && (self.from..self.until).contains(&minute);
        }
        (self.days[today] && minute >= self.from) || (self.days[before] && minute < self.until)
    }
}

fn time_range(word: &str) -> Option<(u16, u16)> {
    let (from, until) = word.split_once('-')?;
    Some((time(from)?, time(until)?))
}

fn time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60 && (hour < 24 || (hour, minute) == (24, 0))).then_some(hour * 60 + minute)
}

fn day_list(word: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    for part in word.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let count = (last + 7 - first) % 7;
        for at in first..=first + count {
            days[at % 7] = true;
        }
    }
    Some(days)
}

fn day(text: &str) -> Option<usize> {
    DAYS.iter().position(|day| text.eq_ignore_ascii_case(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_as_people_write_them() {
        let school = Hours::parse("mon-fri 08:00-18:00").unwrap();
        assert!(school.contain((0, 480)) && school.contain((4, 1079)));
        assert!(!school.contain((0, 479)) && !school.contain((0, 1080)) && !school.contain((5, 600)));
        let night = Hours::parse("22:00-06:00").unwrap();
        assert!(night.contain((2, 1320)) && night.contain((2, 359)) && !night.contain((2, 360)));
        let friday_night = Hours::parse("fri 22:00-06:00").unwrap();
        assert!(friday_night.contain((5, 100)), "the small hours of Saturday belong to Friday's night");
        assert!(!friday_night.contain((4, 100)));
        let weekend = Hours::parse("sat,sun").unwrap();
        assert!(weekend.contain((6, 1439)) && !weekend.contain((0, 0)));
        assert!(Hours::parse("sat-mon 00:00-24:00").unwrap().contain((0, 5)));
        for wrong in ["", "8-18", "mon-fri 25:00-26:00", "mon fri", "08:00-18:00 mon", "someday 08:00-09:00"] {
            assert_eq!(Hours::parse(wrong), None, "{wrong:?}");
        }
    }
}
