//! A configuration's mistakes are told with their place, what was expected and what to change.

use lyceum::config::{self, Config};

/// A configuration that works, with these lines beside it.
fn with(lines: &str) -> Result<Config, String> {
    let text = format!("[server]\nname = \"campus.example\"\n{lines}");
    config::parse("lyceum.toml", &text, []).map_err(|problems| problems.to_string())
}

/// The one mistake of these lines must be told with all of these words.
#[track_caller]
fn tells(lines: &str, words: &[&str]) {
    let told = with(lines).expect_err("this is a mistake");
    assert!(told.starts_with("The configuration has a mistake:"), "one mistake, told as {told}");
    for word in words {
        assert!(told.contains(word), "{word:?} is not in {told}");
    }
}

#[test]
fn a_slip_in_a_key_names_the_nearest_one() {
    tells("data_dri = \"x\"", &["lyceum.toml:3", "server.data_dri", "did you mean `data_dir`?"]);
    tells("[federaton]\nenabled = true", &["lyceum.toml:3", "did you mean `federation`?"]);
    tells("[[listeners]]\naddress = \"127.0.0.1:1\"\nports = 3", &["listeners[0].ports", "address, apis, tls"]);
}

#[test]
fn a_wrong_type_says_what_is_expected() {
    tells("[rate_limits]\nenabled = \"yes\"", &["lyceum.toml:4", "true or false, without quotes", "\"yes\""]);
    tells("[storage]\ncache_mib = -1", &["storage.cache_mib", "whole number"]);
    tells("[storage]\ncache_mib = -1", &["found the number -1"]);
    tells("[appservices]\nfiles = \"bridge.yaml\"", &["appservices.files", "a list, for example"]);
    tells("[listeners]\naddress = \"127.0.0.1:8008\"", &["lyceum.toml:3", "found a table", "[[listeners]]"]);
    let cost = "[sign_in]\npassword_cost.passes = 5000000000";
    tells(cost, &["sign_in.password_cost.passes", "from 0 to 4294967295", "found the number 5000000000"]);
}

#[test]
fn a_key_that_is_written_twice_is_named() {
    tells("[log]\nlevel = \"info\"\nlevel = \"warn\"", &["lyceum.toml:5", "duplicate key `level`"]);
}

#[test]
fn what_may_be_secret_is_told_of_and_never_shown() {
    const SECRET: &str = "424242424242";
    for lines in [
        "[registration]\nshared_secret = 424242424242",
        "[registration]\nshared_secret = [424242424242]",
        "[storage]\nurl = 424242424242",
        "[calls]\nturn_password = 424242424242",
        "[media.s3]\nsecret_access_key = 424242424242.5",
        "[well_known]\nclient_base_url = \"424242424242\"",
    ] {
        let told = with(lines).expect_err("this is a mistake");
        assert!(told.contains("lyceum.toml:4") && !told.contains(SECRET), "{told}");
    }
    tells("[registration]\nshared_secret = 424242424242", &["registration.shared_secret", "text in quotes"]);
}

