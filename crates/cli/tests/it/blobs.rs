//! `blob`: files and folders into the store and out of it.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixStream},
    process::Stdio,
};

use rustix::process::Signal;

use crate::support::{Answer, Node, meshwork, signal};

#[test]
fn a_file_is_added_listed_read_pinned_and_removed() {
    let node = Node::up(&[]);
    let dir = tempfile::tempdir().unwrap();
    // Not UTF-8, and it looks like a flag.
    let path = dir.path().join(OsStr::from_bytes(b"-n\xff 'a\nb'"));
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number / 7) as u8).collect();
    fs::write(&path, &bytes).unwrap();
    let add = meshwork(node.home.path()).args(["blob", "add", "-q"]).arg(&path).output().unwrap();
    let hash = Answer::of(add).stdout.trim().to_owned();
    assert_eq!(hash.len(), 64);

    let listed = node.ask(&["blob", "list", "--json"]).json();
    assert_eq!(listed["items"][0]["hash"], *hash);
    assert_eq!(listed["items"][0]["size"], 3_000_000);
    let short = &hash[..8];
    let read = meshwork(node.home.path()).args(["blob", "get", short]).output().unwrap();
    assert!(read.status.success() && read.stdout == bytes, "{}", read.stdout.len());
    let copy = dir.path().join("copy");
    let get = ["blob", "get", short, "-o", copy.to_str().unwrap()];
    assert_eq!(node.ask(&get).code, 0);
    assert_eq!(fs::read(&copy).unwrap(), bytes);
    node.ask(&get).error(2, &["copy exists already: choose another name, or remove it"]);

    assert_eq!(node.ask(&["blob", "pin", short, "--json"]).json()["pinned"], true);
    assert_eq!(node.ask(&["blob", "unpin", short, "--json"]).json()["pinned"], false);
    assert!(node.ask(&["status"]).stdout.contains("\nfiles  2.9 MiB of "));
    // New blobs stay.
    assert_eq!(node.ask(&["blob", "gc", "--json"]).json()["freed_bytes"], 0);
    assert!(node.ask(&["blob", "rm", short]).stderr.contains("MiB freed"));
    node.ask(&["blob", "rm", short]).error(4, &["does not have", "meshwork blob list"]);
    node.ask(&["blob", "get", "12345"]).error(2, &["6 to 64 hex digits"]);
    assert_eq!(node.ask(&["blob", "list", "-q"]).stdout, "");
}

#[test]
fn a_folder_travels_whole_and_what_cannot_is_refused_before() {
    let node = Node::up(&[]);
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::create_dir_all(from.join("deep/er")).unwrap();
    fs::write(from.join("deep/er/large"), vec![5; 2_000_000]).unwrap();
    fs::write(from.join("small"), "s").unwrap();
    symlink("deep/er", from.join("link")).unwrap();
    let from_text = from.to_str().unwrap();
    let folder = node.ask(&["blob", "add", from_text, "--json"]).json();
    assert_eq!((&folder["form"], &folder["size"]), (&"folder".into(), &2_000_001.into()));
    let hash = folder["hash"].as_str().unwrap();
    node.ask(&["blob", "get", hash]).error(2, &["is a folder", "-o PATH"]);
    let to = dir.path().join("to");
    assert_eq!(node.ask(&["blob", "get", hash, "-o", to.to_str().unwrap()]).code, 0);
    assert_eq!(fs::read(to.join("link/large")).unwrap(), vec![5; 2_000_000]);
    assert_eq!(fs::read(to.join("small")).unwrap(), b"s");

    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let hash = node.ask(&["blob", "add", "-q", empty.to_str().unwrap()]).stdout;
    let to = dir.path().join("empty too");
    assert_eq!(node.ask(&["blob", "get", hash.trim(), "-o", to.to_str().unwrap()]).code, 0);
    assert!(to.is_dir());

    let before = node.ask(&["blob", "list", "-q"]).stdout;
    symlink("/etc", from.join("outside")).unwrap();
    let other = dir.path().join("other");
    fs::write(&other, "other").unwrap();
    let answer = node.ask(&["blob", "add", other.to_str().unwrap(), from_text]);
    answer.error(2, &["outside"]);
    assert_eq!(node.ask(&["blob", "list", "-q"]).stdout, before, "nothing was sent");
}

