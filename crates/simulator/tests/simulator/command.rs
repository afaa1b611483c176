//! The `cfw-simulator` binary.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use cfw_simulator::Simulator;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cfw-simulator"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn it_prints_variables_for_a_shell() {
    let mut child = command(&["--jobs", "2", "--mean-ms", "0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut value = |name: &str| {
        let line = lines.next().unwrap().unwrap();
        line.strip_prefix(name)
            .and_then(|line| line.strip_prefix('='))
            .unwrap()
            .trim_matches('\'')
            .to_owned()
    };
    let endpoint = value("CFW_ENDPOINT");
    let (project, token) = (value("CFW_PROJECT_ID"), value("CFW_TOKEN"));
    let sim = Simulator::builder().start_on_thread().unwrap();
    assert_eq!(value("OS_ACCESS_KEY"), sim.access_key().access());
    assert_eq!(value("OS_SECRET_KEY"), sim.access_key().secret());
    let ids = value("CFW_JOB_IDS");
    let ids: Vec<_> = ids.split(' ').collect();
    assert_eq!(ids.len(), 2);
    let mut stream = TcpStream::connect(endpoint.strip_prefix("http://").unwrap()).unwrap();
    write!(
        stream,
        "GET /v3/{project}/jobs/{} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\nConnection: close\r\n\r\n",
        ids[0]
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"Success\""), "{answer}");
}

#[test]
fn a_bad_argument_is_a_usage_error() {
    let output = command(&["--jobs", "banana"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, "--jobs \"banana\": invalid digit found in string; see --help\n");
}

#[test]
fn an_occupied_port_is_a_failure() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = command(&["--port", &port]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("cannot run the simulator: "));
}

#[test]
fn help_is_printed() {
    let output = command(&["--help"]).output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("--fault-share"));
}
