//! The kernel's table is understood, and connections of a door are told from others.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::sockets::{Door, Row, row};
use super::{Silence, Ward};
use crate::limits::GUARD_LOOK;

#[test]
fn a_row_of_the_kernels_table() {
    let line = "   0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0";
    let known = Row {
        port: 9092,
        state: 0x0A,
        inode: 4711,
    };
    assert_eq!(row(line), Some(known));
    assert_eq!(row("  sl  local_address rem_address   st tx_queue"), None);
    assert_eq!(row(""), None);
}

#[test]
fn silence_counts_only_while_there_was_time_to_listen() {
    let mut silence = Silence::default();
    silence.lasts(GUARD_LOOK);
    silence.lasts(10 * GUARD_LOOK);
    silence.lasts(GUARD_LOOK);
    assert_eq!(silence.0, 2 * GUARD_LOOK);
}

#[test]
fn clients_in_and_before_the_door_are_hung_up_on_and_nobody_else() {
    let door = TcpListener::bind("127.0.0.1:0").expect("a port");
    door.set_nonblocking(true).expect("it does not block");
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let connect = |listener: &TcpListener| {
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("set");
        stream
    };
    let mut inside = connect(&door);
    while door.accept().map(std::mem::forget).is_err() {}
    let mut outside = connect(&door);
    let mut elsewhere = connect(&other);
    let ward = Ward {
        process: std::process::id().cast_signed(),
        port: door.local_addr().expect("bound").port(),
        silence: Duration::ZERO,
    };
    Door::of(ward).expect("it is found").shut().expect("shut");
    assert_eq!(inside.read(&mut [0]).expect("the end"), 0);
    assert_eq!(outside.read(&mut [0]).expect("the end"), 0);
    assert!(elsewhere.read(&mut [0]).is_err(), "nobody hung up there");
}
