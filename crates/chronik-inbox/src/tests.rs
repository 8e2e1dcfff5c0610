//! Nothing is lost or reordered, nobody sleeps through an item, and ends are noticed on both sides.

use std::collections::VecDeque;
use std::thread;

use proptest::prelude::*;

use super::*;

#[test]
fn every_senders_items_arrive_in_its_order() {
    const SENDERS: usize = 4;
    const ITEMS: usize = 20_000;
    let (sender, mut inbox) = inbox(16);
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let sender = sender.clone();
            thread::spawn(move || {
                for item in 0..ITEMS {
                    sender.send((number, item)).expect("the inbox is open");
                }
            })
        })
        .collect();
    drop(sender);
    let mut next = [0; SENDERS];
    while let Ok((number, item)) = inbox.recv() {
        assert_eq!(item, next[number]);
        next[number] += 1;
    }
    assert_eq!(next, [ITEMS; SENDERS]);
    for sender in senders {
        sender.join().expect("it sent everything");
    }
}

/// Each item is sent only when the one before was taken, so the taker sleeps again and again.
#[test]
fn a_sleeper_is_woken_by_every_item() {
    let (there, mut here) = inbox(1);
    let (back, mut answers) = inbox(1);
    let echo = thread::spawn(move || {
        while let Ok(item) = here.recv() {
            back.send(item).expect("somebody listens");
        }
    });
    for item in 0..20_000 {
        there.try_send(item).expect("there is room");
        assert_eq!(answers.recv_timeout(Duration::from_secs(30)), Ok(item));
    }
    drop(there);
    echo.join().expect("it ended with its sender");
}

#[test]
fn a_full_queue_refuses_and_gives_the_item_back() {
    let (sender, mut inbox) = inbox(2);
    sender.try_send(1).expect("room");
    sender.try_send(2).expect("room");
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(inbox.try_recv(), Ok(1));
    sender.try_send(3).expect("room");
    drop(sender);
    assert_eq!(inbox.recv(), Ok(2));
    assert_eq!(inbox.recv(), Ok(3));
    assert_eq!(inbox.recv(), Err(RecvError));
    assert_eq!(inbox.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn whoever_waits_for_room_is_told_of_the_end() {
    let (sender, mut inbox) = inbox(1);
    sender.send(1).expect("room");
    let waiting = {
        let sender = sender.clone();
        thread::spawn(move || (sender.send(2), sender.send(3)))
    };
    assert_eq!(inbox.recv(), Ok(1));
    assert_eq!(inbox.recv(), Ok(2));
    drop(inbox);
    let (second, third) = waiting.join().expect("it is told");
    assert_eq!(second, Ok(()));
    // The third may have found room before the end.
    assert!(third.is_ok() || third == Err(SendError(3)));
    assert_eq!(sender.try_send(4), Err(TrySendError::Disconnected(4)));
}

#[test]
fn patience_ends() {
    let (sender, mut inbox) = inbox::<u8>(1);
    let timeout = Err(RecvTimeoutError::Timeout);
    assert_eq!(inbox.recv_timeout(Duration::ZERO), timeout);
    assert_eq!(inbox.recv_timeout(Duration::from_millis(1)), timeout);
    assert_eq!(inbox.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    let disconnected = Err(RecvTimeoutError::Disconnected);
    assert_eq!(inbox.recv_timeout(Duration::from_secs(30)), disconnected);
}

/// What is left behind may hold the queue's own sender.
#[test]
fn items_may_hold_a_sender() {
    struct Holder(#[expect(dead_code, reason = "it is only dropped")] Sender<Holder>);
    let (sender, inbox) = inbox(1);
    let held = sender.clone();
    assert!(sender.try_send(Holder(held)).is_ok());
    drop(inbox);
}

proptest! {
    /// One thread, any order of steps: the queue behaves like a list that is taken in batches.
    #[test]
    fn it_is_a_bounded_queue(steps in prop::collection::vec(any::<bool>(), 1..200), capacity in 1_usize..8) {
        let (sender, mut inbox) = inbox(capacity);
        let (mut waiting, mut taken, mut next) = (VecDeque::new(), VecDeque::new(), 0_u32);
        for sends in steps {
            if sends {
                let fits = waiting.len() < capacity;
                prop_assert_eq!(sender.try_send(next).is_ok(), fits);
                if fits {
                    waiting.push_back(next);
                }
                next += 1;
            } else {
                if taken.is_empty() {
                    taken = std::mem::take(&mut waiting);
                }
                let expected = taken.pop_front().ok_or(TryRecvError::Empty);
                prop_assert_eq!(inbox.try_recv(), expected);
            }
        }
    }
}
