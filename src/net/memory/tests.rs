//! Tests of the memory that clients share.

use super::*;

/// What large requests may take together.
const ALL: usize = 50 * SMALL_SHARE_BYTES;
const LIMIT: usize = ALL * 2;
const LARGE: usize = SMALL_SHARE_BYTES;
const BUFFER: usize = 64 * 1024;

fn received(received: usize) -> Usage {
    Usage {
        received,
        ..Usage::default()
    }
}

fn sends(to_send: usize, answers: AnswerMemory) -> Usage {
    Usage {
        received: 0,
        to_send,
        answers,
    }
}

fn woken(memory: &mut SharedMemory) -> Vec<usize> {
    woken_but(memory, &[])
}

/// The keys of those that are called, while those in `gone` are not there any more.
fn woken_but(memory: &mut SharedMemory, gone: &[usize]) -> Vec<usize> {
    let mut keys = Vec::new();
    memory.wake(|key, _| {
        let is_there = !gone.contains(&key);
        keys.extend(is_there.then_some(key));
        is_there.then_some(key as Ticket)
    });
    keys
}

/// Where the answer to a client goes that has just asked.
fn room(memory: &SharedMemory, bytes: usize, is_fixed: bool) -> Option<AnswerMemory> {
    memory.room_for_answer(bytes, AnswerKind::of(bytes, is_fixed), None)
}

#[test]
fn beyond_the_limit_one_at_a_time_goes_on() {
    let mut memory = SharedMemory::new(LIMIT);
    memory.account(received(0), received(ALL - 1));
    for ticket in [1, 2] {
        assert_eq!(memory.may_receive(ticket, None, LARGE, BUFFER), BUFFER);
    }
    memory.account(received(ALL - 1), received(ALL));
    assert_eq!(memory.may_receive(1, None, LARGE, BUFFER), BUFFER);
    assert_eq!(memory.may_receive(2, None, LARGE, BUFFER), 0);
    memory.wait_to_receive(2, None, LARGE);
    memory.wait_to_receive(3, None, LARGE);
    assert!(woken(&mut memory).is_empty());
    memory.done_receiving(3);
    assert!(woken(&mut memory).is_empty());
    memory.done_receiving(1);
    assert_eq!(woken(&mut memory), [2]);
    assert_eq!(memory.may_receive(2, None, LARGE, BUFFER), BUFFER);
    assert!(woken(&mut memory).is_empty());
    memory.account(received(ALL), received(LARGE));
    assert_eq!(woken(&mut memory), [3]);
}

#[test]
fn small_requests_have_room_of_their_own() {
    const HALF: usize = SMALL_SHARE_BYTES / 2;
    let mut memory = SharedMemory::new(LIMIT);
    memory.account(received(0), received(2 * LIMIT));
    assert_eq!(memory.may_receive(1, None, LARGE, BUFFER), BUFFER);
    for _ in 0..LIMIT / 8 / HALF {
        assert_eq!(memory.may_receive(2, None, 0, BUFFER), HALF);
        assert_eq!(memory.may_receive(2, None, HALF - 1, BUFFER), 1);
        memory.account(received(0), received(HALF));
    }
    assert_eq!(memory.may_receive(2, None, HALF - 1, BUFFER), 0);
    memory.wait_to_receive(2, None, HALF - 1);
    memory.wait_to_receive(3, None, LARGE);
    assert!(woken(&mut memory).is_empty());
    memory.account(received(HALF), received(0));
    assert_eq!(woken(&mut memory), [2]);
}

#[test]
fn streams_leave_memory_to_other_answers() {
    let mut memory = SharedMemory::new(LIMIT);
    let some = sends(1, AnswerMemory::Long);
    assert_eq!(memory.stream_room(some), STREAM_SLICE_BYTES);
    let half = sends(LIMIT / 8, AnswerMemory::Long);
    memory.account(Usage::default(), half);
    assert_eq!(memory.stream_room(some), 0);
    assert_eq!(memory.stream_room(Usage::default()), CLIENT_RESERVE_BYTES);
    assert!(!memory.is_short());
}

