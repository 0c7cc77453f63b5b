//! The institution from the server's own machine: tables, JSON, the audit chain.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

use crate::{process::Program, support::encoded};

/// How often it is looked whether the server has taken something up.
const LOOKS_MAX: usize = 100;

/// Runs the program; what it printed.
#[track_caller]
fn lyceum(directory: &Path, line: &str) -> String {
    let output = run(directory, line);
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "`lyceum {line}` should succeed: {said}{wrong}");
    said.into_owned()
}

#[track_caller]
fn fails(directory: &Path, line: &str) -> String {
    let output = run(directory, line);
    assert!(!output.status.success(), "`lyceum {line}` should fail");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn run(directory: &Path, line: &str) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lyceum"));
    command.args(line.split(' ')).current_dir(directory).env_remove("LYCEUM_CONFIG");
    command.output().expect("the program can be run")
}

#[test]
fn people_units_and_enrolments_are_entered_and_listed() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let settings = "[server]\nname = \"campus.example\"\n[institution]\nenabled = true\ntime_zone = \"Europe/Paris\"\n";
    std::fs::write(directory.path().join("config.toml"), settings).expect("the configuration can be written");
    std::fs::create_dir(directory.path().join("data")).expect("the data directory can be made");
    let at = directory.path();
    lyceum(at, "unit set college --kind institution --name College");
    lyceum(at, "unit set MATH --kind department --in college");
    assert!(lyceum(at, "unit set MATH-1 --kind course --in MATH --why timetable").contains("MATH-1 is a course"));
    assert!(fails(at, "unit set X --kind course --in MATH-1").contains("a course cannot lie in it"));
    assert!(fails(at, "unit set X --kind faculty").contains("there are institution, department"));
    let said = lyceum(at, "person set ada --role teacher");
    assert!(said.contains("@ada:campus.example is teacher now") && said.contains("no such account yet"), "{said}");
    assert!(fails(at, "person set ada --role wizard").contains("there is no role \"wizard\"; there are student"));
    let said = lyceum(at, "enrol add ada MATH-1 --from 2026-09-01 --until 2026-12-20");
    assert!(said.contains("as teacher, from 2026-09-01 00:00, until 2026-12-21 00:00"), "{said}");
    assert!(fails(at, "enrol add ada MATH-2").contains("there is no unit MATH-2"));
    assert!(fails(at, "enrol add ada MATH-1 --until soon").contains("\"soon\" is no date"));
    assert!(fails(at, "unit remove MATH").contains("MATH-1 lies in MATH"));

    let table = lyceum(at, "unit list");
    let units: Vec<_> = table.lines().map(|line| line.split("  ").next().unwrap_or_default()).collect();
    assert_eq!(units[..2], ["UNIT", "college"], "{table}");
    assert!(table.contains("\n    MATH-1  course"), "{table}");
    let json: Value = serde_json::from_str(lyceum(at, "enrol list --unit MATH-1 --json").trim()).expect("a JSON line");
    assert_eq!((&json["user_id"], &json["role"]), (&"@ada:campus.example".into(), &"teacher".into()));
    assert!(lyceum(at, "person show ada").contains("@ada:campus.example: teacher (by hand)"));
    assert!(lyceum(at, "exam set MATH-1 --until 2099-01-01").contains("MATH-1 sits an exam from"));
    assert!(lyceum(at, "exam list").contains("MATH-1"));
    lyceum(at, "block set ada --why shouting");
    assert!(lyceum(at, "block list").contains("everywhere"));
    lyceum(at, "block lift ada");
    assert!(fails(at, "block lift ada").contains("is not blocked"));
    lyceum(at, "enrol end ada MATH-1");
    lyceum(at, "enrol remove ada MATH-1");
    assert!(fails(at, "enrol end ada MATH-1").contains("is not enrolled"));

    let said =
        lyceum(at, "token make portal --scope people:write --scope people:read --source portal --until 2099-01-01");
    assert!(said.lines().last().unwrap_or_default().starts_with("lyceum_"), "{said}");
    assert!(
        fails(at, "token make other --scope everything")
            .contains("there is no scope \"everything\"; there are people:read")
    );
    assert!(lyceum(at, "token list").contains("portal  people:write people:read  portal"));
    lyceum(at, "token revoke portal");
    assert!(fails(at, "token revoke portal").contains("there is no token portal"));

    let said = lyceum(at, "audit verify");
    assert!(said.contains("12 rows, all as they were written"), "{said}");
    let exported = lyceum(at, "audit export");
    let rows: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert_eq!(rows.len(), 12);
    assert_eq!(
        (&rows[2]["act"], &rows[2]["why"], &rows[2]["who"]),
        (&"unit.change".into(), &"timetable".into(), &"operator".into())
    );
    assert_eq!(rows[6]["over"], "@ada:campus.example");
}

