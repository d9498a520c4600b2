/**
 * `haplan-agent snapshot save | status | restore`: etcdctl's verbs with etcdctl's flags, for files that both etcd and
 * haplan read. Connection flags can also be set as `ETCDCTL_*` variables.
 */
import { Command, CommanderError, Option } from "commander";
import { errorText } from "../../../src/base/haplan-error.ts";
import { openSnapshotFile } from "../../../src/raft-agent/etcd-snapshot/snapshot-file.ts";
import { snapshotStatus } from "../../../src/raft-agent/etcd-snapshot/snapshot-status.ts";
import { type RestoreFlags, restoreSnapshot } from "./restore-snapshot.ts";
import { type SaveFlags, saveSnapshot } from "./save-snapshot.ts";
import { type StatusFormat, statusFormats, statusView } from "./status-view.ts";

export type SnapshotOutput = {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
};

/** Runs one verb and returns the exit code. */
export async function runSnapshotCommand(argv: readonly string[], output: SnapshotOutput): Promise<number> {
  const program = createProgram(output);
  try {
    await program.parseAsync(argv.map(booleanSpelling), { from: "user" });
    return 0;
  } catch (error) {
    // Commander has already printed its message.
    if (error instanceof CommanderError) return error.exitCode;
    output.writeError(`Error: ${errorText(error)}\n`);
    return 1;
  }
}

/** etcdctl's booleans may be given a value. */
function booleanSpelling(argument: string): string {
  return argument
    .replace(/^--(skip-hash-check|mark-compacted)=(true|1)$/, "--$1")
    .replace(/^--(skip-hash-check|mark-compacted)=(false|0)$/, "--no-$1");
}

function createProgram({ write, writeError }: SnapshotOutput): Command {
  const program = new Command("haplan-agent snapshot")
    .description("Snapshots in etcd's database format")
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: writeError });
  const verb = (name: string, description: string): Command =>
    program.command(name).description(description).argument("<file>").copyInheritedSettings(program);

  withConnection(verb("save", "Save a member's snapshot to a file")).action(async (file: string, flags: SaveFlags) => {
    await saveSnapshot(file, flags);
    write(`Snapshot saved at ${file}\n`);
  });

  verb("status", "Check a snapshot file and show its status")
    .addOption(new Option("-w, --write-out <format>", "output format").choices(statusFormats).default("simple"))
    .action((file: string, { writeOut }: { writeOut: StatusFormat }) => {
      using snapshot = openSnapshotFile(file, { skipHashCheck: false });
      write(statusView(snapshotStatus(snapshot.database), writeOut));
    });

  withRestoreFlags(verb("restore", "Create a member's data directory from a snapshot file")).action(
    async (file: string, flags: RestoreFlags) => {
      const { summary, notices } = await restoreSnapshot(file, flags);
      for (const notice of notices) writeError(`${notice}\n`);
      write(`${summary}\n`);
    },
  );
  return program;
}

function withConnection(command: Command): Command {
  const option = (flags: string, text: string, variable: string): Option => new Option(flags, text).env(variable);
  return command
    .addOption(option("--endpoints <endpoint>", "the member to call", "ETCDCTL_ENDPOINTS").default("127.0.0.1:2379"))
    .addOption(option("--cacert <file>", "CA that the member's certificate is verified against", "ETCDCTL_CACERT"))
    .addOption(option("--cert <file>", "client certificate", "ETCDCTL_CERT"))
    .addOption(option("--key <file>", "key of the client certificate", "ETCDCTL_KEY"))
    .addOption(option("--user <name[:password]>", "user, when authentication is on", "ETCDCTL_USER"))
    .addOption(option("--password <password>", "password of the user", "ETCDCTL_PASSWORD"))
    .addOption(option("--dial-timeout <duration>", "time to connect", "ETCDCTL_DIAL_TIMEOUT").default("2s"))
    .addOption(
      option("--command-timeout <duration>", "time limit of the command; none by default", "ETCDCTL_COMMAND_TIMEOUT"),
    );
}

function withRestoreFlags(command: Command): Command {
  return command
    .option("--data-dir <directory>", "data directory to create (default '<name>.etcd')")
    .option("--wal-dir <directory>", "directory for the log (default inside the data directory)")
    .option("--name <name>", "this member's name")
    .option("--initial-cluster <members>", "all members of the new cluster, name=url,...")
    .option("--initial-cluster-token <token>", "distinguishes clusters with equal URLs")
    .option("--initial-advertise-peer-urls <urls>", "this member's peer URLs")
    .option("--bump-revision <count>", "by how much to raise the revision of the snapshot; 0 keeps it", "1000000000")
    .option("--mark-compacted", "mark all earlier revisions as compacted (always done when the revision is bumped)")
    .addOption(new Option("--no-mark-compacted").hideHelp())
    .option(
      "--replaces-cluster <id>",
      "a cluster that this one takes the place of: its members stop when they reach this one; may be repeated",
      (id: string, ids: readonly string[]) => [...ids, id],
      [],
    )
    .option(
      "--skip-hash-check",
      "accept a file without SHA-256, copied from a data directory, or with a wrong one",
      false,
    )
    .addOption(new Option("--no-skip-hash-check").hideHelp());
}
