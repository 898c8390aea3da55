//! The retry cache.

use crate::api::{Command, Reply};
use crate::testing::{World, all_rows, config, create, delete, path, root};
use mammoth_protocol::limits::RETRY_KEEP_MS;
use mammoth_protocol::{CallId, Caller, Uuid};

fn call(number: i32) -> Caller {
    Caller { call: Some(CallId { client: Uuid(7), call: number }), ..root() }
}

fn rename(src: &str, dst: &str) -> Command {
    Command::Rename2 { src: path(src), dst: path(dst), overwrite: false }
}

#[test]
fn a_retried_call_is_told_the_same_and_does_nothing() {
    let mut world = World::new(config());
    let created = world.act(&call(1), create("/f", "c")).unwrap();
    assert!(world.act(&call(2), rename("/f", "/g")).is_ok());
    assert_eq!(world.act(&call(3), delete("/g", false)), Ok(Reply::Done(true)));
    let after = world.seq;
    assert_eq!(world.act(&call(1), create("/f", "c")), Ok(created));
    assert_eq!(world.act(&call(2), rename("/f", "/g")), Ok(Reply::Unit));
    assert_eq!(world.act(&call(3), delete("/g", false)), Ok(Reply::Done(true)));
    assert_eq!(world.seq, after);
    assert_eq!(world.act(&call(4), delete("/g", false)), Ok(Reply::Done(false)), "another call is judged anew");
    assert!(world.act(&root(), rename("/f", "/g")).is_err(), "a call without identity is judged anew");
}

#[test]
fn refusals_and_calls_without_effect_are_not_remembered() {
    let mut world = World::new(config());
    assert!(world.act(&call(1), rename("/f", "/g")).is_err());
    assert_eq!(world.act(&call(2), delete("/f", false)), Ok(Reply::Done(false)));
    world.create("/f", "c");
    assert!(world.act(&call(1), rename("/f", "/g")).is_ok());
    assert_eq!(world.act(&call(2), delete("/g", false)), Ok(Reply::Done(true)));
}

#[test]
fn remembered_calls_survive_a_restart() {
    let mut world = World::new(config());
    let created = world.act(&call(1), create("/f", "c")).unwrap();
    world.checkpoint(usize::MAX);
    world.act(&call(2), rename("/f", "/g")).unwrap();
    world.restart();
    assert_eq!(world.act(&call(1), create("/f", "c")), Ok(created));
    assert_eq!(world.act(&call(2), rename("/f", "/g")), Ok(Reply::Unit));
}

#[test]
fn old_calls_are_forgotten_in_memory_and_in_the_checkpoint() {
    let mut world = World::new(config());
    world.act(&call(1), create("/f", "c")).unwrap();
    world.pass(RETRY_KEEP_MS / 2);
    world.act(&call(2), rename("/f", "/g")).unwrap();
    world.checkpoint(usize::MAX);
    assert_eq!(world.state.rows.retries.len(), 2);
    world.pass(RETRY_KEEP_MS / 2 + 1);
    assert_eq!(world.state.rows.retries.len(), 1, "the tick forgot the first");
    world.checkpoint(usize::MAX);
    assert_eq!(world.disk.rows, all_rows(&world.state));
    assert!(world.act(&call(1), create("/g", "c")).is_err(), "judged anew: the file exists");
    assert_eq!(world.act(&call(2), rename("/f", "/g")), Ok(Reply::Unit));
    world.restart();
    assert_eq!(world.state.rows.retries.len(), 1);
}

#[test]
fn a_crash_between_forgetting_and_the_checkpoint_forgets_too() {
    let mut world = World::new(config());
    world.act(&call(1), create("/f", "c")).unwrap();
    world.checkpoint(usize::MAX);
    world.pass(RETRY_KEEP_MS + 1);
    assert_eq!(world.state.rows.retries.len(), 0);
    world.restart();
    assert_eq!(world.state.rows.retries.len(), 0);
    world.checkpoint(usize::MAX);
    assert_eq!(world.disk.rows, all_rows(&world.state));
}