/// A server with campus rules, ann and ben in a room that ben made, in which links wait.
struct Running {
    program: Program,
    ann: String,
    ben: String,
    room: String,
}

impl Running {
    fn begin() -> Self {
        let settings = "[registration]\nmode = \"open\"\n[institution]\nenabled = true\ntime_zone = \"Europe/Paris\"\n\
                        approval = [{ roles = [\"student\"], posts = \"links\" }]\n";
        let program = Program::start_with(settings);
        let at = program.directory.path();
        lyceum(at, "unit set ALG --kind course");
        let register = |name: &str| {
            let body = json!({ "auth": { "type": "m.login.dummy" }, "username": name, "password": "correct horse 7" });
            let answer = program.ask("POST /_matrix/client/v3/register", "", &body);
            lyceum(at, &format!("person set {name} --role student"));
            lyceum(at, &format!("enrol add {name} ALG"));
            answer["access_token"].as_str().expect("a token").to_owned()
        };
        let (ann, ben) = (register("ann"), register("ben"));
        let made = json!({ "invite": ["@ann:campus.example"] });
        let made = program.ask("POST /_matrix/client/v3/createRoom", &ben, &made);
        let room = made["room_id"].as_str().expect("a room").to_owned();
        program.ask(&format!("POST /_matrix/client/v3/join/{}", encoded(&room)), &ann, &json!({}));
        Self { program, ann, ben, room }
    }

    fn at(&self) -> &Path {
        self.program.directory.path()
    }

    /// Ben says something; the event's id.
    fn says(&self, text: &str) -> String {
        let id = text.len();
        let what = format!("PUT /_matrix/client/v3/rooms/{}/send/m.room.message/{id}", encoded(&self.room));
        let sent = self.program.ask(&what, &self.ben, &json!({ "msgtype": "m.text", "body": text }));
        sent["event_id"].as_str().expect("an event").to_owned()
    }

    fn reports(&self, event: &str) {
        let what = format!("POST /_matrix/client/v3/rooms/{}/report/{}", encoded(&self.room), encoded(event));
        self.program.ask(&what, &self.ann, &json!({ "reason": "an insult" }));
    }

    /// Runs a command until it tells these words.
    fn tells(&self, line: &str, words: &str) -> String {
        let said = (0..LOOKS_MAX).map(|_| lyceum(self.at(), line)).find(|said| said.contains(words));
        said.unwrap_or_else(|| panic!("`lyceum {line}` should tell {words:?}"))
    }
}

