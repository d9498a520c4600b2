/** What a host is, before anything of haplan is on it: asked with nothing but a shell. */
import type { AskHost, SurveyedHost } from "../spec-draft.ts";
import { runOnHost } from "./run-ssh.ts";

const surveyMs = 20_000;

const script = [
  'echo "hostname=$(uname -n)"',
  'echo "architecture=$(uname -m)"',
  'echo "os=$(. /etc/os-release 2>/dev/null && echo "$PRETTY_NAME")"',
  '[ -d /run/systemd/system ] && echo "systemd=$(systemctl --version | head -n 1)"',
  'echo "memory=$(grep MemTotal: /proc/meminfo)"',
  'echo "route=$(ip -o route get 192.0.2.1 2>/dev/null)"',
  'echo "addresses=$(hostname -I 2>/dev/null)"',
  '{ [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; } && echo root=yes',
  "true",
].join("; ");

/** @throws HaplanError `ssh/...` when the host was not reached */
export const surveyHost: AskHost = async (reach, signal) => {
  const host = { target: { ...reach, hostKey: null }, files: { knownHostsFile: null }, signal };
  return parseSurvey((await runOnHost({ ...host, command: script, timeoutMs: surveyMs })).stdout);
};

export function parseSurvey(text: string): SurveyedHost {
  const values = new Map(text.split("\n").map((line) => line.split(/=(.*)/s) as [string, string]));
  const value = (name: string): string => (values.get(name) ?? "").trim();
  const version = Number(/\d+/.exec(value("systemd"))?.[0]);
  const [, source] = / src (\S+)/.exec(value("route")) ?? [];
  const addresses = value("addresses")
    .split(/\s+/)
    .filter((address) => address !== "" && !/^fe80:/i.test(address));
  return {
    hostname: value("hostname"),
    os: value("os") || "Linux",
    architecture: value("architecture"),
    systemdVersion: Number.isNaN(version) ? null : version,
    memoryBytes: Number(/\d+/.exec(value("memory"))?.[0] ?? 0) * 1024,
    addresses: [...new Set([...(source === undefined ? [] : [source]), ...addresses])],
    becomesRoot: value("root") === "yes",
  };
}
