//! The datanode daemon: block replicas on local disks, the data-transfer server, reports.
