//! Peers to be asked: real reply sockets, and raw TCP listeners that break the
//! protocol in one way each. All listen on 127.0.0.1, on a port that the system
//! picks, and end when their handle is dropped.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tokio::{task::JoinSet, time::timeout};
use zeromq::{PubSocket, RepSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

pub const JSON_REQUEST: &str = r#"{"action": "health_check"}"#;
/// What the manifest asks by default.
pub const REQUESTS: [&str; 2] = [JSON_REQUEST, "health"];
pub const GOOD: &[u8] = br#"{"status": "ok", "ready": true}"#;

/// A listener on a port of its own.
pub fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// An address where nobody listens.
pub fn dead_address() -> SocketAddr {
    listener().local_addr().unwrap()
}

/// Peers that run until this is dropped.
pub struct Peers {
    pub addresses: Vec<SocketAddr>,
    /// Connections of raw peers that are open now.
    pub open: Arc<AtomicUsize>,
    end: Arc<AtomicBool>,
    /// Raw peers wait in `accept`; a connection wakes them up to see `end`.
    wake: Option<SocketAddr>,
}

impl Peers {
    fn new(addresses: Vec<SocketAddr>) -> Peers {
        Peers {
            addresses,
            open: Arc::default(),
            end: Arc::default(),
            wake: None,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.end.store(true, SeqCst);
        if let Some(address) = self.wake {
            let _ = TcpStream::connect(address);
        }
    }
}

/// A reply socket that answers each request with the parts that `answer` makes.
pub fn replier(answer: fn(&[u8]) -> Vec<Vec<u8>>) -> Peers {
    repliers(vec![listener()], Duration::ZERO, answer)
}

/// Reply sockets on these listeners, all on one thread, each answering after
/// the given time.
pub fn repliers(
    listeners: Vec<TcpListener>,
    after: Duration,
    answer: fn(&[u8]) -> Vec<Vec<u8>>,
) -> Peers {
    let peers = Peers::new(
        listeners
            .iter()
            .map(|one| one.local_addr().unwrap())
            .collect(),
    );
    let end = peers.end.clone();
    on_runtime(move || async move {
        let mut all = JoinSet::new();
        for listener in listeners {
            all.spawn(async move {
                let mut socket = RepSocket::new();
                socket.bind_listener(listener).await.unwrap();
                loop {
                    let Ok(request) = socket.recv().await else {
                        // The crate reports peers that left as errors.
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        continue;
                    };
                    tokio::time::sleep(after).await;
                    let mut parts = answer(request.get(0).unwrap()).into_iter();
                    let mut reply = ZmqMessage::from(parts.next().unwrap());
                    parts.for_each(|part| reply.push_back(part.into()));
                    let _ = socket.send(reply).await;
                }
            });
        }
        let_run(&end).await;
    });
    peers
}

/// A ZeroMQ socket, but one that publishes.
pub fn publisher() -> Peers {
    let listener = listener();
    let peers = Peers::new(vec![listener.local_addr().unwrap()]);
    let end = peers.end.clone();
    on_runtime(move || async move {
        let mut socket = PubSocket::new();
        socket.bind_listener(listener).await.unwrap();
        let_run(&end).await;
    });
    peers
}

fn on_runtime<F: Future<Output = ()>>(main: impl FnOnce() -> F + Send + 'static) {
    thread::spawn(move || super::super::block_on(main()).unwrap());
}

async fn let_run(end: &AtomicBool) {
    while !end.load(SeqCst) {
        let _ = timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
    }
}

/// A TCP listener that hands every connection to `behave`, on a thread each;
/// the connection closes when `behave` returns.
pub fn raw(behave: fn(&mut TcpStream)) -> Peers {
    let listener = listener();
    let mut peers = Peers::new(vec![listener.local_addr().unwrap()]);
    peers.wake = Some(peers.address());
    let (end, open) = (peers.end.clone(), peers.open.clone());
    thread::spawn(move || {
        for stream in listener.incoming() {
            if end.load(SeqCst) {
                break;
            }
            let (mut stream, open) = (stream.unwrap(), open.clone());
            open.fetch_add(1, SeqCst);
            thread::spawn(move || {
                // A peer's mistake must not hang a test.
                stream
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .unwrap();
                behave(&mut stream);
                drop(stream);
                open.fetch_sub(1, SeqCst);
            });
        }
    });
    peers
}

/// Reads until the other side closes.
pub fn stay_silent(stream: &mut TcpStream) {
    let _ = std::io::copy(stream, &mut std::io::sink());
}

/// Reads `bytes` bytes; false if the other side closed before.
pub fn take(stream: &mut TcpStream, bytes: usize) -> bool {
    stream.read_exact(&mut vec![0; bytes]).is_ok()
}

/// The greeting of a ZMTP 3.0 peer that asks for no encryption.
pub fn greet(stream: &mut TcpStream) {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    let _ = stream.write_all(&greeting);
}

/// Bytes of the client's greeting, and of its READY command.
pub const GREETING: usize = 64;
pub const READY: usize = 27;

/// The whole handshake of a reply socket, done by hand.
pub fn shake_hands(stream: &mut TcpStream) -> bool {
    greet(stream);
    let _ = stream.write_all(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REP");
    take(stream, GREETING + READY)
}
