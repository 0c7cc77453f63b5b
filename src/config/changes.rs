//! What of a changed configuration counts only after a restart.

use std::fmt::Debug;

use super::Config;

impl Config {
    /// The sections in which `fresh` differs from these settings, as far as a running server does not take them up.
    pub(crate) fn changed_until_restart(&self, fresh: &Self) -> Vec<&'static str> {
        let pairs = self.fixed().into_iter().zip(fresh.fixed());
        pairs.filter(|((_, here), (_, there))| here != there).map(|((section, _), _)| section).collect()
    }

    /// Each section without what is taken up while running, as text to be compared and never shown: there are secrets in it.
    fn fixed(&self) -> Vec<(&'static str, String)> {
        // Named one by one, so that a new section cannot be forgotten.
        let Self {
            server,
            storage,
            listeners,
            well_known,
            calls,
            web,
            registration,
            sign_in,
            federation,
            media,
            rooms,
            user_directory,
            search,
            institution,
            notices,
            appservices,
            rate_limits: _,
            log,
            metrics,
        } = self;
        let listeners: Vec<_> =
            listeners.iter().map(|listener| (listener.address, &listener.apis, listener.tls.is_some())).collect();
        vec![
            ("server", text(server)),
            ("storage", text(storage)),
            ("listeners", text(&listeners)),
            ("well_known", text(well_known)),
            ("calls", text(calls)),
            ("web", text(web)),
            ("registration", text(registration)),
            ("sign_in", text(sign_in)),
            ("federation", text(federation)),
            ("media", text(media)),
            ("rooms", text(rooms)),
            ("user_directory", text(user_directory)),
            ("search", text(search)),
            ("institution", text(institution)),
            ("notices", text(notices)),
            ("appservices", text(appservices)),
            ("log", text(&log.format)),
            ("metrics", text(metrics)),
        ]
    }
}

fn text(section: &impl Debug) -> String {
    format!("{section:?}")
}

#[cfg(test)]
mod tests {
    use crate::config::{self, Config};

    fn with(lines: &str) -> Config {
        let text = format!("[server]\nname = \"campus.example\"\n{lines}");
        config::parse("lyceum.toml", &text, []).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn only_what_is_not_taken_up_waits_for_a_restart() {
        let before = with("");
        for taken_up in ["[log]\nlevel = \"debug\"", "[rate_limits]\nenabled = false", "[registration]\nguests = false"]
        {
            assert!(before.changed_until_restart(&with(taken_up)).is_empty(), "{taken_up}");
        }
        let waiting = with("[registration]\nshared_secret = \"x\"\n[log]\nformat = \"json\"");
        assert_eq!(before.changed_until_restart(&waiting), ["registration", "log"]);
        let tls = |name: &str| {
            with(&format!(
                "[[listeners]]\naddress = \"127.0.0.1:1\"\ntls = {{ certificate = {name:?}, key = {name:?} }}"
            ))
        };
        assert!(tls("old.pem").changed_until_restart(&tls("new.pem")).is_empty(), "certificates are taken up");
        assert_eq!(before.changed_until_restart(&tls("old.pem")), ["listeners"]);
    }
}
