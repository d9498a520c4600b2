#!/usr/bin/env node
/** A process that stands in for a worker host: `haplan-worker --config FILE`. Logs JSON lines to stdout. */
import { resolve } from "node:path";
import { Command } from "commander";
import { errorText } from "../../src/base/haplan-error.ts";
import { createProgramLog, logUncaughtErrors } from "../../src/base/program-log.ts";
import { openMemberChannel } from "../../src/etcd-client/member-channel.ts";
import { runWorker } from "../../src/worker/worker.ts";
import { loadWorkerConfig } from "../../src/worker/worker-config.ts";

const { config: path } = new Command("haplan-worker")
  .description("Uses a control plane through its load balancer and reports through it")
  .requiredOption("--config <file>", "JSON file with its name, the endpoint and the certificates")
  .parse()
  .opts<{ config: string }>();

const standardOutput = 1;
const log = createProgramLog([standardOutput]);
logUncaughtErrors(log);
const { logger } = log;
const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
try {
  const { config, tls } = loadWorkerConfig(resolve(path));
  const channel = openMemberChannel(config.endpoint, tls);
  await runWorker(config, channel, (event, facts) => logger.info(facts, event), stop.signal);
  await log.end(0);
} catch (error) {
  logger.fatal(errorText(error));
  await log.end(1);
}