#[test]
fn cases_are_handled_from_the_machine() {
    let running = Running::begin();
    let (at, insult) = (running.at(), running.says("you fool"));
    running.reports(&insult);
    let table = running.tells("case list", &insult);
    assert!(
        table.starts_with("CASE  ABOUT") && table.contains("@ben:campus.example") && table.contains("open"),
        "{table}"
    );
    let json: Value = serde_json::from_str(lyceum(at, "case list --json").trim()).expect("a JSON line");
    assert_eq!((&json["number"], &json["event_id"]), (&json!(1), &json!(insult)));
    assert!(lyceum(at, "case show 1").contains("reported by @ann:campus.example: an insult"));
    let shown: Value = serde_json::from_str(lyceum(at, "case show 1 --json").trim()).expect("JSON");
    assert_eq!(shown["reports"][0]["reason"], "an insult");
    let context = lyceum(at, "case context 1");
    assert!(context.starts_with("WHEN") && context.contains("you fool"), "{context}");
    assert!(lyceum(at, "case context 1 --json").lines().any(|line| line.contains("you fool")));
    assert!(lyceum(at, "case note 1 seen").contains("Case 1: noted."));
    assert!(fails(at, "case assign 1 ann").contains("rule: moderation"));
    assert!(fails(at, "case show 9").contains("there is no case 9"));
    assert!(lyceum(at, "case delete 1 --why insult").contains("the message is deleted"));
    assert!(lyceum(at, "case original 1 --why parents").contains("you fool"));
    assert!(lyceum(at, "case warn 1 stop").contains("its author is warned"));
    assert!(lyceum(at, "case block 1 --until 2099-01-01").contains("blocked in that room"));
    assert!(fails(at, "case block 1 --until soon").contains("\"soon\" is no date"));
    assert!(lyceum(at, "block list").contains("2099-01-02"));
    for (line, told) in [
        ("unblock 1", "blocked no longer"),
        ("hold 1 --everywhere", "posts wait everywhere"),
        ("unhold 1 --everywhere", "posts wait no longer"),
        ("suspend 1", "account is suspended"),
        ("unsuspend 1", "suspended no longer"),
        ("lock 1", "account is locked"),
        ("unlock 1", "locked no longer"),
        ("remove 1", "out of the room"),
    ] {
        assert!(lyceum(at, &format!("case {line}")).contains(told), "{line}");
    }
    assert!(lyceum(at, "case close 1 --why talked").contains("closed; those who reported it are told"));
    assert!(fails(at, "case delete 1").contains("case 1 is closed"));
    assert!(!lyceum(at, "case list").contains(&insult) && lyceum(at, "case list --all").contains("closed"));
    let read = lyceum(at, &format!("case read {} --why complaint", running.room));
    assert!(read.contains("@ben:campus.example") && !read.contains("you fool"), "{read}");
    assert!(lyceum(at, "audit verify").contains("all as they were written"));
}

#[test]
fn rooms_are_searched_and_posts_decided_from_the_machine() {
    let running = Running::begin();
    let at = running.at();
    running.says("the gymnasium is closed");
    let found = running.tells("case search gymnasium", "the gymnasium is closed");
    assert!(found.starts_with("WHEN") && found.contains(&running.room), "{found}");
    let found: Value = serde_json::from_str(lyceum(at, "case search gymnasium --json").trim()).expect("a JSON line");
    assert_eq!((&found["room_id"], &found["event"]["sender"]), (&json!(running.room), &json!("@ben:campus.example")));
    assert!(lyceum(at, &format!("case search gymnasium --room {}", running.room)).contains("is closed"));
    assert!(fails(at, "case search gymnasium --room #nowhere:campus.example").contains("there is no room"));

    let (good, bad) = (running.says("see http://a.example"), running.says("or see http://bb.example"));
    let table = running.tells("post list", &good);
    assert!(table.starts_with("POST") && table.contains("http://a.example") && table.contains(&bad), "{table}");
    let waiting = lyceum(at, "post list --json");
    let waiting: Vec<Value> = waiting.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert_eq!((waiting.len(), &waiting[0]["sender"]), (2, &json!("@ben:campus.example")));
    assert!(lyceum(at, &format!("post approve {}", &good[..12])).contains("is let go"));
    assert!(lyceum(at, &format!("post refuse {bad} --why advertising")).contains("its author is told"));
    assert!(fails(at, &format!("post approve {bad}")).contains("no post that begins with"));
    let event = format!("GET /_matrix/client/v3/rooms/{}/event/{}", encoded(&running.room), encoded(&good));
    assert_eq!(running.program.ask(&event, &running.ann, &json!({}))["content"]["body"], "see http://a.example");
    assert_eq!(lyceum(at, "post list").lines().count(), 1, "nothing waits any more");
}
