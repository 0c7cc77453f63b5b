//! The institution from the server's own machine: tables, JSON, the audit chain.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

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
