//! The configuration that `lyceum init` writes: what was answered, with a word on each, and the way to all the rest.

use super::Answers;

/// The configuration as text.
pub(super) fn fill(answers: &Answers) -> String {
    let Answers { server_name, data_dir, listen, tls, base_url, registration, federation } = answers;
    let tls = match tls {
        Some((certificate, key)) => format!("tls = {{ certificate = {}, key = {} }}", quoted(certificate), quoted(key)),
        None => "# No TLS here: a reverse proxy on this machine does it. Otherwise for example\n\
                 #tls = { certificate = \"cert.pem\", key = \"key.pem\" }"
            .to_owned(),
    };
    let base_url = match base_url {
        Some(url) => format!("client_base_url = {}", quoted(url)),
        None => "#client_base_url = \"https://matrix.campus.example\"".to_owned(),
    };
    format!(
        r#"# Lyceum's configuration, written by `lyceum init`. All settings are described in config.toml.example.
# Paths are relative to this file. `lyceum check-config` says what is wrong.

[server]
# The part after the colon in @ada:campus.example. It can never be changed once there are accounts.
name = {server_name}
# The store, media and keys.
data_dir = {data_dir}

[storage]
# "sled", in the data directory, or "postgres" with url = "postgres://…".
engine = "sled"

[[listeners]]
address = "{listen}"
# "client": apps and media. "federation": other servers. "admin": the administration's API and console.
apis = ["client", "federation", "admin"]
{tls}

[well_known]
# Where clients reach the server.
{base_url}

[registration]
# Who may make an account: "open", "token" (with a registration token) or "closed" (`lyceum user create` always works).
mode = "{registration}"

[sign_in]
# The shortest password that may be chosen, in characters.
password_length_min = 8

[federation]
# Whether to talk to other servers.
enabled = {federation}
"#,
        server_name = quoted(server_name),
        data_dir = quoted(data_dir),
    )
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_whatever_was_answered() {
        let answers = Answers {
            server_name: "campus.example".to_owned(),
            data_dir: r#"C:\strange "dir""#.to_owned(),
            listen: "[::1]:8448".parse().expect("an address"),
            tls: Some(("cert.pem".to_owned(), "key.pem".to_owned())),
            base_url: Some("https://matrix.campus.example".to_owned()),
            registration: "closed",
            federation: false,
        };
        let config = crate::config::parse("test", &fill(&answers), []).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.server.name, "campus.example");
        assert_eq!(config.server.data_dir.to_str(), Some(r#"C:\strange "dir""#));
        assert!(!config.federation.enabled);
        assert_eq!(config.sign_in.password_length_min, 8, "as the example configuration says of it");
    }
}
