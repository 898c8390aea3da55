//! The texts that name where an application runs.

use crate::error::EngineError;

/// Where executors come from, without a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Master {
    /// `local`, `local[N]`, `local[*]`: threads of this process.
    Local {
        /// Tasks at a time.
        cores: u32,
    },
    /// `local-cluster[N,CORES,MIB]`: processes of this machine, from this program's own image. For tests.
    LocalCluster {
        /// Processes.
        executors: u32,
        /// Tasks at a time in each.
        cores: u32,
        /// Memory of each, MiB.
        memory_mib: u32,
    },
}

/// Most tasks at a time and most processes of a local master.
const MANY: u32 = 1024;

impl Master {
    /// Reads a master.
    ///
    /// # Errors
    /// A text that is none, or numbers of no use.
    pub fn parse(text: &str) -> Result<Self, EngineError> {
        let bad = || EngineError::BadMaster(text.to_owned());
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|n| (1..=MANY).contains(n)).ok_or_else(bad);
        if text == "local" {
            return Ok(Self::Local { cores: 1 });
        }
        let (kind, inside) = text.strip_suffix(']').and_then(|text| text.split_once('[')).ok_or_else(bad)?;
        match (kind, inside.split(',').collect::<Vec<_>>().as_slice()) {
            ("local", ["*"]) => Ok(Self::Local { cores: host_cores() }),
            ("local", [cores]) => Ok(Self::Local { cores: number(cores)? }),
            ("local-cluster", [executors, cores, memory]) => {
                let memory_mib = memory.trim().parse().ok().filter(|mib| *mib >= 16).ok_or_else(bad)?;
                Ok(Self::LocalCluster { executors: number(executors)?, cores: number(cores)?, memory_mib })
            }
            _ => Err(bad()),
        }
    }
}

fn host_cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(MANY).min(MANY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_are_read_or_refused() {
        assert_eq!(Master::parse("local").unwrap(), Master::Local { cores: 1 });
        assert_eq!(Master::parse("local[3]").unwrap(), Master::Local { cores: 3 });
        assert!(matches!(Master::parse("local[*]").unwrap(), Master::Local { cores: 1.. }));
        let cluster = Master::LocalCluster { executors: 2, cores: 1, memory_mib: 512 };
        assert_eq!(Master::parse("local-cluster[2, 1,512]").unwrap(), cluster);
        for bad in
            ["", "yarn", "local[0]", "local[2", "local[]", "local[2,2]", "local-cluster[1,1]", "local-cluster[1,1,4]"]
        {
            assert!(Master::parse(bad).is_err(), "{bad}");
        }
    }
}
