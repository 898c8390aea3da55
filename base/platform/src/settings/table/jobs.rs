//! Keys that the jobtracker, tasktrackers, job drivers and tasks read.

super::table! {
    /// Address of the jobtracker's pages, JSON and job submission.
    MAPREDUCE_JOBTRACKER_HTTP_ADDRESS: Addr("mapreduce.jobtracker.http.address", "0.0.0.0:50030");
    /// Address of a tasktracker's pages, logs and shuffle.
    MAPREDUCE_TASKTRACKER_HTTP_ADDRESS: Addr("mapreduce.tasktracker.http.address", "0.0.0.0:50060");
    /// Name under which others reach a tasktracker, where it is not the machine's own.
    MAPREDUCE_TASKTRACKER_HOST_NAME: Text("mapreduce.tasktracker.host.name", "", &[]);
    /// Folders for intermediate results; the first one is used.
    MAPREDUCE_CLUSTER_LOCAL_DIR: Dirs("mapreduce.cluster.local.dir", "file://${hadoop.tmp.dir}/mapred/local");
    /// Silence after which a tasktracker is given up (bare numbers are milliseconds). Hadoop waits ten minutes.
    MAPREDUCE_JOBTRACKER_EXPIRE_TRACKERS_INTERVAL: Millis(
        "mapreduce.jobtracker.expire.trackers.interval", "30000", "ms", 100,
    );
    /// MiB of the buffer in which a map sorts its output.
    MAPREDUCE_TASK_IO_SORT_MB: Int("mapreduce.task.io.sort.mb", "100", 1, 2047);
    /// Streams that are merged at once.
    MAPREDUCE_TASK_IO_SORT_FACTOR: Int("mapreduce.task.io.sort.factor", "10", 2, 10_000);
    /// Share of the sort buffer that starts a spill.
    MAPREDUCE_MAP_SORT_SPILL_PERCENT: Float("mapreduce.map.sort.spill.percent", "0.80", 0.1, 1.0);
    /// Reduces of a job whose program does not say.
    MAPREDUCE_JOB_REDUCES: Int("mapreduce.job.reduces", "1", 0, 100_000);
    /// Hint for the number of maps.
    MAPREDUCE_JOB_MAPS: Int("mapreduce.job.maps", "2", 1, 1_000_000);
    /// Failures of one map that fail its job.
    MAPREDUCE_MAP_MAXATTEMPTS: Int("mapreduce.map.maxattempts", "4", 1, 1000);
    /// Failures of one reduce that fail its job.
    MAPREDUCE_REDUCE_MAXATTEMPTS: Int("mapreduce.reduce.maxattempts", "4", 1, 1000);
    /// Silence after which an attempt has failed (bare numbers are milliseconds); 0 = never.
    MAPREDUCE_TASK_TIMEOUT: Millis("mapreduce.task.timeout", "600000", "ms", 0);
    /// Share of maps done before reduces start.
    MAPREDUCE_JOB_REDUCE_SLOWSTART: Float("mapreduce.job.reduce.slowstart.completedmaps", "0.05", 0.0, 1.0);
    /// Smallest split of a file.
    MAPREDUCE_INPUT_SPLIT_MINSIZE: Bytes("mapreduce.input.fileinputformat.split.minsize", "0", 0, 1 << 50);
    /// Largest split of a file.
    MAPREDUCE_INPUT_SPLIT_MAXSIZE: Bytes("mapreduce.input.fileinputformat.split.maxsize", "1p", 1, 1 << 50);
    /// Map outputs that a reduce fetches at a time.
    MAPREDUCE_REDUCE_SHUFFLE_PARALLELCOPIES: Int("mapreduce.reduce.shuffle.parallelcopies", "5", 1, 1000);
    /// MiB of memory that a map is granted.
    MAPREDUCE_MAP_MEMORY_MB: Int("mapreduce.map.memory.mb", "1024", 16, 1 << 20);
    /// MiB of memory that a reduce is granted.
    MAPREDUCE_REDUCE_MEMORY_MB: Int("mapreduce.reduce.memory.mb", "1024", 16, 1 << 20);
    /// Cores that a map is granted.
    MAPREDUCE_MAP_CPU_VCORES: Int("mapreduce.map.cpu.vcores", "1", 1, 1024);
    /// Cores that a reduce is granted.
    MAPREDUCE_REDUCE_CPU_VCORES: Int("mapreduce.reduce.cpu.vcores", "1", 1, 1024);
    /// Compression of what lies between the phases.
    MAPREDUCE_MAP_OUTPUT_COMPRESS: Flag("mapreduce.map.output.compress", "false");
    /// Whether a job that succeeded leaves a file `_SUCCESS`.
    MAPREDUCE_MARK_SUCCESSFUL_JOBS: Flag("mapreduce.fileoutputcommitter.marksuccessfuljobs", "true");
    /// Folder of the jobtracker's log and checkpoint.
    MAMMOTH_JOBTRACKER_DIR: Dirs("mammoth.jobtracker.dir", "file://${hadoop.tmp.dir}/mapred/jobtracker");
    /// Address at which the jobtracker listens for tasktrackers.
    MAMMOTH_JOBTRACKER_INTERNAL_ADDRESS: Addr("mammoth.jobtracker.internal-address", "127.0.0.1:8021");
    /// Such an address of the jobtracker that a tasktracker reports to; empty = the one above.
    MAMMOTH_TASKTRACKER_JOBTRACKER: Text("mammoth.tasktracker.jobtracker", "", &[]);
    /// Cores that a tasktracker grants; 0 = its share of the machine's.
    MAMMOTH_TASKTRACKER_CORES: Int("mammoth.tasktracker.cores", "0", 0, 4096);
    /// MiB that a tasktracker grants; 0 = its share of three quarters of the machine's.
    MAMMOTH_TASKTRACKER_MEMORY_MB: Int("mammoth.tasktracker.memory-mb", "0", 0, 1 << 30);
    /// Tasktrackers among which the machine is divided.
    MAMMOTH_TASKTRACKERS_ON_HOST: Int("mammoth.tasktrackers-on-host", "1", 1, 1024);
    /// Largest frame of a shuffle file before compression.
    MAMMOTH_SHUFFLE_FRAME_BYTES: Bytes("mammoth.shuffle.frame-bytes", "64k", 512, 16 << 20);
    /// Silence after which a driver of the in-memory mode is gone (bare numbers are milliseconds).
    MAMMOTH_APP_LEASE: Millis("mammoth.app.lease", "5000", "ms", 100);
    /// Executors of an application; 0 = as many as the cluster has room for.
    SPARK_EXECUTOR_INSTANCES: Int("spark.executor.instances", "0", 0, 100_000);
    /// Cores of an executor; 0 = all that a tasktracker has.
    SPARK_EXECUTOR_CORES: Int("spark.executor.cores", "0", 0, 4096);
    /// MiB of an executor.
    SPARK_EXECUTOR_MEMORY: Bytes("spark.executor.memory", "1g", 16 << 20, 1 << 50);
}
