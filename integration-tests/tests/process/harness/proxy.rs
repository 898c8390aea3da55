//! A TCP proxy that stands between two parties and does what networks do: carries one direction and not the other, delays,
//! breaks; and that stops at a chosen moment, such as the answer to a call, so that a test can harm somebody right then.
//!
//! It understands as much of what it carries as it must: Hadoop RPC by frames, HTTP by the first line of a request. Bytes
//! that were swallowed are gone for their connection, as what came after them would be out of place.

use super::Stopwatch;
use super::connections::owner_of;
use super::poll;
use bytes::Bytes;
use mammoth_protocol::hadoop::hdfs::PacketHeaderProto;
use mammoth_protocol::rpc::{Incoming, decode_request, decode_response};
use prost::Message;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes before the first frame of a client of Hadoop RPC.
const PREAMBLE: usize = 7;
/// How long something that must come by itself is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From who connected.
    Up,
    /// To who connected.
    Down,
}

/// What happens to bytes of one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// They are carried.
    Pass,
    /// They wait until this changes, as those of a partition that heals.
    Hold,
    /// They are taken and never delivered; the connection stays open.
    Swallow,
    /// Each part that is read waits so long.
    Delay(Duration),
}

/// The moment at which a proxy stops once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trap {
    /// The answer to a call of this method of Hadoop RPC is there, and not delivered.
    Reply(&'static str),
    /// Half of a request to this route over HTTP is delivered.
    Post(&'static str),
    /// A writer is about to send the packet that ends its block, as all before it were acknowledged.
    EndOfBlock,
    /// So many bytes of one way were delivered on one connection since the trap was set.
    After(Way, u64),
}

/// What becomes of what a trap has caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caught {
    Nothing,
    Held,
    LetGo,
    Broken,
}

struct State {
    up: Flow,
    down: Flow,
    /// The flows are those of this process's connections only; others pass.
    only: Option<i32>,
    trap: Option<Trap>,
    /// Changes with every trap.
    generation: u64,
    caught: Caught,
    /// Port of the party whose connection was caught.
    peer: u16,
    connections: BTreeMap<u64, (TcpStream, TcpStream)>,
    accepted: u64,
    over: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    target: Box<dyn Fn() -> Option<SocketAddr> + Send + Sync>,
    rpc: bool,
    /// Where it listens.
    port: u16,
}

