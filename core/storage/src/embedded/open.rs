//! Opening the files: the directory, the lock that says who has them, sled itself.

use parking_lot::RwLock;
use std::{
    collections::VecDeque,
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    panic::AssertUnwindSafe,
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use super::{Embedded, Failure, Lookout, State, Writer, durable::Durable, read, writer};
use crate::{OpenError, Position, meta::LAST_POSITION};

/// How often, and after what pause, sled's own lock is asked for again: it lets go of its file a moment after closing.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// sled's own file, without which there is no store.
const DATA: &str = "db";

impl Embedded {
    /// Whether there is a store in `dir`.
    pub(crate) fn is_there(dir: &Path) -> bool {
        dir.join(DATA).exists()
    }

    /// Opens or makes the store in `dir`. Blocks.
    pub(crate) fn open(dir: &Path, cache_mib: u64) -> Result<Self, OpenError> {
        make_dir(dir)?;
        let lock = lock(dir)?;
        let db = open_sled(dir, cache_mib)?;
        let failed = |error: &dyn std::fmt::Display| OpenError::engine(dir, error);
        let durable = Durable::open(dir).map_err(|error| failed(&error))?;
        let last = read(&db, &LAST_POSITION.encode_key(&()))
            .and_then(|row| row.map_or(Ok(0), |bytes| LAST_POSITION.decode_value(&bytes)))
            .map_err(|error| failed(&error))?;

        let state = Arc::new(RwLock::new(State { db: Some(db.clone()), before: VecDeque::new(), still: None }));
        let failure = Failure::none_yet();
        let lookout = Lookout::start(&db, failure.clone()).map_err(|error| failed(&error))?;
        let (groups, threads) = writer::start(db, state.clone(), Position(last), durable, failure.clone())
            .map_err(|error| failed(&error))?;
        let writer = Writer { groups, threads, lookout, _lock: lock };
        Ok(Self { dir: dir.to_owned(), state, failure, writer: parking_lot::Mutex::new(Some(writer)) })
    }
}

fn make_dir(dir: &Path) -> Result<(), OpenError> {
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => return Err(OpenError::NotADirectory(dir.to_owned())),
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(OpenError::NotADirectory(dir.to_owned()));
        }
        Err(_) => {}
    }
    private_dir().create(dir).map_err(|error| OpenError::engine(dir, &format!("it cannot be made: {error}")))
}

/// Whatever is below is for the server's user alone.
fn private_dir() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Takes the store for this process, or says who has it.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let failed = |error: io::Error| OpenError::engine(&path, &error);
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Whether it can be read or not, the answer is that somebody has it.
            let _ = file.read_to_string(&mut holder);
            return Err(OpenError::Locked { dir: dir.to_owned(), process: holder.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

fn open_sled(dir: &Path, cache_mib: u64) -> Result<sled::Db, OpenError> {
    let config =
        sled::Config::new().path(dir).cache_capacity(cache_mib.saturating_mul(1024 * 1024)).flush_every_ms(None);
    let mut tries = 0;
    loop {
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| config.open()))
            .map_err(|_| OpenError::engine(dir, &"sled could not make sense of its files"))?;
        match opened {
            Ok(db) => return Ok(db),
            Err(sled::Error::Io(error)) if is_lock(&error) && tries < LOCK_TRIES => {
                tries += 1;
                thread::sleep(LOCK_PAUSE);
            }
            Err(sled::Error::Io(error)) if is_lock(&error) => {
                return Err(OpenError::Locked { dir: dir.to_owned(), process: None });
            }
            Err(error) => return Err(OpenError::engine(dir, &error)),
        }
    }
}

fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().contains("could not acquire lock")
}
