//! Thumbnails of photographs while people talk: making pictures must hold up nobody's messages.

use std::time::{Duration, Instant};

use hyper::Method;

use super::{Stopwatch, room_of};
use crate::Failure;
use crate::figures::{Latencies, Report};
use crate::people::Person;
use crate::server::Server;

const PHOTOGRAPHS: usize = 50;
/// Twelve million pixels.
const WIDTH: u16 = 4_000;
const HEIGHT: u16 = 3_000;
const QUALITY: u8 = 85;
/// Photographs asked for at once.
const LOOKERS: usize = 4;
const TALKERS: usize = 4;
/// The pause of somebody who talks between two messages.
const PAUSE: Duration = Duration::from_millis(20);

pub async fn while_talking(server: &Server, report: &mut Report) -> Result<(), Failure> {
    let (room, mut people) = room_of(server, LOOKERS + TALKERS).await?;
    let mut addresses = Vec::with_capacity(PHOTOGRAPHS);
    for number in 0..PHOTOGRAPHS {
        let photograph = tokio::task::spawn_blocking(move || photograph(number)).await??;
        addresses.push(upload(&mut people[0], photograph).await?);
    }
    let quiet = talk(&people[LOOKERS..], &room, "quiet", Instant::now() + Duration::from_secs(3)).await?;
    report_talk(report, "sends before thumbnails are made", quiet);

    let watch = Stopwatch::start(server);
    let lookers: Vec<_> = (0..LOOKERS)
        .map(|share| {
            let mine: Vec<_> = addresses.iter().skip(share).step_by(LOOKERS).cloned().collect();
            let person = people[share].again();
            tokio::spawn(look_at(person, mine))
        })
        .collect();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let talkers: Vec<_> = people[LOOKERS..]
        .iter()
        .enumerate()
        .map(|(number, person)| tokio::spawn(talk_until(person.again(), room.clone(), number, stopped.clone())))
        .collect();
    let mut each = Latencies::default();
    for looker in lookers {
        each.extend(looker.await??);
    }
    let took = watch.elapsed();
    stop.send(true)?;
    let mut sends = Latencies::default();
    for talker in talkers {
        sends.extend(talker.await??);
    }
    report.line(
        format!("thumbnails: {PHOTOGRAPHS} photographs of 12 megapixels"),
        vec![
            ("s in all", took.as_secs_f64()),
            ("ms p50", each.percentile_ms(0.5)),
            ("ms p99", each.percentile_ms(0.99)),
        ],
    );
    report_talk(report, "sends while thumbnails are made", sends);
    Ok(())
}

fn report_talk(report: &mut Report, what: &str, mut sends: Latencies) {
    report.line(what, vec![("ms p50", sends.percentile_ms(0.5)), ("ms p99", sends.percentile_ms(0.99))]);
}

/// A picture with as much in it as a photograph has: soft shapes and some noise, another one for each number.
fn photograph(number: usize) -> Result<Vec<u8>, Failure> {
    let mut pixels = Vec::with_capacity(usize::from(WIDTH) * usize::from(HEIGHT) * 3);
    let mut noise = number as u32 + 1;
    for y in 0..u32::from(HEIGHT) {
        for x in 0..u32::from(WIDTH) {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let grain = noise & 0x0f;
            let shape = |scale: u32| (((x / scale) ^ (y / scale)) & 0xff) / 2 + (x + y) / 64;
            pixels.extend([shape(7), shape(13), shape(29)].map(|value| (value + grain).min(255) as u8));
        }
    }
    let mut file = Vec::new();
    jpeg_encoder::Encoder::new(&mut file, QUALITY).encode(&pixels, WIDTH, HEIGHT, jpeg_encoder::ColorType::Rgb)?;
    Ok(file)
}

/// Uploads a picture; the path of its thumbnail.
async fn upload(person: &mut Person, picture: Vec<u8>) -> Result<String, Failure> {
    let path = "/_matrix/media/v3/upload?filename=photograph.jpeg";
    let answer = person.send_bytes(Method::POST, path, "image/jpeg", picture.into()).await?;
    let address = answer["content_uri"].as_str().and_then(|uri| uri.strip_prefix("mxc://"));
    let address = address.ok_or("the upload gave no content_uri")?;
    Ok(format!("/_matrix/client/v1/media/thumbnail/{address}?width=800&height=600&method=scale"))
}

async fn look_at(mut person: Person, thumbnails: Vec<String>) -> Result<Latencies, Failure> {
    let mut latencies = Latencies::default();
    for path in thumbnails {
        let begun = Instant::now();
        person.bytes(&path).await?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

async fn talk(people: &[Person], room: &str, tag: &str, until: Instant) -> Result<Latencies, Failure> {
    let mut all = Latencies::default();
    let mut person = people[0].again();
    for number in 0.. {
        if Instant::now() >= until {
            break;
        }
        all.push(say(&mut person, room, &format!("{tag}{number}")).await?);
    }
    Ok(all)
}

async fn talk_until(
    mut person: Person,
    room: String,
    number: usize,
    stopped: tokio::sync::watch::Receiver<bool>,
) -> Result<Latencies, Failure> {
    let mut all = Latencies::default();
    let mut said = 0;
    while !*stopped.borrow() {
        said += 1;
        all.push(say(&mut person, &room, &format!("busy{number}.{said}")).await?);
    }
    Ok(all)
}

/// How long one message takes. People pause between two.
async fn say(person: &mut Person, room: &str, transaction: &str) -> Result<Duration, Failure> {
    let begun = Instant::now();
    person.say(room, transaction, "Look at these pictures of the excursion!").await?;
    let took = begun.elapsed();
    tokio::time::sleep(PAUSE).await;
    Ok(took)
}