#[test]
fn a_small_request_becomes_large_where_there_is_room() {
    let mut memory = SharedMemory::new(LIMIT);
    memory.account(received(0), received(ALL));
    assert_eq!(memory.may_receive(1, None, LARGE, BUFFER), BUFFER);
    assert_eq!(
        memory.may_receive(2, None, SMALL_SHARE_BYTES / 2, BUFFER),
        0
    );
    memory.wait_to_receive(2, None, SMALL_SHARE_BYTES / 2);
    assert!(woken(&mut memory).is_empty());
    memory.account(received(ALL), received(ALL - 1));
    assert_eq!(woken(&mut memory), [2]);
    assert_eq!(
        memory.may_receive(2, None, SMALL_SHARE_BYTES / 2, BUFFER),
        BUFFER
    );
}

#[test]
fn a_share_of_its_own_is_left_to_each() {
    let mut memory = SharedMemory::new(LIMIT);
    memory.account(received(0), received(2 * LIMIT));
    for _ in 0..LIMIT / 8 {
        memory.account(received(0), received(1));
    }
    for ticket in 1..100 {
        let may = memory.may_receive(ticket, None, 0, BUFFER);
        assert_eq!(may, CLIENT_RESERVE_BYTES);
        assert_eq!(
            memory.may_receive(ticket, None, CLIENT_RESERVE_BYTES - 1, BUFFER),
            1
        );
    }
    // Beyond it there is the reserve.
    assert_eq!(
        memory.may_receive(1, None, CLIENT_RESERVE_BYTES, BUFFER),
        BUFFER
    );
    assert_eq!(memory.may_receive(2, None, CLIENT_RESERVE_BYTES, BUFFER), 0);
}

#[test]
fn answers_wait_for_answers_alone() {
    let mut memory = SharedMemory::new(LIMIT);
    memory.account(received(0), received(2 * LIMIT));
    assert!(!memory.is_short());
    let waits = sends(LIMIT / 4, AnswerMemory::Long);
    memory.account(Usage::default(), waits);
    assert!(memory.is_short());
    assert_eq!(room(&memory, ANSWER_SMALL_BYTES + 1, false), None);
    memory.account(received(2 * LIMIT), received(0));
    assert_eq!(memory.may_receive(1, None, LARGE, BUFFER), BUFFER);
    let first = memory.wait_to_answer(7, None, AnswerKind::Long);
    memory.wait_to_answer(8, None, AnswerKind::Long);
    assert!(woken(&mut memory).is_empty());
    memory.account(waits, Usage::default());
    assert_eq!(woken(&mut memory), [7]);
    // It is called until it has been answered.
    assert_eq!(woken(&mut memory), [7]);
    memory.leave(first);
    assert_eq!(woken(&mut memory), [8]);
}

