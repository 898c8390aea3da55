//! Which daemons a cluster folder has and where they listen: made at the first `up`, kept by later ones.

use crate::args::Up;
use crate::layout::{ClusterDir, Plan, PlannedDaemon, Role};
use crate::ports::{PortChoice, PortPlanner};

const DATANODES_DEFAULT: u16 = 3;
const TASKTRACKERS_DEFAULT: u16 = 3;

/// Reads the folder's plan, or makes and keeps one; more daemons than before are added to it.
///
/// # Errors
/// One line: ports that are taken, fewer daemons than the folder has.
pub(super) fn plan(dir: &ClusterDir, args: &Up) -> Result<Plan, String> {
    let old = dir.plan().map_err(|e| e.to_string())?;
    if let Some(plan) = &old {
        check_free(plan)?;
    }
    let mut plan = old.unwrap_or(Plan { version: Plan::VERSION, daemons: Vec::new() });
    let datanodes = wanted(dir, &plan, Role::Datanode, args.datanodes, DATANODES_DEFAULT)?;
    let tasktrackers = wanted(dir, &plan, Role::Tasktracker, args.tasktrackers, TASKTRACKERS_DEFAULT)?;
    let mut missing = Vec::new();
    let mut need = |role: Role, wanted: usize| {
        let numbers = plan.count(role) + 1..=wanted;
        missing.extend(numbers.map(|number| (role, number)));
    };
    need(Role::Namenode, 1);
    need(Role::Datanode, datanodes);
    need(Role::Jobtracker, usize::from(tasktrackers > 0));
    need(Role::Tasktracker, tasktrackers);
    if !missing.is_empty() {
        extend(&mut plan, &missing, args)?;
        dir.write_plan(&plan).map_err(|e| e.to_string())?;
    }
    Ok(plan)
}

/// How many daemons of a kind the cluster shall have.
fn wanted(dir: &ClusterDir, plan: &Plan, role: Role, asked: Option<u16>, default: u16) -> Result<usize, String> {
    let present = plan.count(role);
    let first = if plan.daemons.is_empty() || (role == Role::Tasktracker && plan.jobtracker().is_none()) {
        usize::from(default)
    } else {
        present
    };
    let wanted = asked.map_or(first, usize::from);
    if wanted >= present {
        return Ok(wanted);
    }
    let kind = role.program();
    Err(format!(
        "--{kind}s {wanted}: {} has {present} {kind}s with data; none is taken away by starting fewer",
        dir.root().display()
    ))
}

fn extend(plan: &mut Plan, missing: &[(Role, usize)], args: &Up) -> Result<(), String> {
    let used: usize = plan.daemons.iter().map(|planned| PortPlanner::needed(planned.role)).sum();
    let choice = match args.port_base {
        None => PortChoice::Hadoop,
        Some(0) => PortChoice::Any,
        Some(base) => PortChoice::From(base.saturating_add(u16::try_from(used).unwrap_or(u16::MAX))),
    };
    let needed = missing.iter().map(|(role, _)| PortPlanner::needed(*role)).sum();
    let mut planner = PortPlanner::new(choice, needed).map_err(|e| e.to_string())?;
    for (role, number) in missing {
        let (role, kind) = (*role, role.program());
        let name = match role {
            Role::Namenode | Role::Jobtracker => kind.to_owned(),
            Role::Datanode | Role::Tasktracker => format!("{kind}-{number}"),
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
        for addr in daemon.addrs.all() {
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
            tasktrackers: Some(2),
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
        assert_eq!(first.daemons.len(), 7);
        assert_eq!((first.count(Role::Datanode), first.count(Role::Tasktracker)), (3, 2));
        assert_eq!(first.jobtracker().map(|planned| planned.name.as_str()), Some("jobtracker"));
        assert_eq!(first.daemons[1].rack.as_deref(), Some("/rack-1"));
        assert_eq!(first.daemons[2].rack.as_deref(), Some("/rack-2"));
        assert_eq!(plan(&dir, &args(temp.path(), None)).expect("the same"), first);
        let grown = plan(&dir, &args(temp.path(), Some(4))).expect("one more");
        assert_eq!(grown.daemons[..7], first.daemons[..]);
        assert_eq!(grown.daemons[7].name, "datanode-4");
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
