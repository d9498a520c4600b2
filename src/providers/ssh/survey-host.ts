/** What a host is, before anything of haplan is on it: asked with nothing but a shell. */
import { shellWord } from "../../base/shell-word.ts";
import { systemScript } from "../../host/facts-script.ts";
import { parseFacts } from "../../host/parse-facts.ts";
import type { AskHost, SurveyedHost } from "../spec-draft.ts";
import { runOnHost } from "./run-ssh.ts";

const surveyMs = 20_000;

const script = `${systemScript}
fact route "$(ip -o route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \\([^ ]*\\).*/\\1/p')"
{ [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; } && fact root yes
true`;

/** @throws HaplanError `ssh/...` when the host was not reached */
export const surveyHost: AskHost = async (reach, signal) => {
  const host = { target: { ...reach, proxyCommand: null, hostKey: null }, files: { knownHostsFile: null }, signal };
  const command = `sh -c ${shellWord(script)}`;
  return parseSurvey((await runOnHost({ ...host, command, timeoutMs: surveyMs })).stdout);
};

/** Known to the host itself, or to its link, alone. */
const ownAddress = /^(127\.|::1$|fe80:)/i;

export function parseSurvey(text: string): SurveyedHost {
  const { hostname, os, architecture, systemdVersion, isSystemdRunning, memoryBytes, addresses } = parseFacts(text);
  const [, route = ""] = /^route\t(\S+)$/m.exec(text) ?? [];
  const others = addresses.filter((address) => !ownAddress.test(address));
  return {
    hostname,
    os: os ?? "Linux",
    architecture,
    systemdVersion: isSystemdRunning ? systemdVersion : null,
    memoryBytes: memoryBytes ?? 0,
    addresses: [...new Set([...(route === "" ? [] : [route]), ...others])],
    becomesRoot: /^root\tyes$/m.test(text),
  };
}
