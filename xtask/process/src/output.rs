//! What a program writes, kept within bounds.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use diagnostics::excerpt::printable;
use rustix::fs::{MemfdFlags, memfd_create};

/// Output kept per stream unless less is wanted.
pub const OUTPUT_LIMIT_BYTES: usize = 32 * 1024 * 1024;

/// Where a program writes to, and what comes of it.
pub struct Stream {
    pub writer: std::os::fd::OwnedFd,
    pub collected: Collected,
}

impl Stream {
    /// Nobody has to read it for the program to go on.
    pub fn in_memory(kept_bytes: usize) -> io::Result<Self> {
        let file = File::from(memfd_create("output", MemfdFlags::CLOEXEC)?);
        Ok(Stream {
            writer: file.try_clone()?.into(),
            collected: Collected::InMemory { file, kept_bytes },
        })
    }

    pub fn read_along(
        lines: Option<mpsc::SyncSender<String>>,
        kept_bytes: usize,
    ) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Stream {
            writer: writer.into(),
            collected: collect(reader, lines, kept_bytes)?,
        })
    }
}

/// What a stream has given so far.
pub enum Collected {
    InMemory {
        file: File,
        kept_bytes: usize,
    },
    /// With word of its end.
    Read {
        text: Arc<Mutex<Vec<u8>>>,
        ended: mpsc::Receiver<()>,
    },
}

impl Collected {
    /// The text once the stream has ended. A grandchild may hold the stream
    /// open for ever, so the wait for that is bounded.
    pub fn text(self) -> String {
        match self {
            Collected::InMemory { file, kept_bytes } => {
                let length = file.metadata().map_or(0, |data| data.len() as usize);
                let kept = length.min(kept_bytes);
                let mut bytes = vec![0; kept];
                // The program's own writes have moved the file's position.
                let read = file.read_at(&mut bytes, (length - kept) as u64);
                bytes.truncate(read.unwrap_or(0));
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Collected::Read { text, ended } => {
                let _ = ended.recv_timeout(Duration::from_secs(1));
                let bytes = text.lock().unwrap_or_else(PoisonError::into_inner);
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
    }
}

fn collect(
    reader: io::PipeReader,
    lines: Option<mpsc::SyncSender<String>>,
    kept_bytes: usize,
) -> io::Result<Collected> {
    let text = Arc::new(Mutex::new(Vec::new()));
    let (done, ended) = mpsc::channel();
    let sink = Arc::clone(&text);
    std::thread::Builder::new().spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        // Lines are read with a limit, so that one endless line cannot take
        // the memory of the machine.
        while let Ok(read) = (&mut reader).take(64 * 1024).read_until(b'\n', &mut line) {
            if read == 0 {
                break;
            }
            if let Some(lines) = &lines {
                let _ = lines.send(printable(&String::from_utf8_lossy(&line)));
            }
            let mut text = sink.lock().unwrap_or_else(PoisonError::into_inner);
            text.append(&mut line);
            if text.len() > kept_bytes {
                let excess = text.len() - kept_bytes / 2;
                text.drain(..excess);
            }
        }
        let _ = done.send(());
    })?;
    Ok(Collected::Read { text, ended })
}
