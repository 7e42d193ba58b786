//! The number of connections and requests of a command.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

use crate::support::{Answer, Node, ask};

/// A socket in a separate home that forwards connections to a node and counts them.
struct Counter {
    home: TempDir,
    traffic: Arc<Mutex<Traffic>>,
}

#[derive(Debug, Default)]
struct Traffic {
    connections: usize,
    /// All bytes from the commands.
    sent: Vec<u8>,
}

impl Counter {
    fn before(node: &Node) -> Self {
        let home = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(home.path().join("api.sock")).unwrap();
        let traffic = Arc::<Mutex<Traffic>>::default();
        let (socket, counted_traffic) = (PathBuf::from(node.text("socket")), Arc::clone(&traffic));
        thread::spawn(move || {
            for client in listener.incoming() {
                counted_traffic.lock().unwrap().connections += 1;
                pass_on(client.unwrap(), UnixStream::connect(&socket).unwrap(), &counted_traffic);
            }
        });
        Self { home, traffic }
    }

    /// The answer of a command, and the numbers of its connections and requests.
    fn ask(&self, args: &[&str]) -> (Answer, (usize, usize)) {
        *self.traffic.lock().unwrap() = Traffic::default();
        let answer = ask(self.home.path(), args);
        let traffic = self.traffic.lock().unwrap();
        let requests = String::from_utf8_lossy(&traffic.sent).matches(" HTTP/1.1\r\n").count();
        (answer, (traffic.connections, requests))
    }
}

fn pass_on(client: UnixStream, node: UnixStream, traffic: &Arc<Mutex<Traffic>>) {
    let (mut from_client, mut to_node) = (client.try_clone().unwrap(), node.try_clone().unwrap());
    let traffic = Arc::clone(traffic);
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok(read @ 1..) = from_client.read(&mut bytes) {
            traffic.lock().unwrap().sent.extend_from_slice(&bytes[..read]);
            if to_node.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        to_node.shutdown(Shutdown::Both).ok();
    });
    thread::spawn(move || {
        io::copy(&mut &node, &mut &client).ok();
        client.shutdown(Shutdown::Both).ok();
    });
}

fn submitted(node: &Node, args: &[&str]) -> String {
    let answer = node.ask(&[&["submit"], args].concat());
    assert_eq!(answer.code, 0, "{answer:?}");
    answer.stdout.trim().to_owned()
}

#[test]
fn command_makes_few_requests_on_one_connection() {
    let node = Node::up(&[]);
    let counter = Counter::before(&node);
    let sleep = |ms: &str| submitted(&node, &["debug/sleep", "--param", &format!("ms={ms}")]);
    let (ended, endless) = (sleep("0"), sleep("3600000"));
    assert_eq!(node.ask(&["wait", &ended]).code, 0);
    let group = submitted(&node, &["--array", "1-3", "text/upper"]);
    assert_eq!(node.ask(&["wait", &group]).code, 0);
    let cases: [(&[&str], usize); 10] = [
        (&["wait", &sleep("1000")], 2),
        (&["wait", &sleep("1000"), "--results"], 3),
        (&["wait", &ended], 1),
        (&["wait", &group], 2),
        (&["task", "show", &ended], 1),
        (&["task", "show", &group], 2),
        (&["task", "explain", &endless], 1),
        (&["task", "result", &ended], 2),
        (&["task", "cancel", &endless], 1),
        (&["task", "retry", &endless], 1),
    ];
    for (args, most) in cases {
        let (answer, (connections, requests)) = counter.ask(args);
        assert_eq!(answer.code, 0, "{args:?}: {answer:?}");
        assert_eq!((connections, requests), (1, most), "{args:?}");
    }
}
