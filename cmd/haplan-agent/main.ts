#!/usr/bin/env node
/**
 * The entry point of the agent, started like `etcd`: flags, `ETCD_*` variables or a configuration file in; a serving
 * member out. `haplan-agent snapshot ...` corresponds to etcdctl's verb of that name
 * instead, `haplan-agent data ...` reads the data of a member that does not run, and `haplan-agent backup` writes a backup that
 * a member takes by itself.
 */
import { readFileSync } from "node:fs";
import { errorText } from "../../src/base/haplan-error.ts";
import { logUncaughtErrors, type ProgramLog } from "../../src/base/program-log.ts";
import { type Agent, startAgent } from "../../src/raft-agent/agent/agent.ts";
import { createAgentLog } from "../../src/raft-agent/agent/agent-log.ts";
import { reportedEtcdVersion } from "../../src/raft-agent/agent/from-config.ts";
import { type AgentConfig, configNotices, createAgentConfig } from "../../src/raft-agent/config/agent-config.ts";
import { agentUsage } from "../../src/raft-agent/config/agent-usage.ts";
import { readSettings, SettingsError } from "../../src/raft-agent/config/read-settings.ts";
import { createBackupWriter } from "./backup/backup-writer.ts";
import { runDataCommand } from "./data/data-command.ts";
import { runSnapshotCommand } from "./snapshot/snapshot-command.ts";

/** The time limit for stopping, whatever hangs. */
const endWithinMs = 10_000;

async function main(argv: readonly string[]): Promise<void> {
  const output = {
    write: (text: string) => void process.stdout.write(text),
    writeError: (text: string) => void process.stderr.write(text),
  };
  if (argv[0] === "snapshot") process.exitCode = await runSnapshotCommand(argv.slice(1), output);
  else if (argv[0] === "data") process.exitCode = await runDataCommand(argv.slice(1), output);
  else if (argv[0] === "backup") {
    const { runBackupCommand } = await import("./backup/backup-command.ts");
    process.exitCode = await runBackupCommand(argv.slice(1), output);
  } else if (argv.some((argument) => /^--?version$/.test(argument))) {
    process.stdout.write(`etcd Version: ${reportedEtcdVersion}\nhaplan-agent, Node.js ${process.version}\n`);
  } else if (argv.some((argument) => /^(--?help|-h)$/.test(argument))) {
    process.stdout.write(agentUsage());
  } else await run(argv);
}

async function run(argv: readonly string[]): Promise<void> {
  const { config, notices, log } = readConfig(argv);
  logUncaughtErrors(log);
  for (const notice of notices) log.logger.warn(notice);
  let agent: Agent | null = null;
  const stop = (code: number): void => {
    setTimeout(() => log.end(code), endWithinMs).unref();
    Promise.resolve(agent?.close()).then(
      () => log.end(code),
      () => log.end(1),
    );
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      log.logger.info({ signal }, "stopping");
      stop(0);
    });
  }
  try {
    const { logger, droppedLines } = log;
    agent = await startAgent({
      config,
      logger,
      droppedLogLines: droppedLines,
      backupWriter: createBackupWriter,
      onStopped: () => stop(1),
    });
  } catch (error) {
    log.logger.fatal({ error: errorText(error) }, "cannot start");
    await log.end(1);
  }
}

/** Exits at once when a flag is wrong: nothing has been touched yet. */
function readConfig(argv: readonly string[]): { config: AgentConfig; notices: readonly string[]; log: ProgramLog } {
  try {
    const settings = readSettings(argv, process.env, (path) => readFileSync(path, "utf8"));
    const config = createAgentConfig(settings);
    return {
      config,
      notices: [...settings.notices, ...configNotices(config)],
      log: createAgentLog({ level: config.logLevel, outputs: config.logOutputs }),
    };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`haplan-agent: ${error.message}\n`);
    process.exit(1);
  }
}

await main(process.argv.slice(2));
