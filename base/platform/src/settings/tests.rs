use super::*;
use proptest::prelude::*;

fn settings(pairs: &[&str]) -> Settings {
    let variables = [("NN".to_owned(), "nn1".to_owned()), ("EMPTY".to_owned(), String::new())].into();
    let mut settings = Settings::new(Environment { variables, user_name: "ann".to_owned() });
    for pair in pairs {
        settings.add_pair(pair).unwrap();
    }
    settings
}

fn with_xml(xml: &str) -> Result<Settings, PlatformError> {
    let mut settings = settings(&[]);
    files::add_xml(&mut settings, Path::new("/conf/hdfs-site.xml"), xml)?;
    Ok(settings)
}

#[test]
fn every_default_is_accepted_by_its_own_key_and_documented() {
    let settings = settings(&[]);
    for spec in all_specs() {
        let (value, _) = settings.raw(spec.name).unwrap().unwrap();
        parse::check(&spec.rule, &value, spec.default.is_empty()).unwrap_or_else(|e| panic!("{}: {e}", spec.name));
        assert!(spec.doc.trim().ends_with('.'), "{}", spec.name);
    }
}

#[test]
fn defaults_are_hadoops() {
    let s = settings(&[]);
    assert_eq!(s.bytes(keys::DFS_BLOCKSIZE).unwrap(), 134_217_728);
    assert_eq!(s.int::<u16>(keys::DFS_REPLICATION).unwrap(), 3);
    assert_eq!(s.millis(keys::DFS_HEARTBEAT_INTERVAL).unwrap(), 3000);
    assert_eq!(s.millis(keys::DFS_NAMENODE_HEARTBEAT_RECHECK_INTERVAL).unwrap(), 300_000);
    assert_eq!(s.millis(keys::DFS_NAMENODE_LEASE_HARD_LIMIT).unwrap(), 1_200_000);
    assert_eq!(s.millis(keys::MAMMOTH_NAMENODE_LEASE_SOFT_LIMIT).unwrap(), 60_000);
    assert!((s.float(keys::DFS_NAMENODE_SAFEMODE_THRESHOLD_PCT).unwrap() - 0.999).abs() < 1e-9);
    assert_eq!(s.octal(keys::FS_PERMISSIONS_UMASK_MODE).unwrap(), 0o022);
    assert_eq!(s.addr(keys::DFS_DATANODE_ADDRESS).unwrap().to_string(), "0.0.0.0:9866");
    assert_eq!(s.addr_if_set(keys::DFS_NAMENODE_RPC_ADDRESS).unwrap(), None);
    assert!(s.addr(keys::DFS_NAMENODE_RPC_ADDRESS).is_err(), "an address that nobody gave");
    assert_eq!(s.dirs(keys::DFS_NAMENODE_NAME_DIR).unwrap()[0].path, Path::new("/tmp/hadoop-ann/dfs/name"));
}

#[test]
fn values_take_hadoops_notation() {
    let s = settings(&[
        "dfs.blocksize= 64M ",
        "dfs.heartbeat.interval=500ms",
        "dfs.namenode.heartbeat.recheck-interval=2s",
        "dfs.permissions.enabled=FALSE",
        "dfs.replication=0x2",
        "dfs.namenode.rpc-address=[::1]:0",
        "dfs.datanode.data.dir=[SSD]file:///a%20b, /c ,[disk]file:/d",
        "dfs.checksum.type=crc32c",
    ]);
    assert_eq!(s.bytes(keys::DFS_BLOCKSIZE).unwrap(), 64 << 20);
    assert_eq!(s.millis(keys::DFS_HEARTBEAT_INTERVAL).unwrap(), 500);
    assert_eq!(s.millis(keys::DFS_NAMENODE_HEARTBEAT_RECHECK_INTERVAL).unwrap(), 2000);
    assert!(!s.flag(keys::DFS_PERMISSIONS_ENABLED).unwrap());
    assert_eq!(s.int::<u8>(keys::DFS_REPLICATION).unwrap(), 2);
    assert_eq!(s.text(keys::DFS_CHECKSUM_TYPE).unwrap(), "CRC32C");
    let addr = s.addr(keys::DFS_NAMENODE_RPC_ADDRESS).unwrap();
    assert_eq!((addr.host.as_str(), addr.port, addr.to_string().as_str()), ("::1", 0, "[::1]:0"));
    let dirs = s.dirs(keys::DFS_DATANODE_DATA_DIR).unwrap();
    let dirs: Vec<_> = dirs.iter().map(|d| (d.medium.as_str(), d.path.to_str().unwrap())).collect();
    assert_eq!(dirs, [("SSD", "/a b"), ("DISK", "/c"), ("DISK", "/d")]);
    assert_eq!(s.validate().unwrap(), []);
}