#[test]
fn a_wrong_value_says_what_would_be_right() {
    tells("[registration]\nmode = \"opne\"", &["\"open\"", "did you mean"]);
    tells("[[listeners]]\naddress = \"8008\"", &["listeners[0].address", "127.0.0.1:8008"]);
    tells("[web]\ntrusted_proxies = [\"10.0.0.0/99\"]", &["web.trusted_proxies[0]", "10.0.0.0/8"]);
    tells("[rooms]\ndefault_version = \"99\"", &["lyceum.toml:4", "\"12\" is the newest"]);
    tells("[storage]\nengine = \"postgres\"", &["storage.url", "postgres://"]);
    for level in ["loud", "", "3", "lyceum_rooms[x]=info", "info,=debug", "info,"] {
        tells(&format!("[log]\nlevel = {level:?}"), &["lyceum.toml:4", "is not a log level", "debug"]);
    }
    let port = "[storage]\nengine = \"postgres\"\nurl = \"postgres://lyceum@localhost:many/lyceum\"";
    tells(port, &["lyceum.toml:5", "not a PostgreSQL address", "`port`"]);
    tells("[storage]\ncache_mib = 0", &["lyceum.toml:4", "storage.cache_mib", "at least 1 MiB"]);
    tells("[web]\nbody_bytes_max = 0", &["lyceum.toml:4", "web.body_bytes_max", "65536"]);
    tells("[web]\nbody_timeout_secs = 0", &["lyceum.toml:4", "web.body_timeout_secs", "1 second"]);
    let cost = |written: &str| format!("[sign_in]\npassword_cost = {{ {written} }}");
    tells(&cost("memory_kib = 4"), &["sign_in.password_cost.memory_kib", "at least 8 KiB"]);
    tells(&cost("passes = 0"), &["sign_in.password_cost.passes", "at least 1 pass"]);
    let jwt = |algorithm: &str, key: &str| format!("[sign_in.jwt]\nalgorithm = {algorithm:?}\nkey = {key:?}");
    tells(&jwt("RS255", "x"), &["lyceum.toml:4", "sign_in.jwt.algorithm", "\"RS255\" is none of", "EdDSA"]);
    tells(&jwt("RS256", "x"), &["lyceum.toml:5", "sign_in.jwt.key", "-----BEGIN PUBLIC KEY-----"]);
    tells(&jwt("HS256", ""), &["lyceum.toml:5", "sign_in.jwt.key", "an empty secret"]);
    tells("[well_known]\nserver = \"https://x\"", &["well_known.server", "matrix.campus.example:443"]);
    tells("[well_known]\nclient_base_url = \"x\"", &["well_known.client_base_url", "https://matrix.campus.example"]);
    tells("[registration]\nshared_secret = \"\"", &["registration.shared_secret", "leave the line out"]);
    tells("[well_known]\npolicy_server_key = \"abc\"", &["well_known.policy_server_key", "32 bytes"]);
    tells("[media]\nstorage = \"tape\"", &["lyceum.toml:4", "media.storage", "\"disk\", \"s3\""]);
    tells("[media.s3]\nbucket = \"media\"", &["lyceum.toml:4", "media.s3.bucket", "storage = \"s3\""]);
    let s3 = |more: &str| {
        format!(
            "[media]\nstorage = \"s3\"\n[media.s3]\nbucket = \"media\"\naccess_key_id = \"key\"\nsecret_access_key = \"x\"\n{more}"
        )
    };
    assert!(with(&s3("")).is_ok(), "this is enough");
    tells(&s3("endpoint = \"http://10.0.0.1\""), &["lyceum.toml:9", "media.s3.endpoint", "allow_http"]);
    tells(&s3("endpoint = \"10.0.0.1\""), &["lyceum.toml:9", "media.s3.endpoint", "https://"]);
    tells(&s3("adressing = \"path\""), &["lyceum.toml:9", "did you mean `addressing`?"]);
    let terms = |text: &str| format!("[registration.terms]\nrules = {text}");
    let nothing = terms("{ version = \"1\", languages = {} }");
    tells(&nothing, &["registration.terms.rules.languages", "one language at least"]);
    let en = |version: &str, url: &str| {
        terms(&format!("{{ version = {version:?}, languages = {{ en = {{ name = \"Rules\", url = {url:?} }} }} }}"))
    };
    tells(&en("", "https://campus.example"), &["registration.terms.rules.version", "who agreed to which"]);
    let address = "registration.terms.rules.languages.en.url";
    tells(&en("1", "ftp://campus.example"), &[address, "begins with https://"]);
    tells(&en("1", "rules"), &[address]);
}

#[test]
fn two_listeners_cannot_share_an_address() {
    let twice = "[[listeners]]\naddress = \"127.0.0.1:8008\"\n[[listeners]]\naddress = \"127.0.0.1:8008\"";
    tells(twice, &["lyceum.toml:6", "listeners[1].address", "named twice"]);
    let within = "[[listeners]]\naddress = \"0.0.0.0:8008\"\n[[listeners]]\naddress = \"127.0.0.1:8008\"";
    tells(within, &["lyceum.toml:6", "listeners[1].address", "0.0.0.0:8008 (listeners[0].address)"]);
    let figures = "[[listeners]]\naddress = \"127.0.0.1:8008\"\n[metrics]\naddress = \"0.0.0.0:8008\"";
    tells(figures, &["lyceum.toml:6", "metrics.address", "127.0.0.1:8008 (listeners[0].address)"]);
    let beside = "[[listeners]]\naddress = \"127.0.0.1:8008\"\n[[listeners]]\naddress = \"127.0.0.2:8008\"";
    assert!(with(beside).is_ok(), "these are two addresses");
}

