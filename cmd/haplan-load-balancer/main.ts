#!/usr/bin/env node
/** The embedded load balancer: `haplan-load-balancer --config FILE`. Logs JSON lines to stdout. */
import { resolve } from "node:path";
import { Command } from "commander";
import { errorText } from "../../src/base/haplan-error.ts";
import { createProgramLog, logUncaughtErrors } from "../../src/base/program-log.ts";
import { runLoadBalancer } from "../../src/load-balancer/run-load-balancer.ts";

const { config } = new Command("haplan-load-balancer")
  .description("Forwards TCP connections to ready members of a control plane")
  .requiredOption("--config <file>", "JSON file with listen addresses and backends; reloaded on SIGHUP")
  .parse()
  .opts<{ config: string }>();

const standardOutput = 1;
const log = createProgramLog([standardOutput]);
logUncaughtErrors(log);
const { logger } = log;
const starting = runLoadBalancer(resolve(config), (event, facts) => logger.info(facts, event));
// Installed before it listens, so that an early signal is neither lost nor ends the process by default.
process.on("SIGHUP", () => void starting.then((balancer) => balancer.reload(), failsBelow));
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    logger.info({ signal }, "stopping");
    void starting.then(async (balancer) => {
      await balancer[Symbol.asyncDispose]();
      await log.end(0);
    }, failsBelow);
  });
}
try {
  await starting;
} catch (error) {
  logger.fatal(errorText(error));
  await log.end(1);
}

/** A failed start is logged and ends the process where it is awaited. */
function failsBelow(): void {}