#[test]
fn bad_values_are_all_named_with_their_origin() {
    for bad in [
        "dfs.blocksize=10x",
        "dfs.blocksize=-1",
        "dfs.blocksize=16777216t",
        "dfs.replication=0",
        "dfs.replication=three",
        "dfs.replication=",
        "dfs.heartbeat.interval=9ms",
        "dfs.heartbeat.interval=5 parsecs",
        "dfs.heartbeat.interval=-3",
        "dfs.permissions.enabled=yes",
        "dfs.bytes-per-checksum=1024",
        "dfs.checksum.type=CRC32",
        "dfs.namenode.safemode.threshold-pct=NaN",
        "fs.permissions.umask-mode=0999",
        "dfs.namenode.http-address=9870",
        "dfs.namenode.http-address=::1:9870",
        "dfs.namenode.http-address=host:65536",
        "dfs.datanode.data.dir=relative/path",
        "dfs.datanode.data.dir=[TAPE]/a",
        "dfs.datanode.data.dir=file://elsewhere/a",
        "dfs.datanode.data.dir=file:///a%2",
        "dfs.datanode.data.dir=/a/${nobody.knows}",
        "fs.defaultFS=host",
        "dfs.ls.limit=${dfs.ls.limit}",
    ] {
        let error = settings(&[bad]).validate().expect_err(bad).to_string();
        let key = bad.split('=').next().unwrap();
        assert!(error.starts_with(&format!("{key}: bad value `")), "{bad}: {error}");
        assert!(error.contains("(from the command line), expected "), "{bad}: {error}");
    }
    let error = settings(&["dfs.replication=0", "dfs.blocksize=x"]).validate().unwrap_err();
    assert_eq!(error.to_string().lines().count(), 2);
}

#[test]
fn an_integer_that_does_not_fit_the_type_is_refused() {
    let s = settings(&["dfs.datanode.failed.volumes.tolerated=-1", "dfs.replication=512"]);
    assert!(s.int::<u32>(keys::DFS_DATANODE_FAILED_VOLUMES_TOLERATED).is_err());
    assert_eq!(s.int::<i32>(keys::DFS_DATANODE_FAILED_VOLUMES_TOLERATED).unwrap(), -1);
    assert!(s.int::<u8>(keys::DFS_REPLICATION).is_err());
}

#[test]
fn unknown_keys_of_hadoop_and_misspelt_ones_are_told_apart() {
    let s = settings(&[
        "dfs.blocksiz=1m",
        "dfs.blok.size=1m",
        "dfs.nameservices=a",
        "dfs.namenode.rpc-address.a.nn1=h:1",
        "fs.s3a.access.key=x",
        "mapreduce.nothing.like.it.exists=1",
        "yarn.whatever=1",
        "dfs.block.size=1m",
    ]);
    let warnings: Vec<String> = s.validate().unwrap().iter().map(ToString::to_string).collect();
    let from = "(from the command line)";
    assert_eq!(
        warnings,
        [
            format!("dfs.block.size {from} is deprecated; use dfs.blocksize"),
            format!("unknown key dfs.blocksiz {from}; did you mean dfs.blocksize?"),
            format!("unknown key dfs.blok.size {from}; did you mean dfs.block.size?"),
            format!("dfs.namenode.rpc-address.a.nn1 {from} has no effect yet"),
            format!("dfs.nameservices {from} has no effect yet"),
            format!("fs.s3a.access.key {from} has no effect yet"),
            format!("unknown key mapreduce.nothing.like.it.exists {from}"),
        ]
    );
    assert_eq!(s.bytes(keys::DFS_BLOCKSIZE).unwrap(), 1 << 20);
}

#[test]
fn variables_are_replaced_and_loops_refused() {
    let s = settings(&[
        "port=9000",
        "fs.defaultFS=hdfs://${env.NN}:${port}",
        "hadoop.tmp.dir=/data/${env.EMPTY:-x}${env.EMPTY-y}${env.NONE-z}",
        "a=${b}",
        "b=${a}",
    ]);
    assert_eq!(s.uri(keys::FS_DEFAULT_FS).unwrap(), "hdfs://nn1:9000");
    assert_eq!(s.dirs(keys::DFS_DATANODE_DATA_DIR).unwrap()[0].path, Path::new("/data/xz/dfs/data"));
    assert!(s.raw("a").unwrap_err().to_string().contains("do not lead back"));
    assert_eq!(s.raw("nothing").unwrap(), None);
}