#[test]
fn a_file_without_a_name_or_without_toml_says_so() {
    let told = config::parse("lyceum.toml", "[server]\n", []).expect_err("a name is needed").to_string();
    assert!(told.contains("lyceum.toml:1: server: `name` is missing"), "{told}");
    let told = config::parse("lyceum.toml", "[server]\nname = \n", []).expect_err("this is no TOML").to_string();
    assert!(told.contains("lyceum.toml:2") && told.contains("not valid TOML"), "{told}");
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let told =
        with("colour = 1\n[rate_limits]\nenabled = 1\n[storage]\nengine = \"sleed\"").expect_err("three mistakes");
    let lines: Vec<&str> =
        told.lines().skip(1).map(|line| line.trim().split(": ").next().unwrap_or_default()).collect();
    assert_eq!(lines, ["lyceum.toml:3", "lyceum.toml:5", "lyceum.toml:7"], "{told}");
}

#[test]
fn the_environment_overrides_the_file_and_is_named_when_wrong() {
    let set = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
    let text = "[server]\nname = \"campus.example\"\n[[listeners]]\naddress = \"127.0.0.1:1\"";
    let config =
        config::parse("lyceum.toml", text, set("LYCEUM_LISTENERS__0__ADDRESS", "127.0.0.1:2")).expect("it is right");
    assert_eq!(config.listeners[0].address.port(), 2);
    let config =
        config::parse("lyceum.toml", text, set("LYCEUM_FEDERATION__DENIED_SERVERS", "a.b, c.d")).expect("it is right");
    assert_eq!(config.federation.denied_servers, ["a.b", "c.d"]);
    let config =
        config::parse("lyceum.toml", text, set("LYCEUM_REGISTRATION__SHARED_SECRET", "123")).expect("it is right");
    assert_eq!(config.registration.shared_secret.as_deref(), Some("123"));
    let told = config::parse("lyceum.toml", text, set("LYCEUM_FEDERATION__ENABLED", "maybe")).expect_err("it is wrong");
    assert!(told.to_string().contains("environment variable LYCEUM_FEDERATION__ENABLED"), "{told}");
}

#[test]
fn a_text_can_stand_in_a_file_of_its_own() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("secret");
    std::fs::write(&path, "from a file\n").expect("the file can be written");
    let config =
        with(&format!("[registration]\nshared_secret_file = {:?}", path.display().to_string())).expect("it is right");
    assert_eq!(config.registration.shared_secret.as_deref(), Some("from a file"));
    tells(
        "[registration]\nshared_secret_file = \"/no/such/file\"",
        &["shared_secret_file", "cannot read /no/such/file"],
    );
}

#[test]
fn the_address_of_the_database_can_stand_in_a_file_of_its_own() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("dburl");
    std::fs::write(&path, "postgres://lyceum:secret@localhost/lyceum\n").expect("the file can be written");
    let config = with(&format!("[storage]\nengine = \"postgres\"\nurl_file = {:?}", path.display().to_string()));
    let config = config.unwrap_or_else(|told| panic!("the file names the database: {told}"));
    assert_eq!(config.storage.url.as_deref(), Some("postgres://lyceum:secret@localhost/lyceum"));
}

#[test]
fn the_path_of_such_a_file_is_relative_to_the_file_that_names_it() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    std::fs::write(directory.path().join("secret"), "from beside it").expect("the file can be written");
    let file = directory.path().join("lyceum.toml");
    let text = "[server]\nname = \"campus.example\"\n[registration]\nshared_secret_file = \"secret\"";
    std::fs::write(&file, text).expect("the file can be written");
    let loaded = config::load(Some(&file)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.config.registration.shared_secret.as_deref(), Some("from beside it"));
}

