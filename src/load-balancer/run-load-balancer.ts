/** The load balancer as a program: configuration from a file, reloaded on SIGHUP or when the file has changed. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorText } from "../base/haplan-error.ts";
import type { LoadBalancerLog } from "./load-balancer.ts";
import { loadLoadBalancerConfig } from "./load-balancer-config.ts";
import { LoadBalancerGroups } from "./load-balancer-groups.ts";
import { removeStatus, statusFileName, statusIntervalMs, writeStatus } from "./load-balancer-status.ts";

export type RunningLoadBalancer = AsyncDisposable & {
  /** Reloads the configuration; if it is invalid, logs that and keeps the current one. */
  reload(): Promise<void>;
};

/** @throws HaplanError if the configuration is invalid or an address cannot be listened on. */
export async function runLoadBalancer(configPath: string, log: LoadBalancerLog): Promise<RunningLoadBalancer> {
  // Where systemd gives it a directory to write to, its configuration is read-only.
  const statusDir = process.env["RUNTIME_DIRECTORY"] ?? dirname(configPath);
  const statusPath = join(statusDir, statusFileName);
  let text = textOf(configPath);
  const first = loadLoadBalancerConfig(configPath);
  let publishing = false;
  const groups = await LoadBalancerGroups.start(first, (event, facts) => {
    log(event, facts);
    // After the change that is being logged is complete.
    if (publishing) queueMicrotask(publish);
  });

  function publish(): void {
    if (!publishing) return;
    try {
      writeStatus(statusPath, {
        pid: process.pid,
        updatedAt: new Date().toISOString(),
        ...groups.status(),
      });
    } catch (error) {
      log("statusFailed", { path: statusPath, error: errorText(error) });
    }
  }

  let reloading = Promise.resolve();
  /** One at a time, in order. */
  function reload(): Promise<void> {
    reloading = reloading.then(reloadNow);
    return reloading;
  }

  async function reloadNow(): Promise<void> {
    text = textOf(configPath);
    try {
      const loaded = loadLoadBalancerConfig(configPath);
      await groups.reconfigure(loaded);
    } catch (error) {
      log("reloadFailed", { error: errorText(error) });
    }
  }

  const timer = setInterval(() => {
    if (textOf(configPath) !== text) void reload();
    publish();
  }, statusIntervalMs);
  publishing = true;
  publish();
  return {
    reload,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      publishing = false;
      await groups[Symbol.asyncDispose]();
      removeStatus(statusPath);
    },
  };
}

/** Null while it cannot be read, as while it is being replaced. */
function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
