//! From nothing to `ready`, and what an idle cluster holds in memory.

use crate::cluster::Cluster;
use crate::meter::Wall;

/// Prints start times and idle memory, in one process and in several.
pub(crate) fn measure() -> Result<(), String> {
    println!("start, a namenode, three datanodes, a jobtracker and three tasktrackers");
    for (processes, name) in [(false, "one process"), (true, "--processes")] {
        let cluster = Cluster::new(processes)?;
        let wall = Wall::start();
        cluster.up()?;
        let first = wall.seconds();
        let resident = cluster.resident_mib()?;
        cluster.down()?;
        let wall = Wall::start();
        cluster.up()?;
        let again = wall.seconds();
        println!(
            "  {name:<14} new folder to ready {:>6.0} ms, again {:>6.0} ms, resident when idle {resident:>6.1} MiB",
            first * 1e3,
            again * 1e3
        );
    }
    let cluster = Cluster::new(false)?;
    cluster.up()?;
    cluster.dfs(&["ls", "/"])?;
    let mut times = Vec::new();
    for _ in 0..20 {
        let wall = Wall::start();
        cluster.dfs(&["ls", "/"])?;
        times.push(wall.seconds() * 1e3);
    }
    println!("  dfs ls / as a whole process {:>6.1} ms (median of 20)", crate::meter::median(&mut times));
    Ok(())
}