#[test]
fn of_a_text_and_its_file_the_environment_counts_and_two_in_one_place_are_a_mistake() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("secret").display().to_string();
    std::fs::write(&path, "of the file").expect("the file can be written");
    let read = |lines: &str, name: &str, value: &str| {
        let text = format!("[server]\nname = \"campus.example\"\n[registration]\n{lines}");
        config::parse("lyceum.toml", &text, [(name.to_owned(), value.to_owned())])
            .unwrap_or_else(|problems| panic!("{problems}"))
            .registration
            .shared_secret
    };
    let by_file = format!("shared_secret_file = {path:?}");
    let secret = read(&by_file, "LYCEUM_REGISTRATION__SHARED_SECRET", "of the environment");
    assert_eq!(secret.as_deref(), Some("of the environment"));
    let secret = read("shared_secret = \"written\"", "LYCEUM_REGISTRATION__SHARED_SECRET_FILE", &path);
    assert_eq!(secret.as_deref(), Some("of the file"));
    let both = format!("[registration]\nshared_secret = \"written\"\n{by_file}");
    tells(&both, &["lyceum.toml:5", "registration.shared_secret_file", "`shared_secret` is written too"]);
}

#[test]
fn the_environment_makes_and_extends_lists() {
    let read = |lines: &str, set: &[(&str, &str)]| {
        let text = format!("[server]\nname = \"campus.example\"\n{lines}");
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        config::parse("lyceum.toml", &text, set).map_err(|problems| problems.to_string())
    };
    let ports = |config: Config| config.listeners.iter().map(|one| one.address.port()).collect::<Vec<_>>();
    let moved =
        read("", &[("LYCEUM_LISTENERS__0__ADDRESS", "127.0.0.1:8009")]).expect("the trial can listen elsewhere");
    assert_eq!(moved.listeners[0].apis.len(), 3, "it serves what it served there");
    assert_eq!(ports(moved), [8009]);
    let second = [("LYCEUM_LISTENERS__1__APIS", "admin"), ("LYCEUM_LISTENERS__1__ADDRESS", "127.0.0.1:2")];
    assert_eq!(ports(read("", &second).expect("one more")), [8008, 2]);
    let written = "[[listeners]]\naddress = \"127.0.0.1:1\"";
    assert_eq!(ports(read(written, &second).expect("one more")), [1, 2]);
    let told = read(written, &[("LYCEUM_LISTENERS__7__ADDRESS", "127.0.0.1:2")]).expect_err("this leaves a gap");
    assert!(told.contains("LYCEUM_LISTENERS__7__ADDRESS") && told.contains("from 0 to 1"), "{told}");
}

#[test]
fn a_slip_in_the_name_of_a_variable_is_told() {
    let set = |name: &str| [(name.to_owned(), "x".to_owned())];
    let text = "[server]\nname = \"campus.example\"";
    let told = config::parse("lyceum.toml", text, set("LYCEUM_SERVER_NAME")).expect_err("it changes nothing");
    let told = told.to_string();
    assert!(told.contains("LYCEUM_SERVER_NAME") && told.contains("did you mean LYCEUM_SERVER__NAME?"), "{told}");
    assert!(
        config::parse("lyceum.toml", text, set("LYCEUM_TEST_POSTGRES")).is_ok(),
        "tests have variables of their own"
    );
}

#[test]
fn what_provisioning_tools_write_is_read() {
    let text = r#"
        [server]
        name = "campus.example"
        data_dir = "./data"
        [storage]
        engine = "postgres"
        url = "postgres://lyceum@localhost/lyceum"
        [[listeners]]
        address = "127.0.0.1:8008"
        apis = ["client", "federation", "admin"]
        [[listeners]]
        address = "0.0.0.0:8448"
        apis = ["client", "federation", "admin"]
        tls = { certificate = "cert.pem", key = "key.pem" }
        [registration]
        mode = "open"
        shared_secret = "complement"
        [rate_limits]
        enabled = false
        [federation]
        enabled = true
        allow_private_networks = true
        trusted_ca_files = ["ca.crt"]
        [rooms]
        default_version = "12"
        [appservices]
        files = []
    "#;
    let config = config::parse("lyceum.toml", text, []).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.listeners.len(), 2);
}
