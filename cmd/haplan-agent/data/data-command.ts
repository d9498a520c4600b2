/**
 * `haplan-agent data show | export`: what a member has on its disk, without starting it. `haplan recover` compares the
 * survivors of a lost quorum with it. The data is only read. It may be that of an etcd.
 */
import { Command, CommanderError } from "commander";
import { errorText, HaplanError } from "../../../src/base/haplan-error.ts";
import { exportEtcdMember } from "../../../src/etcd-data/export-etcd-member.ts";
import { holdsEtcd, readEtcdMember } from "../../../src/etcd-data/read-etcd-member.ts";
import { exportMember } from "../../../src/raft-agent/agent/disk/export-member.ts";
import {
  type MemberDirectories,
  type MemberOnDisk,
  readMember,
} from "../../../src/raft-agent/agent/disk/read-member.ts";
import { defaultWalDir } from "../../../src/raft-agent/config/agent-config.ts";

type Output = { readonly write: (text: string) => void; readonly writeError: (text: string) => void };
type DataFlags = { readonly dataDir: string; readonly walDir?: string };

/** Runs one verb and returns the exit code. */
export async function runDataCommand(argv: readonly string[], output: Output): Promise<number> {
  try {
    await createProgram(output).parseAsync([...argv], { from: "user" });
    return 0;
  } catch (error) {
    // Commander has already printed its message.
    if (error instanceof CommanderError) return error.exitCode;
    const code = error instanceof HaplanError ? ` (${error.code})` : "";
    output.writeError(`Error: ${errorText(error)}${code}\n`);
    return 1;
  }
}

function createProgram({ write, writeError }: Output): Command {
  const program = new Command("haplan-agent data")
    .description("The data of a member, read without starting it")
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: writeError });
  const verb = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .requiredOption("--data-dir <directory>", "the member's data directory")
      .option("--wal-dir <directory>", "the directory of its log, if it is elsewhere")
      .copyInheritedSettings(program);
  verb("show", "Print what the member has, as JSON; null if there is no log").action(async (flags: DataFlags) => {
    write(`${JSON.stringify(await whatIsIn(directories(flags)))}\n`);
  });
  verb("export", "Write everything that the stopped member has to a snapshot file")
    .requiredOption("--out <file>", "the file to write")
    .option("--etcd <program>", "for the data of an etcd: the etcd that applies its log, in a copy", "etcd")
    .action(async ({ out, etcd, ...flags }: DataFlags & { readonly out: string; readonly etcd: string }) => {
      const place = directories(flags);
      const exported = holdsEtcd(place) ? await exportEtcdMember(place, etcd, out) : await exportMember(place, out);
      write(`${JSON.stringify(exported)}\n`);
    });
  return program;
}

function directories({ dataDir, walDir }: DataFlags): MemberDirectories {
  return { dataDir, walDir: walDir ?? defaultWalDir(dataDir) };
}

async function whatIsIn(place: MemberDirectories): Promise<object | null> {
  if (holdsEtcd(place)) return await readEtcdMember(place);
  const member = await readMember(place);
  return member === null ? null : shown(member);
}

function shown({ hardState, configuration, ...rest }: MemberOnDisk): object {
  return { ...rest, ...hardState, ...configuration };
}
