// Hadoop's own Java client, doing one step at a time as it is told on its standard input, one line each; every step is answered
// with a line: "done" and what it gave, or "failed" and why. Run by java as a single source file, with Hadoop's client on the
// class path; the arguments are settings, key=value.

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.client.HdfsDataOutputStream;
import org.apache.hadoop.hdfs.protocol.HdfsConstants;

public class HadoopClient {
    private final Configuration conf = new Configuration();
    private final DistributedFileSystem fs;
    private FSDataOutputStream out;
    private long written;

    HadoopClient(String[] settings) throws IOException {
        for (String setting : settings) {
            int at = setting.indexOf('=');
            conf.set(setting.substring(0, at), setting.substring(at + 1));
        }
        fs = (DistributedFileSystem) FileSystem.get(conf);
    }

    public static void main(String[] settings) throws IOException {
        HadoopClient client = new HadoopClient(settings);
        BufferedReader steps = new BufferedReader(new InputStreamReader(System.in));
        for (String step = steps.readLine(); step != null; step = steps.readLine()) {
            String answer;
            try {
                answer = "done " + client.step(step.split(" "));
            } catch (Throwable error) {
                String text = String.valueOf(error.getMessage()).split("\n")[0];
                answer = "failed " + error.getClass().getName() + ": " + text;
            }
            System.out.println(answer);
            System.out.flush();
        }
        System.exit(0);
    }

    /** Bytes of a file are those of a seed: what is where depends on nothing else. */
    private static byte[] bytes(long seed, int len) {
        byte[] bytes = new byte[len];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private byte[] read(String path) throws IOException {
        try (FSDataInputStream in = fs.open(new Path(path))) {
            return in.readAllBytes();
        }
    }

    private String step(String[] words) throws Exception {
        Path path = new Path(words[1]);
        return switch (words[0]) {
            case "mkdir" -> "" + fs.mkdirs(path);
            case "create" -> {
                out = fs.create(path, FsPermission.getFileDefault(), EnumSet.of(CreateFlag.CREATE), 4096,
                    (short) 3, 1 << 20, null);
                written = 0;
                yield "";
            }
            case "append" -> {
                out = fs.append(path);
                written = fs.getFileStatus(path).getLen();
                yield "" + written;
            }
            // write PATH SEED UP_TO: the seed's bytes from where the file is to there.
            case "write" -> {
                int end = Integer.parseInt(words[3]);
                out.write(bytes(Long.parseLong(words[2]), end), (int) written, end - (int) written);
                written = end;
                yield "";
            }
            case "hflush" -> {
                out.hflush();
                yield "" + ((HdfsDataOutputStream) out).getCurrentBlockReplication();
            }
            case "hsync" -> {
                ((HdfsDataOutputStream) out).hsync(EnumSet.of(HdfsDataOutputStream.SyncFlag.UPDATE_LENGTH));
                yield "" + fs.getFileStatus(path).getLen();
            }
            case "close" -> {
                out.close();
                yield "";
            }
            // is PATH SEED LEN: whether a reader finds just these bytes.
            case "is" -> "" + Arrays.equals(read(words[1]), bytes(Long.parseLong(words[2]), Integer.parseInt(words[3])));
            // range PATH SEED FROM LEN
            case "range" -> {
                int from = Integer.parseInt(words[3]);
                byte[] part = new byte[Integer.parseInt(words[4])];
                try (FSDataInputStream in = fs.open(path)) {
                    in.readFully(from, part);
                }
                byte[] all = bytes(Long.parseLong(words[2]), from + part.length);
                yield "" + Arrays.equals(part, Arrays.copyOfRange(all, from, all.length));
            }
            case "truncate" -> "" + fs.truncate(path, Long.parseLong(words[2]));
            case "closed" -> "" + fs.isFileClosed(path);
            case "recover" -> "" + fs.recoverLease(path);
            case "concat" -> {
                fs.concat(path, Arrays.stream(words).skip(2).map(Path::new).toArray(Path[]::new));
                yield "";
            }
            case "rename" -> {
                fs.rename(path, new Path(words[2]), Options.Rename.NONE);
                yield "";
            }
            case "move" -> "" + fs.rename(path, new Path(words[2]));
            case "delete" -> "" + fs.delete(path, true);
            case "checksum" -> "" + fs.getFileChecksum(path);
            case "status" -> {
                var status = fs.getFileStatus(path);
                yield status.getLen() + " " + status.getReplication() + " " + status.getPermission();
            }
            case "list" -> {
                int entries = 0;
                int places = 0;
                RemoteIterator<LocatedFileStatus> found = fs.listFiles(path, true);
                while (found.hasNext()) {
                    entries++;
                    places += found.next().getBlockLocations().length;
                }
                yield entries + " " + places;
            }
            case "attributes" -> {
                fs.setPermission(path, new FsPermission((short) 0640));
                fs.setTimes(path, 1000, 2000);
                fs.setStoragePolicy(path, "HOT");
                yield fs.getFileStatus(path).getModificationTime() + " " + fs.getAclStatus(path).getPermission() + " "
                    + fs.getXAttrs(path).size() + " " + (fs.getEZForPath(path) == null);
            }
            case "cluster" -> fs.getDataNodeStats(HdfsConstants.DatanodeReportType.LIVE).length + " "
                + fs.setSafeMode(HdfsConstants.SafeModeAction.SAFEMODE_GET) + " " + fs.getMissingBlocksCount();
            default -> throw new IllegalArgumentException("no such step: " + words[0]);
        };
    }
}