/// A proxy in front of one server.
pub(crate) struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Listens at `bind`, and carries what comes to where `target` says, if it knows yet. `rpc`: it is Hadoop RPC.
    pub(crate) fn start(
        bind: SocketAddr,
        rpc: bool,
        target: impl Fn() -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(bind).expect("a free port");
        let addr = listener.local_addr().expect("the address that was bound");
        let state = State {
            up: Flow::Pass,
            down: Flow::Pass,
            only: None,
            trap: None,
            generation: 0,
            caught: Caught::Nothing,
            peer: 0,
            connections: BTreeMap::new(),
            accepted: 0,
            over: false,
        };
        let (state, target) = (Mutex::new(state), Box::new(target));
        let shared = Arc::new(Shared { state, changed: Condvar::new(), target, rpc, port: addr.port() });
        let stop = Arc::new(AtomicBool::new(false));
        let (own, stopped) = (Arc::clone(&shared), Arc::clone(&stop));
        let accepting = std::thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // Who cannot be served finds its connection closed, as if the server were not there.
                let Ok(client) = client else { continue };
                if let Some(server) = (own.target)().and_then(|addr| TcpStream::connect(addr).ok()) {
                    carry(&own, client, server);
                }
            }
        });
        Self { addr, shared, stop, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on, this happens to bytes of this way, on connections that are open and on new ones.
    pub(crate) fn set(&self, way: Way, flow: Flow) {
        let mut state = self.shared.lock();
        match way {
            Way::Up => state.up = flow,
            Way::Down => state.down = flow,
        }
        self.shared.changed.notify_all();
    }

    /// As [`Self::set`], both ways.
    pub(crate) fn set_both(&self, flow: Flow) {
        self.set(Way::Up, flow);
        self.set(Way::Down, flow);
    }

    /// From now on, [`Self::set`] is about connections of this process only.
    pub(crate) fn only(&self, pid: i32) {
        self.shared.lock().only = Some(pid);
    }

    /// Sets a trap, in place of what was set before.
    pub(crate) fn trap(&self, trap: Trap) {
        let mut state = self.shared.lock();
        assert!(state.caught != Caught::Held, "what was caught before is still held");
        (state.trap, state.caught) = (Some(trap), Caught::Nothing);
        state.generation += 1;
    }

    /// Takes back a trap that has caught nothing.
    pub(crate) fn disarm(&self) {
        self.shared.lock().trap = None;
    }

    /// Whether the trap has caught something: the port of the party that is held.
    pub(crate) fn has_caught(&self) -> Option<u16> {
        let state = self.shared.lock();
        (state.caught == Caught::Held).then_some(state.peer)
    }

    /// Waits until the trap has caught something.
    #[track_caller]
    pub(crate) fn caught(&self) -> u16 {
        poll("the trap catches", LIMIT, || self.has_caught().ok_or_else(|| format!("{:?}", self.shared.lock().trap)))
    }

    /// What was caught goes its way.
    pub(crate) fn let_go(&self) {
        self.decide(Caught::LetGo);
    }

    /// What was caught is lost, with its connection.
    pub(crate) fn lose(&self) {
        self.decide(Caught::Broken);
    }

    /// Breaks all connections that are open, with all that is on its way.
    pub(crate) fn sever(&self) {
        for (client, server) in self.shared.lock().connections.values() {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    fn decide(&self, fate: Caught) {
        let mut state = self.shared.lock();
        if state.caught == Caught::Held {
            state.caught = fate;
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let open = {
            let mut state = self.shared.lock();
            state.over = true;
            std::mem::take(&mut state.connections)
        };
        self.shared.changed.notify_all();
        for (client, server) in open.into_values() {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
        // The thread that accepts looks up.
        let _ = TcpStream::connect(self.addr);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// One connection; the pumps of its two ways share what they learn.
struct Link {
    shared: Arc<Shared>,
    id: u64,
    peer: u16,
    /// Calls whose answer is awaited by a trap.
    watched: Mutex<Vec<i32>>,
    /// How many pumps have ended.
    ended: Mutex<u8>,
}

fn carry(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    for socket in [&client, &server] {
        let _ = socket.set_nodelay(true);
    }
    let again = |socket: &TcpStream| socket.try_clone().expect("a second handle");
    let mut state = shared.lock();
    if state.over {
        return;
    }
    state.accepted += 1;
    let id = state.accepted;
    state.connections.insert(id, (again(&client), again(&server)));
    drop(state);
    let peer = client.peer_addr().map_or(0, |addr| addr.port());
    let link = Link { shared: Arc::clone(shared), id, peer, watched: Mutex::new(Vec::new()), ended: Mutex::new(0) };
    let link = Arc::new(link);
    let pump = |way, source, target| {
        let link = Arc::clone(&link);
        Pump { link, way, source, target, carried: 0, generation: 0, deaf: false, broken: false, owner: None }
    };
    let up = pump(Way::Up, again(&client), again(&server));
    let down = pump(Way::Down, server, client);
    std::thread::spawn(move || up.run());
    std::thread::spawn(move || down.run());
}

/// One way of one connection.
struct Pump {
    link: Arc<Link>,
    way: Way,
    source: TcpStream,
    target: TcpStream,
    /// Bytes since the trap of `generation` was set.
    carried: u64,
    generation: u64,
    /// Bytes were swallowed, so that nothing more can be delivered.
    deaf: bool,
    /// What was caught is to be lost with the connection.
    broken: bool,
    /// Whether a process has this connection, once that was asked.
    owner: Option<(i32, bool)>,
}

impl Pump {
    fn run(mut self) {
        let whole = if self.link.shared.rpc { self.frames() } else { self.parts() };
        // What comes the other way is not concerned: it may still tell why.
        let _ = self.target.shutdown(Shutdown::Write);
        let _ = self.source.shutdown(Shutdown::Read);
        if whole.is_none() && self.broken {
            let _ = self.target.shutdown(Shutdown::Both);
            let _ = self.source.shutdown(Shutdown::Both);
        }
        let mut ended = self.link.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended += 1;
        if *ended == 2 {
            self.link.shared.lock().connections.remove(&self.link.id);
        }
    }

    /// Carries bytes as they come. `None`: the connection has to be broken.
    fn parts(&mut self) -> Option<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = self.source.read(&mut buffer).ok()?;
            if read == 0 {
                return Some(());
            }
            let part = &buffer[..read];
            let armed = self.link.shared.lock().trap;
            let cut = match armed {
                Some(Trap::Post(route)) if self.way == Way::Up && is_post(part, route) => Some(read / 2),
                Some(Trap::EndOfBlock) if self.way == Way::Up && ends_block(part) => Some(0),
                Some(Trap::After(way, limit)) if way == self.way => {
                    let left = limit.saturating_sub(self.count(0));
                    usize::try_from(left).ok().filter(|left| *left < read)
                }
                _ => None,
            };
            if let Some(cut) = cut {
                self.deliver(&part[..cut])?;
                self.catch(armed)?;
                self.deliver(&part[cut..])?;
            } else {
                self.deliver(part)?;
            }
        }
    }

    /// Carries Hadoop RPC, frame by frame.
    fn frames(&mut self) -> Option<()> {
        let mut waiting = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut opened = self.way == Way::Down;
        loop {
            let read = self.source.read(&mut buffer).ok()?;
            if read == 0 {
                return Some(());
            }
            waiting.extend_from_slice(&buffer[..read]);
            if !opened && waiting.len() >= PREAMBLE {
                self.deliver(&waiting[..PREAMBLE])?;
                waiting.drain(..PREAMBLE);
                opened = true;
            }
            while opened && let Some(whole) = first_frame(&waiting) {
                let frame: Vec<u8> = waiting.drain(..whole).collect();
                self.frame(frame)?;
            }
        }
    }

    fn frame(&mut self, frame: Vec<u8>) -> Option<()> {
        let armed = self.link.shared.lock().trap;
        let body = Bytes::copy_from_slice(&frame[4..]);
        let link = Arc::clone(&self.link);
        let mut watched = link.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Trap::Reply(wanted)) = armed else {
            drop(watched);
            return self.deliver(&frame);
        };
        if self.way == Way::Up {
            if let Ok(Incoming::Call(call)) = decode_request(body)
                && call.method == wanted
            {
                watched.push(call.reply_to.call_id);
            }
        } else if decode_response(body).is_ok_and(|answer| watched.contains(&answer.call_id)) {
            watched.clear();
            drop(watched);
            self.catch(armed)?;
            return self.deliver(&frame);
        }
        drop(watched);
        self.deliver(&frame)
    }

    /// Bytes that went this way since the present trap was set, with `more`.
    fn count(&mut self, more: u64) -> u64 {
        let generation = self.link.shared.lock().generation;
        if generation != self.generation {
            (self.generation, self.carried) = (generation, 0);
        }
        self.carried += more;
        self.carried
    }

    /// Waits for what shall become of what is held. `None`: it is lost. Another connection may have sprung the trap first.
    fn catch(&mut self, armed: Option<Trap>) -> Option<()> {
        let link = Arc::clone(&self.link);
        let mut state = link.shared.lock();
        if state.trap != armed {
            return Some(());
        }
        (state.trap, state.caught, state.peer) = (None, Caught::Held, link.peer);
        while state.caught == Caught::Held && !state.over {
            state = link.shared.wait(state);
        }
        self.broken = state.caught == Caught::Broken;
        (!self.broken).then_some(())
    }

    /// Whether this process has the connection. It is looked up once.
    fn is_of(&mut self, pid: i32) -> bool {
        match self.owner {
            Some((known, is)) if known == pid => is,
            _ => {
                let is = owner_of(self.link.peer, self.link.shared.port, &[(String::new(), pid)]).is_ok();
                self.owner = Some((pid, is));
                is
            }
        }
    }

    fn deliver(&mut self, bytes: &[u8]) -> Option<()> {
        let mut state = self.link.shared.lock();
        let delay = loop {
            let flow = if self.way == Way::Up { state.up } else { state.down };
            if flow != Flow::Pass
                && let Some(pid) = state.only
                && !state.over
            {
                drop(state);
                let concerned = self.is_of(pid);
                state = self.link.shared.lock();
                if !concerned {
                    break None;
                }
            }
            match flow {
                _ if state.over => return None,
                Flow::Pass => break None,
                Flow::Delay(time) => break Some(time),
                Flow::Swallow => {
                    self.deaf = true;
                    break None;
                }
                Flow::Hold => state = self.link.shared.wait(state),
            }
        };
        drop(state);
        if let Some(time) = delay {
            let watch = Stopwatch::start();
            poll("time passes", time + LIMIT, || if watch.elapsed() >= time { Ok(()) } else { Err(String::new()) });
        }
        if self.deaf {
            return Some(());
        }
        self.target.write_all(bytes).ok()?;
        self.count(bytes.len() as u64);
        Some(())
    }
}

fn is_post(part: &[u8], route: &str) -> bool {
    part.strip_prefix(b"POST ").is_some_and(|rest| rest.starts_with(route.as_bytes()))
}

/// Whether this is a packet without data that ends a block. It comes alone, as nothing is on its way then.
fn ends_block(part: &[u8]) -> bool {
    // Length without data: only that of itself; then the header and its length.
    let Some(header) = part.strip_prefix(&[0, 0, 0, 4]).and_then(|rest| rest.get(2..)) else { return false };
    PacketHeaderProto::decode(header).is_ok_and(|header| header.last_packet_in_block)
}

/// Length of the frame at the start, with its own length, if it is there whole.
fn first_frame(bytes: &[u8]) -> Option<usize> {
    let length = bytes.first_chunk::<4>().map(|length| u32::from_be_bytes(*length))?;
    let whole = usize::try_from(length).ok()?.checked_add(4)?;
    (bytes.len() >= whole).then_some(whole)
}