#[test]
fn small_answers_have_memory_of_their_own() {
    const SMALL: usize = ANSWER_SMALL_BYTES;
    const ITS_MEMORY: usize = LIMIT / ANSWER_SMALL_SHARE;
    let mut memory = SharedMemory::new(LIMIT);
    memory.account(Usage::default(), sends(LIMIT, AnswerMemory::Long));
    assert_eq!(room(&memory, SMALL, false), Some(AnswerMemory::Small));
    assert_eq!(room(&memory, 8 * SMALL, true), Some(AnswerMemory::Small));
    assert_eq!(room(&memory, SMALL + 1, false), None);
    // Half of it is for what is small by its kind.
    let half = sends(ITS_MEMORY / 2, AnswerMemory::Small);
    memory.account(Usage::default(), half);
    assert_eq!(room(&memory, SMALL, false), None);
    assert_eq!(room(&memory, 8 * SMALL, true), Some(AnswerMemory::Small));
    memory.account(Usage::default(), half);
    assert_eq!(room(&memory, SMALL, true), None);
    // A little is left to each.
    assert_eq!(
        room(&memory, CLIENT_RESERVE_BYTES, false),
        Some(AnswerMemory::Small)
    );
    let fixed = memory.wait_to_answer(1, None, AnswerKind::Fixed);
    let small = memory.wait_to_answer(2, None, AnswerKind::Small);
    assert!(woken(&mut memory).is_empty());
    memory.account(half, Usage::default());
    assert_eq!(woken(&mut memory), [1]);
    memory.leave(fixed);
    // However little room there is for long ones.
    memory.account(half, Usage::default());
    assert_eq!(woken(&mut memory), [2]);
    memory.leave(small);
    // Where long answers have room, small ones may have it too.
    memory.account(Usage::default(), half);
    memory.account(Usage::default(), half);
    memory.account(sends(LIMIT, AnswerMemory::Long), Usage::default());
    assert!(memory.is_short());
    assert_eq!(room(&memory, SMALL, true), Some(AnswerMemory::Long));
    memory.wait_to_answer(3, None, AnswerKind::Small);
    assert_eq!(woken(&mut memory), [3]);
    // But for the room that a long one waits for.
    let long = memory.wait_to_answer(4, None, AnswerKind::Long);
    assert_eq!(woken(&mut memory), [4]);
    assert_eq!(room(&memory, SMALL, true), None);
    memory.leave(long);
    assert_eq!(woken(&mut memory), [3]);
}

#[test]
fn who_finds_no_room_keeps_its_place() {
    let mut memory = SharedMemory::new(LIMIT);
    let all = sends(LIMIT, AnswerMemory::Long);
    memory.account(Usage::default(), all);
    let kind = AnswerKind::Long;
    let first = memory.wait_to_answer(1, None, kind);
    memory.wait_to_answer(2, None, kind);
    memory.account(all, Usage::default());
    assert_eq!(woken(&mut memory), [1]);
    // One that has just come has to wait for them, although there is room.
    assert!(memory.is_short() && !memory.may_begin_long(None));
    assert!(!memory.may_stream(CLIENT_RESERVE_BYTES + 1, None));
    assert_eq!(room(&memory, LIMIT, false), None);
    assert!(memory.may_begin_long(Some(first)));
    // It is worked out in several turns; meanwhile another one takes the room.
    memory.leave(first);
    assert_eq!(woken(&mut memory), [2]);
    memory.account(Usage::default(), all);
    assert_eq!(memory.room_for_answer(LIMIT, kind, Some(first)), None);
    assert_eq!(memory.wait_to_answer(1, Some(first), kind), first);
    memory.account(all, Usage::default());
    assert_eq!(woken(&mut memory), [1]);
}

#[test]
fn who_waits_to_receive_keeps_its_place() {
    let mut memory = SharedMemory::new(LIMIT);
    memory.account(received(0), received(ALL));
    assert_eq!(memory.may_receive(9, None, LARGE, BUFFER), BUFFER);
    let first = memory.wait_to_receive(1, None, LARGE);
    memory.wait_to_receive(2, None, LARGE);
    memory.account(received(ALL), received(ALL - 1));
    assert_eq!(woken(&mut memory), [1, 2]);
    memory.account(received(ALL - 1), received(ALL));
    memory.wait_to_receive(3, None, LARGE);
    assert_eq!(memory.wait_to_receive(1, Some(first), LARGE), first);
    // The reserve is for the first of them, and not for the first to ask.
    memory.done_receiving(9);
    assert_eq!(memory.may_receive(4, None, LARGE, BUFFER), 0);
    assert_eq!(woken(&mut memory), [1]);
    assert_eq!(memory.may_receive(3, None, LARGE, BUFFER), 0);
    assert_eq!(memory.may_receive(1, Some(first), LARGE, BUFFER), BUFFER);
}

#[test]
fn one_that_has_gone_is_passed_over() {
    let mut memory = SharedMemory::new(LIMIT);
    memory.account(received(0), received(LIMIT));
    for key in 1..4 {
        memory.wait_to_receive(key, None, LARGE);
    }
    assert_eq!(woken_but(&mut memory, &[1]), [2]);
    assert!(woken(&mut memory).is_empty());
}
