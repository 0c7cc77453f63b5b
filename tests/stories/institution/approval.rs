//! Posts that somebody looks at before others see them: they wait, and keep their ids.

use serde_json::{Value, json};

use super::{rooms, rules, school_with};
use crate::support::{Campus, Person, campus::Host, encoded};

const LINKS_WAIT: &str =
    "institution.approval = [{ roles = [\"student\"], kinds = [\"study_group\"], posts = \"links\" }]\n";

/// Ann and ben in a room where links wait; mia looks at them in the moderation room.
struct Watched {
    campus: Campus,
    ann: Person,
    ben: Person,
    mia: Person,
    room: String,
    desk: String,
}

impl Watched {
    async fn with(settings: &str) -> Self {
        let campus = school_with(settings).await;
        let host = campus.host("alpha.example");
        let (ann, ben) = (host.member("ann", "student", &["alg"]).await, host.member("ben", "student", &["alg"]).await);
        let mia = host.member("mia", "moderator", &[]).await;
        host.in_step().await;
        let desk = rooms::room(&mia, "moderation").await.expect("there is a room for cases");
        let room = ann.creates_room_with(json!({ "invite": [ben.id] })).await;
        ben.joins(&room).await;
        Self { campus, ann, ben, mia, room, desk }
    }

    fn host(&self) -> &Host {
        self.campus.host("alpha.example")
    }
}

