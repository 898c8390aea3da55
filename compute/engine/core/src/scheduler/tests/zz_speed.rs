
use crate::api::*;
use crate::testing::{job, last, map};
use mammoth_protocol::Now;
use mammoth_protocol::jobs::ExecutorId;
#[test]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
fn speed() {
    for hosts in [false, true] {
    let mut s = crate::Scheduler::new(Config::default());
    let mut todo = Vec::new();
    let mut n = 0;
    for e in 0..16 { s.handle(Now::default(), Event::ExecutorAdded { executor: ExecutorId(e), host: format!("h{e}"), cores: 4 }); }
    let mut m = map(0, 10_000, &[]);
    if hosts { m.hosts = (0..10_000u32).map(|p| vec![format!("h{}", p % 16), format!("h{}", (p / 7) % 16)]).collect(); }
    let t = std::time::Instant::now();
    let mut out = s.handle(Now::default(), Event::JobSubmitted(job(0, &[m, last(1, 1_000, &[0])])));
    loop {
        for c in out.drain(..) { if let Command::Launch { task, executor, .. } = c { todo.push((task, executor)); } }
        let Some((task, executor)) = todo.pop() else { break };
        n += 1;
        let place = (task.stage.0 == 0).then_some(PlaceId(0));
        out = s.handle(Now::default(), Event::TaskEnded { task, executor, end: TaskEnd::Success { place } });
    }
    println!("hosts {hosts}: {n} tasks {:?}", t.elapsed());
    }
}