#[test]
fn bytes_that_do_not_fit_are_refused() {
    let node = Node::up(&["--disk", "1MiB"]);
    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large");
    fs::write(&large, vec![1; 2 << 20]).unwrap();
    node.ask(&["blob", "add", large.to_str().unwrap()]).error(1, &["no space for blobs"]);
    // The node refuses the input, as it would refuse the task.
    let input = format!("@{}", large.display());
    node.ask(&["run", "text/upper", &input]).error(126, &["no space for blobs"]);
    assert_eq!(node.ask(&["task", "list", "--all", "-q"]).stdout, "");
    assert_eq!(node.ask(&["status", "--json"]).json()["node"]["blobs"]["reserved_bytes"], 0);
}

#[test]
fn a_reader_that_goes_away_ends_the_command() {
    let node = Node::up(&[]);
    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large");
    fs::write(&large, vec![1; 8 << 20]).unwrap();
    let hash = node.ask(&["blob", "add", "-q", large.to_str().unwrap()]).stdout;
    let mut get = meshwork(node.home.path())
        .args(["blob", "get", hash.trim()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(get.stdout.take());
    let output = get.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_run_is_interrupted_while_it_prints_its_result() {
    let node = Node::up(&[]);
    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large");
    fs::write(&large, vec![b'a'; 3_000_000]).unwrap();
    let mut run = meshwork(node.home.path())
        .args(["run", "text/upper", &format!("@{}", large.display())])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It has begun, and nobody reads more than the first byte.
    let mut stdout = run.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    signal(&run, Signal::INT);
    let mut stderr = String::new();
    run.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(stderr.contains("its result is kept: meshwork task result"), "{stderr}");
    drop(stdout);
}

/// The words of a shell's command line, so that patterns and odd names are as users write them.
fn shell(node: &Node, dir: &std::path::Path, line: &str) -> Answer {
    let mut command = std::process::Command::new("sh");
    command.current_dir(dir).args(["-c", line]).env("MESHWORK_HOME", node.home.path());
    command.env("M", env!("CARGO_BIN_EXE_meshwork")).env_remove("MESHWORK_LOG");
    Answer::of(command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn inputs_of_any_size_reach_a_handler() {
    let node = Node::up(&[]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("-large"), vec![b'a'; 3_000_000]).unwrap();
    let size = |line: &str| {
        let answer = shell(&node, dir.path(), line);
        assert_eq!(answer.code, 0, "{line}: {answer:?}");
        answer.stdout
    };
    let hash = size("$M run text/hash @-large");
    assert_eq!(size("cat ./-large | $M run text/hash -"), hash);
    assert_eq!(size("$M run text/hash @/dev/stdin < ./-large"), hash);
    assert_eq!(size("$M submit --wait text/hash @-large > id; $M task result last"), hash);
    assert_eq!(size("$M run text/hash @-large --out results; cat results/-large"), hash);
    // The name is taken: refused before anything is submitted.
    let before = node.ask(&["task", "list", "--all", "-q"]).stdout;
    let taken = shell(&node, dir.path(), "$M run text/hash @-large --out results");
    taken.error(125, &["results/-large exists already"]);
    assert_eq!(node.ask(&["task", "list", "--all", "-q"]).stdout, before);
    let unknown = shell(&node, dir.path(), "$M blob rm $($M blob list -q); $M run no/such @-large");
    unknown.error(127, &["no node here has the handler no/such, so nothing was sent"]);
}

#[test]
fn each_file_becomes_a_task_and_its_result_keeps_the_name() {
    let node = Node::up(&[]);
    let dir = tempfile::tempdir().unwrap();
    let names: [&[u8]; 6] =
        [b"a/x", b"b/x", b"b/-n", b"b/it's \"one\"\nof two", b"b/c/\xff", b"b/c/y"];
    for name in names {
        let path = dir.path().join("in").join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    fs::write(dir.path().join("in/b/large"), vec![b'l'; 2_000_000]).unwrap();
    let done =
        shell(&node, dir.path(), "$M submit --each-file in text/hash && $M wait last --out out");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("7 results in out"), "{done:?}");
    for name in names {
        let text =
            fs::read_to_string(dir.path().join("out").join(OsStr::from_bytes(name))).unwrap();
        let alone = dir.path().join("alone");
        fs::write(&alone, name).unwrap();
        assert_eq!(shell(&node, dir.path(), "$M run text/hash @alone").stdout, text, "{name:?}");
    }
    assert!(dir.path().join("out/b/large").is_file());

    // Patterns of the shell and our own are the same.
    for pattern in ["in/*/x", "'in/*/x'"] {
        let line =
            format!("rm -rf out; $M submit --each-file {pattern} text/upper --wait --out out");
        assert_eq!(shell(&node, dir.path(), &line).code, 0);
        assert_eq!(fs::read_to_string(dir.path().join("out/a/x")).unwrap(), "A/X");
        assert_eq!(fs::read_to_string(dir.path().join("out/b/x")).unwrap(), "B/X");
    }
    // What is there is not replaced, and the others are saved.
    fs::remove_file(dir.path().join("out/b/x")).unwrap();
    let again = shell(&node, dir.path(), "$M wait last --out out");
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("out/a/x exists already"), "{again:?}");
    assert!(dir.path().join("out/b/x").is_file());

    for (line, parts) in [
        ("$M submit --each-file in/a/x in/a/../a/x text/upper", ["named twice", ""]),
        ("$M submit --each-file none text/upper", ["no file none", "the handler comes last"]),
        ("$M submit --each-file text/upper", ["no file is named", "the handler comes last"]),
        ("$M submit --each-file in in/b/large no/such", ["named twice", ""]),
        ("$M submit --each-file in/b no/such", ["no/such", "nothing was sent"]),
        ("$M submit text/upper x --out out", ["--out needs --wait", ""]),
    ] {
        let answer = shell(&node, dir.path(), line);
        assert!(answer.code != 0 && answer.stdout.is_empty(), "{line}: {answer:?}");
        for part in parts {
            assert!(answer.stderr.contains(part), "{line}: {answer:?}");
        }
    }
}

#[test]
fn results_of_other_groups_are_numbered() {
    let node = Node::up(&[]);
    let dir = tempfile::tempdir().unwrap();
    let line = "seq 12 | $M submit --each-line - text/upper --wait --out out && ls out | head -3 && cat out/12";
    let done = shell(&node, dir.path(), &line.replace("| $M submit", "| \"$M\" submit"));
    assert!(done.stdout.ends_with("01\n02\n03\n12"), "{done:?}");
}

#[test]
fn names_and_files_outlive_the_node() {
    let node = Node::up(&[]);
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    for (name, byte) in [("one", b'1'), ("two", b'2')] {
        fs::write(dir.path().join("in").join(name), vec![byte; 2_000_000]).unwrap();
    }
    let id = shell(&node, dir.path(), "$M submit --each-file 'in/*' text/upper").stdout;
    let id = id.trim();
    assert_eq!(node.ask(&["wait", id]).code, 0);
    let (_, home) = node.end(Signal::TERM);
    let node = Node::up_in(home, &[]);
    let saved = shell(&node, dir.path(), &format!("$M wait {id} --out out"));
    assert_eq!(saved.code, 0, "{saved:?}");
    assert_eq!(fs::read(dir.path().join("out/one")).unwrap(), vec![b'1'; 2_000_000]);
    assert_eq!(fs::read(dir.path().join("out/two")).unwrap(), vec![b'2'; 2_000_000]);
    // Also the results of single tasks, by their ids.
    let saved = shell(&node, dir.path(), "$M task result last --out single");
    assert_eq!(saved.code, 0, "{saved:?}");
}

#[test]
fn what_is_refused_is_refused_before_a_byte_is_sent() {
    let node = Node::up(&["--disk", "16MiB"]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("large"), vec![7; 3_000_000]).unwrap();
    fs::File::create(dir.path().join("huge")).unwrap().set_len(64 << 20).unwrap();
    fs::create_dir_all(dir.path().join("out")).unwrap();
    fs::write(dir.path().join("out/large"), "mine").unwrap();
    fs::create_dir(dir.path().join("linked")).unwrap();
    fs::write(dir.path().join("linked/large"), vec![7; 3_000_000]).unwrap();
    symlink("/etc", dir.path().join("linked/outside")).unwrap();
    for (line, part) in [
        ("$M run no/such @large", "nothing was sent"),
        ("$M submit --each-file large no/such", "nothing was sent"),
        ("$M run text/hash @large --on nobody", "no known peer is called"),
        ("$M submit text/hash @large --on nobody", "no known peer is called"),
        ("$M submit --each-file large text/hash --on nobody", "no known peer is called"),
        ("$M run text/hash @large --out out", "exists already"),
        ("$M run text/hash @huge", "no space for blobs"),
        ("$M submit --each-file large huge text/hash", "a file has 64.0 MiB"),
        ("$M run text/hash @linked", "linked/outside"),
        ("$M run text/hash @large @large", "a task has one"),
    ] {
        let answer = shell(&node, dir.path(), line);
        assert!(answer.code != 0 && answer.stdout.is_empty(), "{line}: {answer:?}");
        assert!(answer.stderr.contains(part), "{line}: {answer:?}");
        let blobs = &node.ask(&["status", "--json"]).json()["node"]["blobs"];
        assert_eq!((&blobs["blobs"], &blobs["used_bytes"]), (&0.into(), &0.into()), "{line}");
        assert_eq!(node.ask(&["task", "list", "--all", "-q"]).stdout, "", "{line}");
    }
    // This node itself is a target, by its name too.
    let name = node.ask(&["status", "--json"]).json()["node"]["name"].as_str().unwrap().to_owned();
    let here = shell(&node, dir.path(), &format!("$M run text/hash @large --on {name}"));
    assert_eq!(here.code, 0, "{here:?}");
}

/// Sends a request to the node, and returns its whole answer.
fn request(node: &Node, line: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(node.home.path().join("api.sock")).unwrap();
    let length = body.len();
    let head =
        format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}");
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_wait_for_a_place_among_uploads_is_said_once() {
    let node = Node::up(&[]);
    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large");
    fs::write(&large, vec![1; 200_000]).unwrap();
    let uploads: Vec<String> = (0..meshwork_api::limits::UPLOADS)
        .map(|_| {
            let answer = request(&node, "POST /v1/uploads", "{}");
            let (_, id) = answer.split_once(r#""id":""#).unwrap();
            id.split('"').next().unwrap().to_owned()
        })
        .collect();
    let mut add = meshwork(node.home.path())
        .args(["blob", "add"])
        .arg(&large)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(add.stderr.take().unwrap()).lines();
    let waits = said.next().unwrap().unwrap();
    assert!(waits.contains("the node is busy, waiting for a place: "), "{waits}");
    // Long enough for several tries.
    std::thread::sleep(std::time::Duration::from_secs(1));
    for id in uploads {
        request(&node, &format!("DELETE /v1/uploads/{id}"), "");
    }
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    assert_eq!(rest, Vec::<String>::new());
    assert!(add.wait().unwrap().success());
}