#[test]
fn files_are_read_as_hadoop_does() {
    let s = with_xml(
        r#"<?xml version="1.0"?>
<?xml-stylesheet type="text/xsl" href="configuration.xsl"?>
<!-- a comment -->
<configuration xmlns:xi="http://www.w3.org/2001/XInclude">
  <property><name>dfs.replication</name><value><!-- two -->2</value><description>x</description></property>
  <property><name> dfs.blocksize </name><value>
     1m </value><final>true</final></property>
  <property name="dfs.ls.limit" value="10"/>
  <property><name>dfs.heartbeat.interval</name></property>
  <xi:include href="other.xml"/>
  <property><name>dfs.blocksize</name><value>2m</value></property>
</configuration>"#,
    )
    .unwrap();
    assert_eq!(s.int::<u16>(keys::DFS_REPLICATION).unwrap(), 2);
    assert_eq!(s.int::<u16>(keys::DFS_LS_LIMIT).unwrap(), 10);
    assert_eq!(s.bytes(keys::DFS_BLOCKSIZE).unwrap(), 1 << 20);
    assert!(!s.is_given("dfs.heartbeat.interval"));
    let warnings: Vec<String> = s.validate().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "<include> (at /conf/hdfs-site.xml:10) is not read",
            "dfs.blocksize (from /conf/hdfs-site.xml:11) is ignored, as /conf/hdfs-site.xml:6 declares it final",
        ]
    );
}

#[test]
fn the_command_line_wins_over_final_values_of_files() {
    let mut s = with_xml(
        "<configuration><property><name>dfs.replication</name><value>2</value><final>true</final></property>\
         </configuration>",
    )
    .unwrap();
    s.set_if_absent("dfs.replication", "7");
    s.add_pair("dfs.replication=1").unwrap();
    assert_eq!(s.int::<u16>(keys::DFS_REPLICATION).unwrap(), 1);
}

#[test]
fn broken_files_are_refused_with_the_place() {
    for (xml, reason) in [
        ("<configuration>", "/conf/hdfs-site.xml: "),
        ("<settings/>", "expected <configuration>, found <settings>"),
        ("<configuration>\n<property><value>1</value></property></configuration>", "line 2: a property without a name"),
    ] {
        let error = with_xml(xml).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_folder_is_read_file_by_file() {
    let dir = tempfile::tempdir().unwrap();
    let property = |v: u32| {
        format!("<configuration><property><name>dfs.replication</name><value>{v}</value></property></configuration>")
    };
    std::fs::write(dir.path().join("core-site.xml"), property(1)).unwrap();
    std::fs::write(dir.path().join("hdfs-site.xml"), property(2)).unwrap();
    let s = Settings::load(Some(dir.path()), &["dfs.ls.limit=5".to_owned()]).unwrap();
    assert_eq!(s.int::<u16>(keys::DFS_REPLICATION).unwrap(), 2);
    assert_eq!(s.iter().count(), 2);
    let error = Settings::load(Some(&dir.path().join("none")), &[]).unwrap_err().to_string();
    assert!(error.starts_with("open configuration folder"), "{error}");
    assert!(Settings::load(None, &["novalue".to_owned()]).is_err());
    assert!(Settings::load(None, &["=x".to_owned()]).is_err());
}

proptest! {
    #[test]
    fn no_text_panics_any_kind(text in "\\PC{0,20}|[0-9kmgKMS.:/\\[\\]%$\\{\\}-]{0,20}") {
        for spec in all_specs() {
            let _ = parse::check(&spec.rule, &text, false);
        }
        let _ = substitute::resolve(&text, |_| Some("${x}".to_owned()));
    }

    #[test]
    fn sizes_and_times_scale(n in 0_u64..1_000_000) {
        let s = settings(&[&format!("dfs.datanode.du.reserved={n}g"), &format!("dfs.heartbeat.interval={}m", n + 1)]);
        prop_assert_eq!(s.bytes(keys::DFS_DATANODE_DU_RESERVED).unwrap(), n << 30);
        prop_assert_eq!(s.millis(keys::DFS_HEARTBEAT_INTERVAL).unwrap(), (n + 1) * 60_000);
    }
}
