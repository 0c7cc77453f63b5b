//! Tells step by step: each says in words what is expected, and one that fails does not end the story.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tokio::time::{sleep, timeout};

/// A step's time.
const STEP_SECONDS: u64 = 60;
/// How long something may take to come about.
const SETTLED_SECONDS: u64 = 15;

/// What was told so far.
pub struct Story {
    title: &'static str,
    passed: usize,
    failed: usize,
}

impl Story {
    pub fn begin(title: &'static str) -> Self {
        println!("# {title}");
        Self { title, passed: 0, failed: 0 }
    }

    pub async fn step(&mut self, words: &str, step: impl Future<Output = Result<()>>) {
        let begun = Instant::now();
        let told = timeout(Duration::from_secs(STEP_SECONDS), step).await;
        match told.unwrap_or_else(|_| Err(anyhow::anyhow!("the step took more than {STEP_SECONDS} s"))) {
            Ok(()) => {
                self.passed += 1;
                println!("ok   {words} ({} ms)", begun.elapsed().as_millis());
            }
            Err(why) => {
                self.failed += 1;
                println!("FAIL {words}\n     {why:#}");
            }
        }
    }

    /// What the steps need could not be had.
    pub fn broke_off(&mut self, why: &anyhow::Error) {
        self.failed += 1;
        println!("FAIL the story goes on\n     {why:#}");
    }

    pub fn end(self) -> ExitCode {
        println!("{}: {} passed, {} failed", self.title, self.passed, self.failed);
        if self.failed == 0 && self.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// What `look` finds, asked again and again: real clients settle in their own time.
pub async fn eventually<T>(words: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if begun.elapsed() > Duration::from_secs(SETTLED_SECONDS) {
            bail!("expected within {SETTLED_SECONDS} s that {words}");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// As [`eventually`], for what becomes a certain value; what was seen last is told.
pub async fn becomes<T: PartialEq + std::fmt::Debug>(
    words: &str,
    wanted: &T,
    mut look: impl AsyncFnMut() -> T,
) -> Result<()> {
    let mut last = None;
    let settled = eventually(words, async || {
        let seen = look().await;
        let is_wanted = seen == *wanted;
        last = Some(seen);
        is_wanted.then_some(())
    });
    if settled.await.is_err() {
        bail!("expected within {SETTLED_SECONDS} s that {words} became {wanted:?}; saw {last:?}");
    }
    Ok(())
}
