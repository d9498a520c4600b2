/** What a host must have before haplan puts anything on it, looked at with nothing but a shell. */
import type { Diagnostic } from "../../base/diagnostic.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { runOnHost } from "./run-ssh.ts";
import { architectureOf, type Host, rootCommand } from "./upload-artifact.ts";

const checkMs = 30_000;
const freeKiBMin = 512 * 1024;

/** A line for each thing that is missing. */
const script = `
  [ -d /run/systemd/system ] || echo systemd
  for each in tar gzip sha256sum systemctl; do command -v $each >/dev/null || echo "program $each"; done
  free=$(df -Pk /opt | tail -n 1 | tr -s " " | cut -d " " -f 4)
  [ "$free" -ge ${freeKiBMin} ] || echo "space $free"`;

const findings: { readonly [what: string]: (detail: string) => readonly [summary: string, detail: string] } = {
  systemd: () => ["does not run systemd", "haplan starts its programs as systemd units."],
  program: (name) => [`has no ${name}`, "Install it on that host."],
  space: (free) => [
    `has ${Math.round(Number(free) / 1024)} MiB free below /opt`,
    `haplan needs ${freeKiBMin / 1024} MiB for its programs.`,
  ],
};

/** @throws HaplanError `ssh/...` when the host was not reached; what it lacks is returned */
export async function checkHost(host: Host): Promise<readonly Diagnostic[]> {
  try {
    await architectureOf(host);
    const { exitCode, stdout, stderr } = await runOnHost({
      ...host,
      command: rootCommand(host, script),
      timeoutMs: checkMs,
    });
    if (exitCode !== 0) return [finding(host, "ssh/become", "does not let haplan become root", stderr)];
    return stdout.split("\n").flatMap((line) => {
      const [what = "", detail = ""] = line.split(" ");
      const found = findings[what]?.(detail);
      return found === undefined ? [] : [finding(host, `ssh/no-${what}`, ...found)];
    });
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code === "provider/aborted") throw error;
    return [{ severity: "error", code: error.code, summary: error.message.split("\n")[0]!, detail: error.message }];
  }
}

function finding({ target }: Host, code: string, summary: string, detail: string): Diagnostic {
  return { severity: "error", code, summary: `The host ${target.host} ${summary}`, detail };
}