/// Waits until the server's account has said these words in a room.
async fn told(who: &Person, room: &str, words: &str) -> String {
    let fits = |event: &Value| {
        event["sender"] == "@lyceum:alpha.example"
            && event["content"]["body"].as_str().is_some_and(|body| body.contains(words))
    };
    let event = who.waits_for(room, fits).await.unwrap_or_else(|| panic!("{} should be told {words:?}", who.id));
    event["content"]["body"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_post_waits_and_keeps_its_id_when_it_is_let_go() {
    let watched = Watched::with(LINKS_WAIT).await;
    let Watched { ann, ben, mia, room, desk, .. } = &watched;
    let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/link", encoded(room));
    let link = json!({ "msgtype": "m.text", "body": "look at https://games.example" });
    let held = ann.put(&path, link.clone()).await.ok()["event_id"].clone();
    assert_eq!(ann.put(&path, link).await.ok()["event_id"], held, "a repeated request makes no second post");
    ann.says(room, "no link").await;
    ben.sees(room, "no link").await;
    ben.does_not_see(room, "look at https://games.example").await;
    let id = held.as_str().unwrap_or_default();
    let event = format!("/_matrix/client/v3/rooms/{}/event/{}", encoded(room), encoded(id));
    ben.get(&event).await.refused(404, "M_NOT_FOUND");

    let news = told(mia, desk, "games.example").await;
    assert!(news.contains(&ann.id) && news.contains(&format!("!approve {}", &id[..9])), "{news}");
    mia.says(desk, "!held").await;
    mia.says(desk, &format!("!approve {}", &id[..9])).await;
    told(mia, desk, "is let go").await;
    for person in [ann, ben] {
        let seen = person.sees(room, "look at https://games.example").await;
        assert_eq!(seen["event_id"], held, "{} sees it under the id it had", person.id);
    }
    let own = ann.get(&event).await.ok();
    assert_eq!(own["unsigned"]["transaction_id"], "link", "the author's client knows it again: {own}");
    mia.says(desk, &format!("!approve {}", &id[..9])).await;
    told(mia, desk, "no post that begins with").await;
    ben.says(room, "thank you").await;
    ann.sees(room, "thank you").await;
    watched.host().is_sound().await;
    assert!(watched.host().server.institution().audit().verify().await.expect("readable").findings.is_empty());
}

#[tokio::test]
async fn a_refused_post_is_seen_by_nobody_and_its_author_is_told_why() {
    let watched = Watched::with(LINKS_WAIT).await;
    let Watched { ann, ben, mia, room, desk, .. } = &watched;
    let id = ann.says(room, "buy at www.shop.example").await;
    told(mia, desk, "shop.example").await;
    mia.says(desk, &format!("!refuse {} no advertising", &id[..9])).await;
    told(mia, desk, "is refused").await;
    let notices = super::cases::notices_of(ann).await;
    let why = told(ann, &notices, "is not shown to others").await;
    assert!(why.contains("no advertising") && why.contains("shop.example"), "{why}");
    ben.does_not_see(room, "buy at www.shop.example").await;
    mia.says(desk, "!held").await;
    told(mia, desk, "No post waits").await;
}

#[tokio::test]
async fn posts_wait_over_a_crash_and_their_authors_may_have_gone() {
    let mut watched = Watched::with(LINKS_WAIT).await;
    let kept = watched.ann.says(&watched.room, "one http://a.example").await;
    let lost = watched.ben.says(&watched.room, "two http://b.example").await;
    told(&watched.mia, &watched.desk, "b.example").await;
    watched.ben.leaves(&watched.room).await;
    watched.campus.crashes("alpha.example").await;
    let host = watched.host();
    let (ann, mia) = (watched.ann.at(host), watched.mia.at(host));
    mia.says(&watched.desk, &format!("!approve {}", &lost[..9])).await;
    told(&mia, &watched.desk, "they may have left the room").await;
    mia.says(&watched.desk, &format!("!approve {}", &kept[..9])).await;
    assert_eq!(ann.sees(&watched.room, "one http://a.example").await["event_id"], kept.as_str());
    ann.does_not_see(&watched.room, "two http://b.example").await;
}

#[tokio::test]
async fn first_posts_wait_until_one_was_approved_and_only_so_many_wait() {
    let settings = "institution.approval = [{ roles = [\"student\"], posts = \"first\" }]\n";
    let watched = Watched::with(settings).await;
    let Watched { ann, ben, mia, room, desk, .. } = &watched;
    let first = ann.says(room, "my first").await;
    mia.says(desk, "moderators are not held up").await;
    told(mia, desk, "my first").await;
    mia.says(desk, &format!("!approve {}", &first[..9])).await;
    ben.sees(room, "my first").await;
    ann.says(room, "my second").await;
    ben.sees(room, "my second").await;
    for number in 0..50 {
        ben.says(room, &format!("{number}")).await;
    }
    let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/more", encoded(room));
    let told = rules::refused_by("approval", ben.put(&path, json!({ "msgtype": "m.text", "body": "more" })).await);
    assert!(told.starts_with("Too many of your messages wait"), "{told}");
    ben.sends(
        room,
        "m.reaction",
        json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": first, "key": "👍" } }),
    )
    .await;
}

#[tokio::test]
async fn who_teaches_a_course_looks_at_the_posts_of_its_room_and_of_no_other() {
    let rule = "institution.approval = [{ roles = [\"student\"], kinds = [\"course\"], posts = \"all\" }]\n";
    let campus = school_with(rule).await;
    let host = campus.host("alpha.example");
    let (ann, ben) = (host.member("ann", "student", &["alg"]).await, host.member("ben", "student", &["geo"]).await);
    let (tess, theo) = (host.member("tess", "teacher", &["alg"]).await, host.member("theo", "teacher", &["geo"]).await);
    host.in_step().await;
    let (alg, geo) = (rooms::room(&ann, "alg").await.expect("a room"), rooms::room(&ben, "geo").await.expect("a room"));
    let desk = rooms::room(&tess, "alg-approvals").await.expect("who teaches has a room for posts that wait");
    let (good, other) = (ann.says(&alg, "is this right?").await, ben.says(&geo, "what about this?").await);
    let bad = ann.says(&alg, "this is boring").await;

    let news = told(&tess, &desk, "is this right?").await;
    assert!(news.contains(&format!("!approve {}", &good[..9])), "{news}");
    told(&tess, &desk, "this is boring").await;
    tess.says(&desk, "!held").await;
    let listed = told(&tess, &desk, "waits in").await;
    assert!(!listed.contains("what about this?"), "{listed}");
    tess.says(&desk, &format!("!approve {} yes", &good[..9])).await;
    assert_eq!(ann.sees(&alg, "is this right?").await["event_id"], good.as_str(), "it keeps its id");
    tess.says(&desk, &format!("!refuse {} be kind", &bad[..9])).await;
    let notices = super::cases::notices_of(&ann).await;
    told(&ann, &notices, "waits until somebody has looked at it").await;
    let why = told(&ann, &notices, "is not shown to others").await;
    assert!(why.contains("be kind"), "{why}");
    tess.says(&desk, &format!("!approve {}", &other[..9])).await;
    told(&tess, &desk, "those who teach the course, decide").await;
    tess.says(&desk, "!cases").await;
    told(&tess, &desk, "the posts of your course that wait").await;
    ben.does_not_see(&geo, "what about this?").await;
    let desk = rooms::room(&theo, "geo-approvals").await.expect("a room");
    theo.says(&desk, &format!("!approve {}", &other[..9])).await;
    ben.sees(&geo, "what about this?").await;
    let path = format!("/_matrix/client/v3/join/{}", encoded(&desk));
    rules::refused_by("entry", ann.post(&path, json!({})).await);
    assert!(host.server.institution().audit().verify().await.expect("readable").findings.is_empty());
}

#[tokio::test]
async fn files_and_words_wait_where_a_rule_says_so_and_nothing_else_does() {
    let rules = "institution.approval = [{ roles = [\"student\"], posts = \"files\" }, \
                 { roles = [\"student\"], posts = \"words\", words = [\"fool\"] }]\n";
    let watched = Watched::with(rules).await;
    let Watched { ann, ben, mia, room, desk, .. } = &watched;
    let file = json!({ "msgtype": "m.file", "body": "answers.pdf", "url": "mxc://alpha.example/abc" });
    let file = ann.sends(room, "m.room.message", file).await;
    told(mia, desk, "answers.pdf").await;
    let html = json!({ "msgtype": "m.text", "body": "look", "format": "org.matrix.custom.html", "formatted_body": "a <b>FOOL</b>" });
    ann.sends(room, "m.room.message", html).await;
    told(mia, desk, ": look").await;
    ann.says(room, "foolproof").await;
    ben.sees(room, "foolproof").await;
    for hidden in ["answers.pdf", "look"] {
        ben.does_not_see(room, hidden).await;
    }
    mia.says(desk, &format!("!approve {}", &file[..9])).await;
    assert_eq!(ben.sees(room, "answers.pdf").await["event_id"], file.as_str());
}
