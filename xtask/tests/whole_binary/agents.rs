//! The agents: ZeroMQ reply sockets that listen while the fake podman says that
//! their containers run.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use zeromq::{RepSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

use crate::tool::{now_ms, wait_until};

/// How an agent answers once its container runs.
#[derive(Debug, Clone, Default)]
pub enum Health {
    #[default]
    Good,
    /// Listens only after so many milliseconds.
    GoodAfter(u64),
    Reply(&'static str),
    /// Sick in a container whose command line holds this text.
    GoodUnless(&'static str),
    /// Takes connections and says nothing.
    Silent,
    /// Never listens.
    Deaf,
}

/// What the tests and the sockets share.
#[derive(Debug, Clone, Default)]
pub struct Book {
    health: Arc<Mutex<BTreeMap<String, Health>>>,
    /// When each agent said for the first time that it is healthy.
    first_good: Arc<Mutex<BTreeMap<String, u64>>>,
    /// The fake's state that the agents know of.
    seen: Arc<Mutex<String>>,
    end: Arc<AtomicBool>,
}

impl Book {
    /// From the next start of the agent's container on.
    pub fn set(&self, agent: &str, health: Health) {
        self.health.lock().unwrap().insert(agent.to_owned(), health);
    }

    fn health(&self, agent: &str) -> Health {
        let health = self.health.lock().unwrap();
        health.get(agent).cloned().unwrap_or_default()
    }

    /// Waits until the agents know of the fake's present state.
    pub fn catch_up(&self, state: &Path) {
        wait_until("the agents", || {
            fs::read_to_string(state).is_ok_and(|text| text == *self.seen.lock().unwrap())
        });
    }

    pub fn first_good(&self, agent: &str) -> u64 {
        self.first_good.lock().unwrap()[agent]
    }
}

/// All agents of one fixture; they end when this is dropped.
#[derive(Debug)]
pub struct Agents {
    pub book: Book,
    thread: Option<JoinHandle<()>>,
}

impl Agents {
    /// `ports`: agent and health port.
    pub fn new(state: PathBuf, ports: Vec<(String, u16)>) -> Self {
        let book = Book::default();
        let of_thread = book.clone();
        let thread = std::thread::spawn(move || follow(&of_thread, &state, &ports));
        Agents {
            book,
            thread: Some(thread),
        }
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.book.end.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One life of one agent: container id and number of the start.
type Life = (String, u64);

struct Alive {
    life: Life,
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Alive {
    fn end(self) {
        self.end.store(true, SeqCst);
        let _ = self.thread.join();
    }
}

fn follow(book: &Book, state: &Path, ports: &[(String, u16)]) {
    let mut alive: BTreeMap<String, Alive> = BTreeMap::new();
    while !book.end.load(SeqCst) {
        // The whole text is compared: two changes within one tick of the clock
        // leave the same time on the file.
        let text = fs::read_to_string(state).unwrap_or_default();
        let news = text != *book.seen.lock().unwrap();
        if news {
            let state: Value = serde_json::from_str(&text).unwrap_or_default();
            for (agent, port) in ports {
                update(book, &mut alive, agent, *port, running(&state, *port));
            }
            *book.seen.lock().unwrap() = text;
        }
        std::thread::sleep(Duration::from_millis(6));
    }
    alive.into_values().for_each(Alive::end);
}

/// The running container that publishes the port, and its command line.
fn running(state: &Value, port: u16) -> Option<(Life, String)> {
    let published = format!("127.0.0.1:{port}:");
    let containers = state["containers"].as_object()?.values();
    containers
        .filter(|container| container["state"] == "running")
        .find_map(|container| {
            let line = container["create"].to_string();
            let life = (
                container["id"].as_str()?.to_owned(),
                container["starts"].as_u64()?,
            );
            line.contains(&published).then_some((life, line))
        })
}

fn update(
    book: &Book,
    alive: &mut BTreeMap<String, Alive>,
    agent: &str,
    port: u16,
    running: Option<(Life, String)>,
) {
    let same = match (&running, alive.get(agent)) {
        (Some((life, _)), Some(alive)) => *life == alive.life,
        (None, None) => true,
        _ => false,
    };
    if same {
        return;
    }
    if let Some(old) = alive.remove(agent) {
        old.end();
    }
    if let Some((life, line)) = running {
        let end = Arc::new(AtomicBool::new(false));
        let (ended, book, name) = (end.clone(), book.clone(), agent.to_owned());
        let health = book.health(agent);
        let thread = std::thread::spawn(move || live(&book, &name, health, port, &line, &ended));
        let now = Alive { life, end, thread };
        alive.insert(agent.to_owned(), now);
    }
}

fn live(book: &Book, agent: &str, health: Health, port: u16, line: &str, end: &AtomicBool) {
    let delay = match health {
        Health::Deaf => return,
        Health::GoodAfter(ms) => ms,
        _ => 0,
    };
    let born = now_ms();
    while now_ms() < born + delay {
        if end.load(SeqCst) {
            return;
        }
        std::thread::sleep(Duration::from_millis(4));
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port was reserved");
    if matches!(health, Health::Silent) {
        while !end.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(4));
        }
        return;
    }
    let reply = match health {
        Health::Reply(text) => text,
        Health::GoodUnless(text) if line.contains(text) => r#"{"status": "error"}"#,
        _ => {
            let mut first = book.first_good.lock().unwrap();
            first.entry(agent.to_owned()).or_insert_with(now_ms);
            r#"{"status": "ok"}"#
        }
    };
    serve(listener, reply, end);
}

/// A runtime of its own, so that nothing of the socket outlives it.
fn serve(listener: TcpListener, reply: &str, end: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut socket = RepSocket::new();
        socket.bind_listener(listener).await.expect("a listener");
        let pause = Duration::from_millis(10);
        while !end.load(SeqCst) {
            if let Ok(Ok(_)) = tokio::time::timeout(pause, socket.recv()).await {
                let _ = socket.send(ZmqMessage::from(reply)).await;
            }
        }
    });
}
