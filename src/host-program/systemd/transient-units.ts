/** Commands as transient units of systemd: they go on when the session with haplan ends, and their output is in the journal. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { TaskRunner } from "../../providers/supervisor.ts";
import { systemdName } from "../../providers/unit-name.ts";
import { readUnitState, runTool, systemctl } from "./systemctl.ts";

const runDirectory = "/run/haplan-tasks";
const outputLines = 30;

/** Marks the end of a command only if it has succeeded, and removes its secrets in any case. */
const script =
  'mark=$1; directory=$2; shift 2; "$@"; code=$?; rm -rf "$directory"; [ $code != 0 ] || : > "$mark"; exit $code';

export const transientUnits: TaskRunner = {
  makeDirectory: (place, task) => {
    mkdirSync(runDirectory, { recursive: true, mode: 0o700 });
    return mkdtempSync(join(runDirectory, `${systemdName(place)}-${task}-`));
  },
  start: async (place, task, { words, directory, markFile }) => {
    const name = `${systemdName(place)}-${task}`;
    // What has failed stays loaded until this.
    await systemctl("reset-failed", `${name}.service`).catch(() => undefined);
    const properties = ["Type=oneshot", `SyslogIdentifier=${name}`, "Environment=HOME=/root"];
    await runTool("systemd-run", [
      "--quiet",
      "--no-block",
      `--unit=${name}.service`,
      ...properties.map((property) => `--property=${property}`),
      ...["/bin/sh", "-c", script, "haplan", markFile, directory, ...words].map((word) => word.replaceAll("%", "%%")),
    ]);
  },
  report: async (place, task) => {
    const name = `${systemdName(place)}-${task}`;
    const { active, hasJob } = await readUnitState(name);
    await runTool("journalctl", ["--sync"]);
    const found = ["--no-pager", "--output=cat", "--quiet", `--lines=${outputLines}`, `--identifier=${name}`];
    const output = (await runTool("journalctl", found)).trimEnd();
    return { running: hasJob || active === "activating" || active === "active" || active === "deactivating", output };
  },
};
