//! DNS names as addresses of peers, in a namespace with its own name server.

use std::{
    fs,
    net::UdpSocket,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use crate::support::{Node, is_inside};

/// Address of the name server, visible only to this test's processes.
const SERVER: &str = "127.0.0.8";

/// A command that enters a mount and a network namespace, or ends with 77 if it cannot.
fn into_namespaces() -> Command {
    const SCRIPT: &str = r#"
        for how in "unshare --mount --net" "unshare --user --map-root-user --mount --net"; do
            if $how -- mount -t tmpfs none /mnt 2>/dev/null; then
                exec $how -- sh -c 'ip link set lo up || exit 77; exec "$@"' sh "$@"
            fi
        done
        echo "no mount and network namespace" >&2
        exit 77
    "#;
    let mut enter = Command::new("sh");
    enter.args(["-c", SCRIPT, "sh"]);
    enter
}

/// Starts a name server that answers each question for an IPv4 address with 127.0.0.1, and other
/// questions with no address.
fn serve_names() {
    let socket = UdpSocket::bind((SERVER, 53)).expect("its own namespace");
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut packet) {
            let query = &packet[..length];
            // Twelve bytes of header, then the name, then the kind and the class.
            let name = query[12..].iter().position(|byte| *byte == 0).expect("a name") + 13;
            let is_v4 = query[name..name + 2] == [0, 1];
            let mut answer = query[..2].to_vec();
            answer.extend([0x85, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0]);
            answer.extend(&query[12..name + 4]);
            if is_v4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1]);
            }
            socket.send_to(&answer, asker).ok();
        }
    });
}

/// Replaces `/etc/resolv.conf` by `file`, for this process and its children.
fn replace_resolv_conf(file: &Path) {
    let mount = |args: &[&str]| {
        let status = Command::new("mount").args(args).stdin(Stdio::null()).status();
        assert!(status.expect("it starts").success(), "mount {args:?}");
    };
    mount(&["--make-rprivate", "/"]);
    mount(&["--bind", file.to_str().expect("a plain path"), "/etc/resolv.conf"]);
}

#[test]
fn late_or_changed_name_service_is_used() {
    let name = "names::late_or_changed_name_service_is_used";
    if !is_inside(into_namespaces(), name) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let resolv_conf = folder.path().join("resolv.conf");
    // While a machine boots, the file may be empty.
    fs::write(&resolv_conf, "").expect("written");
    replace_resolv_conf(&resolv_conf);
    let worker = Node::up(&[]);
    let (_, port) = worker.address().split_once("/tcp/").expect("a TCP address");
    let port = port.split('/').next().expect("a port").to_owned();
    let bootstrap = format!("worker.test:{port}");
    let owner = Node::up(&["--bootstrap", &bootstrap]);
    owner.ask(&["peers", "dial", &bootstrap]).error(1, &["name service", "/etc/resolv.conf"]);
    // Another network, whose name server does not answer.
    fs::write(&resolv_conf, "nameserver 127.0.0.9\noptions timeout:1 attempts:1\n")
        .expect("written");
    owner.ask(&["peers", "dial", &bootstrap]).error(1, &["name service"]);
    serve_names();
    fs::write(&resolv_conf, format!("nameserver {SERVER}\n")).expect("written");
    assert_eq!(owner.ask(&["peers", "dial", &bootstrap]).code, 0);
}
