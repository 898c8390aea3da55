//! Which daemons a cluster folder has and where they listen: made at the first `up`, kept by later ones.

use crate::args::Up;
use crate::layout::{ClusterDir, Plan, PlannedDaemon, Role};
use crate::ports::{PortChoice, PortPlanner};

const DATANODES_DEFAULT: u16 = 3;

/// Reads the folder's plan, or makes and keeps one; more datanodes than before are added to it.
///
/// # Errors
/// One line: ports that are taken, fewer datanodes than the folder has.
pub(super) fn plan(dir: &ClusterDir, args: &Up) -> Result<Plan, String> {
    let old = dir.plan().map_err(|e| e.to_string())?;
    let present = old.as_ref().map_or(0, |plan| plan.daemons.len().saturating_sub(1));
    let wanted = usize::from(args.datanodes.unwrap_or(match u16::try_from(present) {
        Ok(present) if present > 0 => present,
        _ => DATANODES_DEFAULT,
    }));
    if wanted < present {
        return Err(format!(
            "--datanodes {wanted}: {} has {present} datanodes with data; none is taken away by starting fewer",
            dir.root().display()
        ));
    }
    if let Some(plan) = &old {
        check_free(plan)?;
    }
    let mut plan = old.unwrap_or(Plan { version: Plan::VERSION, daemons: Vec::new() });
    let before = plan.daemons.len();
    extend(&mut plan, wanted, args)?;
    if plan.daemons.len() > before {
        dir.write_plan(&plan).map_err(|e| e.to_string())?;
    }
    Ok(plan)
}

fn extend(plan: &mut Plan, wanted: usize, args: &Up) -> Result<(), String> {
    let missing = (wanted + 1).saturating_sub(plan.daemons.len());
    if missing == 0 {
        return Ok(());
    }
    let choice = match args.port_base {
        None => PortChoice::Hadoop,
        Some(0) => PortChoice::Any,
        Some(base) => PortChoice::From(base.saturating_add(u16::try_from(3 * plan.daemons.len()).unwrap_or(u16::MAX))),
    };
    let mut planner = PortPlanner::new(choice, 3 * missing).map_err(|e| e.to_string())?;
    for number in plan.daemons.len()..=wanted {
        let (name, role) = match number {
            0 => ("namenode".to_owned(), Role::Namenode),
            _ => (format!("datanode-{number}"), Role::Datanode),
        };
        let rack = match (role, args.racks) {
            (Role::Datanode, Some(racks)) => Some(format!("/rack-{}", (number - 1) % usize::from(racks) + 1)),
            _ => None,
        };
        let addrs = planner.daemon(role).map_err(|e| e.to_string())?;
        plan.daemons.push(PlannedDaemon { name, role, rack, addrs });
    }
    Ok(())
}

/// The recorded addresses must be free: clients and other daemons know them.
fn check_free(plan: &Plan) -> Result<(), String> {
    for daemon in &plan.daemons {
        let a = &daemon.addrs;
        for addr in [Some(a.http), a.rpc, a.internal, a.transfer, a.ipc].into_iter().flatten() {
            std::net::TcpListener::bind(addr).map_err(|e| {
                format!("{} keeps its address {addr} over restarts, and it cannot be used: {e}", daemon.name)
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::SettingArgs;

    fn args(dir: &std::path::Path, datanodes: Option<u16>) -> Up {
        Up {
            dir: dir.to_owned(),
            datanodes,
            racks: Some(2),
            processes: false,
            detach: false,
            port_base: Some(0),
            settings: SettingArgs::default(),
        }
    }

    #[test]
    fn plan_is_kept_grown_and_never_shrunk() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let dir = ClusterDir::create(temp.path()).expect("made");
        let first = plan(&dir, &args(temp.path(), None)).expect("a plan");
        assert_eq!(first.daemons.len(), 4);
        assert_eq!(first.daemons[1].rack.as_deref(), Some("/rack-1"));
        assert_eq!(first.daemons[2].rack.as_deref(), Some("/rack-2"));
        assert_eq!(plan(&dir, &args(temp.path(), None)).expect("the same"), first);
        let grown = plan(&dir, &args(temp.path(), Some(4))).expect("one more");
        assert_eq!(grown.daemons[..4], first.daemons[..]);
        assert_eq!(grown.daemons[4].name, "datanode-4");
        let error = plan(&dir, &args(temp.path(), Some(2))).expect_err("fewer");
        assert!(error.contains("has 4 datanodes"), "{error}");
    }

    #[test]
    fn a_recorded_address_that_is_taken_is_named() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let dir = ClusterDir::create(temp.path()).expect("made");
        let made = plan(&dir, &args(temp.path(), None)).expect("a plan");
        let addr = made.daemons[2].addrs.http;
        let _holder = std::net::TcpListener::bind(addr).expect("free");
        let error = plan(&dir, &args(temp.path(), None)).expect_err("taken");
        assert!(error.contains("datanode-2") && error.contains(&addr.to_string()), "{error}");
    }
}
